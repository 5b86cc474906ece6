"""What the model is taught: phantoms, and their reports laid on the canvas around anchors of every kind.

An example is a function of its seed. The layout is the product's own `lay()`, so that training and drafting cannot
disagree about where a gap begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from model_runtime.canvas import FREE, Anchor, lay
from model_runtime.errors import AnchorDoesNotFit
from model_runtime.findings import CHOICES
from model_runtime.phantoms.anchoring import Gap, Script, write
from model_runtime.phantoms.dictation import INDICATIONS, PHRASES
from model_runtime.phantoms.painting import flatten
from model_runtime.phantoms.phantom import Phantom
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts.prompt import IMAGE, PATTERN, PromptFacts, prompt_text
from model_runtime.training.architecture import SOFT_TOKENS
from model_runtime.training.vocabulary import END, FILLER

CANVAS = 256


class Example(NamedTuple):
    """A phantom and what is to be learnt of it."""

    geometry: NDArray[np.float32]  # (painting.NUMBERS,)
    canvas: NDArray[np.int64]  # (reports, CANVAS) the right token at each position
    clamped: NDArray[np.bool_]  # (reports, CANVAS) headings, anchors and the end
    shown: NDArray[np.int64]  # (findings,) what the image shows, as indices into CHOICES


@dataclass(frozen=True, slots=True)
class Report:
    """A report on the canvas, and what of it was dictated; shape (CANVAS,) each."""

    anchors: tuple[Anchor, ...]
    canvas: NDArray[np.int64]
    clamped: NDArray[np.bool_]


class Teacher:
    """Makes examples for one tokenizer, each of one phantom and several reports on it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, reports: int = 2) -> None:
        self.tokenizer = tokenizer
        self._reports = reports
        vocabulary = tokenizer.get_vocab()
        self.end_id: int = vocabulary[END]
        self.filler_id: int = vocabulary[FILLER]
        self.image_start = self.prompt(0).index(vocabulary[IMAGE])  # of every prompt's soft tokens
        encode = partial(tokenizer.encode, add_special_tokens=False, split_special_tokens=True)
        self.encode = lru_cache(maxsize=4096)(encode)

    def example(self, seed: int) -> Example:
        phantom = Phantom.of(seed)
        laid = self.reports(phantom)
        return Example(
            geometry=geometry_of(phantom),
            canvas=np.stack([report.canvas for report in laid]),
            clamped=np.stack([report.clamped for report in laid]),
            shown=shown_by(phantom),
        )

    def reports(self, phantom: Phantom) -> list[Report]:
        """The same for every model that is to learn from the phantom."""
        rng = Random(f"report {phantom.seed}")
        laid: list[Report] = []
        while len(laid) < self._reports:
            if (one := self._lay(write(phantom.facts, rng))) is not None:
                laid.append(one)
        return laid

    def batch(self, seeds: Sequence[int]) -> Example:
        """With one more axis in front: (phantoms, ...)."""
        return Example(*(np.stack(column) for column in zip(*map(self.example, seeds), strict=True)))

    def prompt(self, seed: int, pattern: str = PATTERN) -> list[int]:
        """Token ids of a prompt with one square image and an order made up from the seed."""
        text = prompt_text(_order(Random(f"prompt {seed}")), [SOFT_TOKENS], pattern)
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _lay(self, report: dict[str, Script]) -> Report | None:
        """The report on its canvas; None where some text does not fit."""
        anchors = [Anchor(name, text) for name, script in report.items() for text in script.anchors]
        try:
            layout = lay(TEMPLATE, anchors, encode=self.encode, canvas_length=CANVAS, end_id=self.end_id)
        except AnchorDoesNotFit:
            return None
        canvas = np.array(layout.ids)
        clamped = canvas != FREE
        for name, script in report.items():
            pieces = layout.gaps(name)
            if not self._fit(script.gaps, [piece.tokens for piece in pieces]):
                return None
            for piece, gap in zip(pieces, script.gaps, strict=True):
                ids = self._ids(gap)
                canvas[piece.start : piece.stop] = ids + [self.filler_id] * (piece.tokens - len(ids))
        return Report(tuple(anchors), canvas, clamped)

    def _fit(self, gaps: list[Gap], room: list[int]) -> bool:
        """Move sentences from a gap that is too small to the next, then from the last ones back; False if in vain."""
        for k in range(len(gaps) - 1):
            while gaps[k].body and len(self._ids(gaps[k])) > room[k]:
                gaps[k + 1].body.insert(0, gaps[k].body.pop())
        for k in range(len(gaps) - 1, 0, -1):
            while gaps[k].body and len(self._ids(gaps[k])) > room[k]:
                gaps[k - 1].body.append(gaps[k].body.pop(0))
        return all(len(self._ids(gap)) <= tokens for gap, tokens in zip(gaps, room, strict=True))

    def _ids(self, gap: Gap) -> list[int]:
        return [i for part in gap.parts() for i in self.encode(" " + part)]


def geometry_of(phantom: Phantom) -> NDArray[np.float32]:
    """What `painting` paints: (painting.NUMBERS,)."""
    return np.array(flatten(phantom.geometry), dtype=np.float32)


def shown_by(phantom: Phantom) -> NDArray[np.int64]:
    """Its findings as indices into CHOICES."""
    return np.array([CHOICES[finding].index(value) for finding, value in phantom.facts.table().items()])


def _order(rng: Random) -> PromptFacts:
    indication = rng.choice((rng.choice(INDICATIONS), rng.choice(PHRASES), "", ""))
    decade = rng.randrange(10, 90, 10)
    return PromptFacts(
        modality=rng.choice(("DX", "CR")),
        body_part="CHEST",
        view=rng.choice(("PA", "AP", "")),
        sex=rng.choice(("F", "M", "O", "")),
        age_band=rng.choice((f"{decade}-{decade + 9}", "")),
        indication=indication,
    )
