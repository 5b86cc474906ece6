"""Drafts of phantoms never trained on, scored: `python -m model_runtime.evaluation.phantoms --checkpoint DIR`.

The checkpoint may be the diffusion model's or its left-to-right sibling's.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from model_runtime import checkpoint
from model_runtime.assembly import assemble
from model_runtime.autoregressive import Infill, write_sections
from model_runtime.canvas import Anchor, lay
from model_runtime.checkpoint import LoadedModel
from model_runtime.claims import claims
from model_runtime.draft_text import SectionText
from model_runtime.errors import DraftingError
from model_runtime.evaluation.scores import Scores
from model_runtime.infill import Job, infill
from model_runtime.phantom import Phantom
from model_runtime.prefix import read
from model_runtime.prompt import PromptFacts, encode
from model_runtime.training.anchoring import contrary
from model_runtime.training.examples import HELD_OUT, TEMPLATE
from model_runtime.wording import compose, every_sentence

_ORDER = PromptFacts("DX", "CHEST", "PA")


class Trial(StrEnum):
    """What the model is shown and told. Chance is what BLANK and SHUFFLED score."""

    PLAIN = "plain"
    BLANK = "blank"  # a grey image
    SHUFFLED = "shuffled"  # another phantom's image
    ANCHORED = "anchored"  # one true sentence is dictated; what it says is not counted
    UNANCHORED = "unanchored"  # nothing is dictated; what ANCHORED does not count is not counted here either
    CONTRARY = "contrary"  # one sentence is dictated that the image contradicts; its finding is not counted


@dataclass(frozen=True, slots=True)
class Result:
    scores: Scores
    steps: float  # mean, of denoising or of tokens
    contradicted: int  # drafts that assert the opposite of their anchor
    anchors: int
    seconds: float


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
    steps = contradicted = anchored = 0
    started = time.perf_counter()
    for first in range(0, len(seeds), batch):
        phantoms = [Phantom.of(seed) for seed in seeds[first : first + batch]]
        dictated = [_dictation(phantom, trial) for phantom in phantoms]
        said = dictated if trial is not Trial.UNANCHORED else [(None, given) for _, given in dictated]
        texts, taken = _drafts(loaded, phantoms, [anchor for anchor, _ in said], trial, way, seed=first)
        steps += taken
        for phantom, (anchor, given), sections in zip(phantoms, said, texts, strict=True):
            own = known if anchor is None else known | {anchor.text}
            scores.add(phantom.facts, sections, known=own, given=given)
            if anchor is not None:
                anchored += 1
                contradicted += _contradicts(sections, anchor)
    return Result(scores, steps / len(seeds), contradicted, anchored, time.perf_counter() - started)


def _dictation(phantom: Phantom, trial: Trial) -> tuple[Anchor | None, frozenset[str]]:
    """An anchor and the findings that it decides."""
    rng = Random(f"dictation {phantom.seed}")
    if trial is Trial.CONTRARY:
        report, chosen, finding = contrary(phantom.facts, rng)
        name, text = next((name, s.text) for name, said in report.items() for s in said if id(s) == chosen)
        return Anchor(name, text), frozenset({finding})
    if trial not in (Trial.ANCHORED, Trial.UNANCHORED):
        return None, frozenset()
    telling = [(name, s) for name, said in compose(phantom.facts, rng).items() for s in said if s.about]
    name, sentence = rng.choice(telling)
    return Anchor(name, sentence.text), sentence.about


def _drafts(
    loaded: LoadedModel,
    phantoms: Sequence[Phantom],
    anchors: Sequence[Anchor | None],
    trial: Trial,
    way: Infill,
    seed: int,
) -> tuple[list[dict[str, str]], int]:
    """Section texts of each phantom's draft, and the model's steps for all."""
    said = [() if anchor is None else (anchor,) for anchor in anchors]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda phantom: phantom.image(), phantoms))
    if trial is Trial.BLANK:
        images = [np.full_like(image, 128) for image in images]
    elif trial is Trial.SHUFFLED:
        images = [*images[1:], images[0]]
    colour = [np.repeat(image[..., None], 3, axis=2) for image in images]
    if loaded.architecture == "gemma4":
        reports = write_sections(loaded, [[image] for image in colour], TEMPLATE, said, _ORDER, seed=seed, way=way)
    else:
        reports = _denoised(loaded, colour, said, seed)
    texts = [{section.name: section.text for section in sections} for sections, _ in reports]
    return texts, sum(steps for _, steps in reports)


def _denoised(
    loaded: LoadedModel, images: Sequence[NDArray[np.uint8]], said: Sequence[Sequence[Anchor]], seed: int
) -> list[tuple[tuple[SectionText, ...], int]]:
    """The sections of each draft, and its denoising steps."""
    codec = loaded.codec
    jobs = []
    for number, (image, anchors) in enumerate(zip(images, said, strict=True)):
        layout = lay(TEMPLATE, anchors, encode=codec.encode, canvas_length=loaded.canvas_length, end_id=codec.end_id)
        inputs = encode([image], _ORDER, tokenizer=loaded.tokenizer, image_processor=loaded.image_processor)
        prefix = read(loaded, {name: tensor.to(loaded.device) for name, tensor in inputs.items()})
        jobs.append(Job(prefix, layout, seed + number))
    reports = []
    for job, canvas, anchors in zip(jobs, infill(loaded, jobs), said, strict=True):
        if isinstance(canvas, DraftingError):
            raise canvas
        tokens = list(zip(codec.pieces(canvas.ids), canvas.probabilities, strict=True))
        reports.append((assemble(TEMPLATE, anchors, job.layout, tokens), canvas.steps))
    return reports


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
        sys.stdout.writelines(f"  {line}\n" for line in result.scores.lines())
        if result.anchors:
            sys.stdout.write(f"  {result.contradicted} of {result.anchors} drafts contradict their anchor\n")
        sys.stdout.write(f"  {result.steps:.1f} steps a draft, {result.seconds:.0f} s\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
