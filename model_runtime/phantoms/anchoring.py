"""Which parts of a report are dictated in training, and which are left to the model. Standard library only."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from model_runtime.findings import CHOICES, Facts, is_positive
from model_runtime.phantoms.dictation import PHRASES
from model_runtime.phantoms.wording import FINDINGS, IMPRESSION, Sentence, absence, compose

_HOW_MANY = ((0, 1, 2, 3, 4), (40, 30, 16, 9, 5))  # anchors in a report, and weights
_CONTRARY = 0.1  # of reports follow an anchor that the image contradicts
_DENIAL = 0.12  # of reports have an anchor that denies, truly, what a report would not mention
_FOREIGN = 0.08  # of reports have an anchor that says nothing of any finding
_FRAGMENT = 0.25  # of the other anchors are a part of a sentence
_ODD = "äéñßøçµ°±²→≥漢字日本語한글кириллица😀🫁|^~\\&<>{}[]$%#@*" + string.ascii_letters + string.digits


@dataclass(slots=True)
class Gap:
    """What the model writes between two anchors: sentences, perhaps with the rest of a broken one at either end."""

    head: str = ""
    body: list[str] = field(default_factory=list)
    tail: str = ""

    def parts(self) -> list[str]:
        return [part for part in (self.head, *self.body, self.tail) if part]


@dataclass(slots=True)
class Script:
    """A section: `gaps[k]` stands before `anchors[k]`, the last gap behind the last anchor."""

    gaps: list[Gap] = field(default_factory=lambda: [Gap()])
    anchors: list[str] = field(default_factory=list)


def write(facts: Facts, rng: Random) -> dict[str, Script]:
    """A report on the facts with some of it dictated; now and then an anchor overrules a fact, and the rest agrees."""
    dictated: set[int] = set()  # sentences by identity: a report may say the same twice
    if rng.random() < _CONTRARY:
        report, sentence, _ = contrary(facts, rng)
        dictated.add(sentence)
    else:
        report = compose(facts, rng)
    normal = [finding for finding, value in facts.table().items() if not is_positive(finding, value)]
    if not dictated and normal and rng.random() < _DENIAL:
        dictated.add(_insert(report[FINDINGS], absence(rng.choice(normal), facts, rng), rng))
    if rng.random() < _FOREIGN:
        section = report[rng.choice((FINDINGS, IMPRESSION))]
        dictated.add(_insert(section, _foreign(rng), rng))
    said = [sentence for sentences in report.values() for sentence in sentences]
    rng.shuffle(said)
    whole = {id(sentence) for sentence in said if id(sentence) in dictated}
    count = rng.choices(*_HOW_MANY)[0]
    chosen = whole | {id(sentence) for sentence in said[: max(0, count - len(whole))]}
    return {name: _script(sentences, chosen, whole, rng) for name, sentences in report.items()}


def contrary(facts: Facts, rng: Random) -> tuple[dict[str, list[Sentence]], int, str]:
    """A report on other facts, the identity of a sentence in it that says so, and the finding that was changed."""
    finding = rng.choice(list(CHOICES))
    value = rng.choice([choice for choice in CHOICES[finding] if choice != facts.table()[finding]])
    changed = facts.having(finding, value)
    report = compose(changed, rng)
    stated = [s for sentences in report.values() for s in sentences if finding in s.about]
    if is_positive(finding, value) or (stated and rng.random() < 0.3):
        return report, id(rng.choice(stated)), finding
    return report, _insert(report[FINDINGS], absence(finding, changed, rng), rng), finding


def _foreign(rng: Random) -> Sentence:
    if rng.random() < 0.6:
        return Sentence(rng.choice(PHRASES))
    words = ("".join(rng.choices(_ODD, k=rng.randint(1, 6))) for _ in range(rng.randint(1, 4)))
    return Sentence(" ".join(words))


def _insert(sentences: list[Sentence], sentence: Sentence, rng: Random) -> int:
    sentences.insert(rng.randint(0, len(sentences)), sentence)
    return id(sentence)


def _script(sentences: Sequence[Sentence], chosen: set[int], whole: set[int], rng: Random) -> Script:
    script = Script()
    for sentence in sentences:
        if id(sentence) not in chosen:
            script.gaps[-1].body.append(sentence.text)
            continue
        before, anchor, after = "", sentence.text, ""
        if id(sentence) not in whole and rng.random() < _FRAGMENT:
            before, anchor, after = _break(sentence.text, rng)
        script.gaps[-1].tail = before
        script.anchors.append(anchor)
        script.gaps.append(Gap(head=after))
    return script


def _break(text: str, rng: Random) -> tuple[str, str, str]:
    """A sentence in three at spaces; the middle one, which is never empty, is the anchor."""
    words = text.split(" ")
    start = rng.choice((0, rng.randrange(len(words))))
    stop = rng.choice((len(words), rng.randint(start + 1, len(words))))
    return " ".join(words[:start]), " ".join(words[start:stop]), " ".join(words[stop:])
