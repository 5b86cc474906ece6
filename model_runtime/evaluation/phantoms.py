"""Drafts of phantoms never trained on, scored: `python -m model_runtime.evaluation.phantoms --checkpoint DIR`.

The checkpoint may be the diffusion model's or its left-to-right sibling's.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from model_runtime.autoregressive import Infill, write_sections
from model_runtime.canvas import Anchor
from model_runtime.checkpoints import checkpoint
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.contradictions.claims import claims
from model_runtime.draft_text import DraftText, SectionText, Why
from model_runtime.drafter import Drafter
from model_runtime.drafting import Wish
from model_runtime.evaluation.scores import Scores
from model_runtime.phantoms.anchoring import contrary
from model_runtime.phantoms.phantom import HELD_OUT, Phantom
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.phantoms.wording import compose, every_sentence
from model_runtime.prompts.prompt import PromptFacts
from model_runtime.redraft import Reach

_ORDER = PromptFacts("DX", "CHEST", "PA")


class Trial(StrEnum):
    """What the model is shown and told. Chance is what BLANK and SHUFFLED score."""

    PLAIN = "plain"
    BLANK = "blank"  # a grey image
    SHUFFLED = "shuffled"  # another phantom's image
    ANCHORED = "anchored"  # one true sentence is dictated; what it says is not counted
    REDRAFTED = "redrafted"  # the same, to a finished draft
    UNANCHORED = "unanchored"  # nothing is dictated; what ANCHORED does not count is not counted here either
    CONTRARY = "contrary"  # one sentence is dictated that the image contradicts; its finding is not counted


@dataclass(frozen=True, slots=True)
class Result:
    scores: Scores
    steps: float  # mean, of denoising or of tokens
    seconds: float
    anchors: int  # drafts that have one, and of these:
    contradicted: int  # some section asserts the opposite of the anchor
    flagged: int  # the anchor is held to be in conflict with the image
    struck: int  # a sentence that opposed the anchor was taken out

    def lines(self) -> Iterator[str]:
        yield from self.scores.lines()
        if self.anchors:
            yield (
                f"of {self.anchors} drafts around an anchor {self.contradicted} contradict it, {self.flagged} flag it "
                f"as in conflict with the image, from {self.struck} a sentence was struck"
            )
        yield f"{self.steps:.1f} steps a draft, {self.seconds:.0f} s"


class _Report(NamedTuple):
    sections: Sequence[SectionText]
    steps: int
    flagged: bool = False
    struck: bool = False


def evaluate(
    loaded: LoadedModel,
    seeds: Sequence[int],
    trial: Trial = Trial.PLAIN,
    *,
    batch: int = 64,
    way: Infill = Infill.IN_PLACE,
) -> Result:
    """Drafts are made as the product makes them, but `batch` at a time; `way` is for a model from left to right."""
    known, scores = every_sentence(), Scores()
    anchored: list[tuple[bool, _Report]] = []  # whether the report contradicts its anchor
    steps, started = 0, time.perf_counter()
    for first in range(0, len(seeds), batch):
        phantoms = [Phantom.of(seed) for seed in seeds[first : first + batch]]
        dictated = [_dictation(phantom, trial) for phantom in phantoms]
        said = dictated if trial is not Trial.UNANCHORED else [(None, given) for _, given in dictated]
        reports = _reports(loaded, phantoms, [anchor for anchor, _ in said], trial, way, seed=first)
        steps += sum(report.steps for report in reports)
        for phantom, (anchor, given), report in zip(phantoms, said, reports, strict=True):
            own = known if anchor is None else known | {anchor.text}
            sections = {section.name: section.text for section in report.sections}
            scores.add(phantom.facts, sections, known=own, given=given)
            if anchor is not None:
                anchored.append((_contradicts(sections, anchor), report))
    return Result(
        scores,
        steps=steps / len(seeds),
        seconds=time.perf_counter() - started,
        anchors=len(anchored),
        contradicted=sum(contradicts for contradicts, _ in anchored),
        flagged=sum(report.flagged for _, report in anchored),
        struck=sum(report.struck for _, report in anchored),
    )


def _dictation(phantom: Phantom, trial: Trial) -> tuple[Anchor | None, frozenset[str]]:
    """An anchor and the findings that it decides."""
    rng = Random(f"dictation {phantom.seed}")
    if trial is Trial.CONTRARY:
        report, chosen, finding = contrary(phantom.facts, rng)
        name, text = next((name, s.text) for name, said in report.items() for s in said if id(s) == chosen)
        return Anchor(name, text), frozenset({finding})
    if trial not in (Trial.ANCHORED, Trial.REDRAFTED, Trial.UNANCHORED):
        return None, frozenset()
    telling = [(name, s) for name, said in compose(phantom.facts, rng).items() for s in said if s.about]
    name, sentence = rng.choice(telling)
    return Anchor(name, sentence.text), sentence.about


def _reports(
    loaded: LoadedModel,
    phantoms: Sequence[Phantom],
    anchors: Sequence[Anchor | None],
    trial: Trial,
    way: Infill,
    seed: int,
) -> list[_Report]:
    said = [() if anchor is None else (anchor,) for anchor in anchors]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda phantom: phantom.image(), phantoms))
    if trial is Trial.BLANK:
        images = [np.full_like(image, 128) for image in images]
    elif trial is Trial.SHUFFLED:
        images = [*images[1:], images[0]]
    colour = [np.repeat(image[..., None], 3, axis=2) for image in images]
    if loaded.architecture == "gemma4":
        written = write_sections(loaded, [[image] for image in colour], TEMPLATE, said, _ORDER, seed=seed, way=way)
        return [_Report(sections, steps) for sections, steps in written]
    wishes = [
        Wish([image], TEMPLATE, own, _ORDER, seed + number)
        for number, (image, own) in enumerate(zip(colour, said, strict=True))
    ]
    drafter = Drafter(loaded)
    if trial is Trial.REDRAFTED:
        before = _made(drafter.draft_all([replace(wish, anchors=()) for wish in wishes]))
        wishes = [replace(wish, present=draft, reach=Reach.GAP) for wish, draft in zip(wishes, before, strict=True)]
    return [
        _Report(
            draft.sections,
            draft.steps,
            bool(draft.anchor_conflicts),
            any(struck.why is Why.OPPOSES for struck in draft.struck),
        )
        for draft in _made(drafter.draft_all(wishes))
    ]


def _made(results: Sequence[DraftText | Exception]) -> list[DraftText]:
    """Raises what went wrong first."""
    drafts = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        drafts.append(result)
    return drafts


def _contradicts(sections: dict[str, str], anchor: Anchor) -> bool:
    said = claims(" ".join(sections.values()))
    return any(set(said[finding]) != set(values) for finding, values in claims(anchor.text).items())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000, help="held-out phantoms")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--steps", type=int, help="denoising steps, instead of the model card's")
    parser.add_argument("--infill", type=Infill, choices=list(Infill), default=Infill.IN_PLACE, help="left to right")
    for trial in list(Trial)[1:]:
        parser.add_argument(f"--{trial}", dest="trials", action="append_const", const=trial, help=f"also {trial}")
    options = parser.parse_args(arguments)
    loaded = checkpoint.load(options.checkpoint, options.device, architectures=["diffusion_gemma", "gemma4"])
    if options.steps:
        card = replace(loaded.card, sampler=replace(loaded.card.sampler, steps=options.steps))
        loaded = replace(loaded, card=card)
    for trial in (Trial.PLAIN, *(options.trials or ())):
        result = evaluate(
            loaded, range(HELD_OUT, HELD_OUT + options.count), trial, batch=options.batch, way=options.infill
        )
        sys.stdout.write(f"{trial}, {options.count} held-out phantoms\n")
        sys.stdout.writelines(f"  {line}\n" for line in result.lines())
        sys.stdout.flush()


if __name__ == "__main__":
    main()
