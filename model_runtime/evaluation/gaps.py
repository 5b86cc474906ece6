"""Reports with gaps: held-out phantoms of whose reports some phrases are dictated, and how well the rest is written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from model_runtime.canvas import Anchor, Encode
from model_runtime.draft_text import Author, SectionText
from model_runtime.evaluation.scores import Scores
from model_runtime.evaluation.seams import SeamErrors, seam_errors, stuttered
from model_runtime.phantoms.phantom import Phantom
from model_runtime.phantoms.wording import Sentence, compose, every_sentence

_MOST_ANCHORS = 4


@dataclass(frozen=True, slots=True)
class GapCase:
    """A phantom's report taken apart: for each section the true text of its gaps, one more than it has anchors."""

    phantom: Phantom
    anchors: tuple[Anchor, ...]
    gaps: dict[str, tuple[str, ...]]
    given: frozenset[str]  # findings that the anchors speak of

    def lengths(self, encode: Encode) -> dict[str, list[int]]:
        """The tokens of each gap, as `lay` takes them."""
        return {name: [tokens(gap, encode) for gap in gaps] for name, gaps in self.gaps.items()}


def gap_case(seed: int, *, mid_sentence: bool) -> GapCase:
    """One to four dictated phrases: whole sentences, or parts of sentences that the model has to finish."""
    phantom, rng = Phantom.of(seed), Random(f"gaps {seed}")
    report = compose(phantom.facts, rng)
    said = [sentence for sentences in report.values() for sentence in sentences]
    dictated = rng.sample(said, min(rng.randint(1, _MOST_ANCHORS), len(said) - 1))
    anchors: list[Anchor] = []
    gaps: dict[str, tuple[str, ...]] = {}
    for name, sentences in report.items():
        texts = [""]
        for sentence in sentences:
            if not any(sentence is one for one in dictated):  # a report may say the same twice
                texts[-1] += " " + sentence.text
                continue
            before, anchor, behind = _part(sentence.text, rng) if mid_sentence else ("", sentence.text, "")
            texts[-1] += " " + before
            anchors.append(Anchor(name, anchor))
            texts.append(behind)
        gaps[name] = tuple(text.strip() for text in texts)
    return GapCase(phantom, tuple(anchors), gaps, _about(dictated))


def _part(text: str, rng: Random) -> tuple[str, str, str]:
    """A sentence in three; the middle one has some of its words, not all."""
    words = text.split(" ")
    length = rng.randint(1, len(words) - 1)
    start = rng.randint(0, len(words) - length)
    return " ".join(words[:start]), " ".join(words[start : start + length]), " ".join(words[start + length :])


def _about(sentences: Sequence[Sentence]) -> frozenset[str]:
    return frozenset(finding for sentence in sentences for finding in sentence.about)


def tokens(gap: str, encode: Encode) -> int:
    """A gap's length on the canvas."""
    return len(encode(" " + gap)) if gap else 0


@dataclass(slots=True)
class GapScores:
    """Of many drafts around dictated phrases, against the reports that the phrases are from."""

    facts: Scores = field(default_factory=Scores)
    seams: SeamErrors = field(default_factory=SeamErrors)
    gaps: int = 0
    f1: float = 0.0  # sums over gaps, as the next two
    length_error: int = 0
    surplus: int = 0  # tokens more than the true gap, less where negative
    words: int = 0
    stuttered: int = 0

    def add(self, case: GapCase, sections: Sequence[SectionText], encode: Encode) -> None:
        known = every_sentence() | {anchor.text for anchor in case.anchors}
        self.facts.add(case.phantom.facts, {s.name: s.text for s in sections}, known=known, given=case.given)
        for section in sections:
            self.seams += seam_errors(section)
            self.words += len(_words(section.text))
            self.stuttered += stuttered(section.text)
            for written, true in zip(_written(section), case.gaps[section.name], strict=True):
                surplus = tokens(written, encode) - tokens(true, encode)
                self.gaps += 1
                self.f1 += token_f1(written, true)
                self.surplus += surplus
                self.length_error += abs(surplus)


def token_f1(written: str, true: str) -> float:
    """Harmonic mean of precision and recall over words, wherever they stand; 1 where both are empty."""
    ours, theirs = Counter(_words(written)), Counter(_words(true))
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _written(section: SectionText) -> list[str]:
    """The model's text before, between and after the section's anchors."""
    texts = [""]
    for span in section.spans:
        if span.kind is Author.MODEL:
            texts[-1] += span.text
        else:
            texts.append("")
    return [text.strip() for text in texts]
