"""Gemma 4 behind the same door as the diffusion model: the left-to-right baseline.

>>> drafter = AutoregressiveDrafter.load(directory)
>>> draft = drafter.draft(images, template, anchors, facts, seed=1)
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_runtime.assembly import assemble, missing
from model_runtime.baseline import outline
from model_runtime.baseline.left_to_right import write
from model_runtime.baseline.splicing import splice
from model_runtime.canvas import Anchor, Layout, Template, lay
from model_runtime.checkpoints import checkpoint
from model_runtime.checkpoints.checkpoint import Device, LoadedModel
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.contradictions.comparisons import strike_comparisons
from model_runtime.draft_text import DraftText, ModelIdentity, SectionText
from model_runtime.identity import identity_of
from model_runtime.prompts.prompt import PromptFacts


class Infill(StrEnum):
    """How a model that writes from left to right comes by a report with anchors in it."""

    IN_PLACE = "in-place"  # the prompt lists them, and each is forced when its turn comes
    SPLICED = "spliced"  # the report is written without knowing them, and they are put in afterwards


class AutoregressiveDrafter:
    """One loaded model, and how it deals with anchors. The card's `t_max` is its temperature, throughout."""

    def __init__(self, loaded: LoadedModel, way: Infill = Infill.IN_PLACE) -> None:
        self._loaded, self._way = loaded, way

    @classmethod
    def load(cls, directory: Path, device: Device = "auto", way: Infill = Infill.IN_PLACE) -> AutoregressiveDrafter:
        """Raises UnusableCheckpoint, and DraftingError where a GPU is asked for and there is none."""
        return cls(checkpoint.load(directory, device, architectures=["gemma4"]), way)

    @property
    def card(self) -> ModelCard:
        return self._loaded.card

    def draft(
        self,
        images: Sequence[NDArray[np.uint8]],
        template: Template,
        anchors: Sequence[Anchor],
        facts: PromptFacts,
        *,
        seed: int,
    ) -> DraftText:
        """A draft in which every anchor stands byte for byte; the same arguments give the same draft again.

        `images` are (rows, columns, 3). `steps` of the draft counts the model's passes, one for each token.

        Raises:
            AnchorRefused, AnchorDoesNotFit: what was dictated cannot stand on this template.
            AnchorMoved: the anchors did not come through; there is no draft.
            ValueError: no image, more than the card allows, or one of another shape.
        """
        ((sections, steps),) = write_sections(
            self._loaded, [images], template, [anchors], facts, seed=seed, way=self._way
        )
        sections, struck = strike_comparisons(sections, facts.compared)
        lacking = missing(template, sections)
        return DraftText(sections, self.identity(seed), steps, missing=lacking, struck=struck)

    def identity(self, seed: int) -> ModelIdentity:
        """Who drafts with this seed."""
        return identity_of(self._loaded, seed)


def write_sections(
    loaded: LoadedModel,
    images: Sequence[Sequence[NDArray[np.uint8]]],
    template: Template,
    anchors: Sequence[Sequence[Anchor]],
    facts: PromptFacts,
    *,
    seed: int,
    way: Infill = Infill.IN_PLACE,
) -> list[tuple[tuple[SectionText, ...], int]]:
    """Several reports in one batch: for each its images and anchors; its sections and the model's passes.

    Raises what `AutoregressiveDrafter.draft` raises.
    """
    card = loaded.card
    if (most := max(map(len, images))) > card.most_images:
        raise ValueError(f"{most} images were given, {card.name} reads at most {card.most_images}; choose")
    layouts = [_lay(loaded, template, said) for said in anchors]  # in both ways: the same phrases are refused
    told: Sequence[Sequence[Anchor]] = anchors
    if way is Infill.SPLICED:
        told = [()] * len(anchors)
        layouts = [_lay(loaded, template, ())] * len(anchors)
    prompts = [outline.encode(loaded, own, facts, template, said) for own, said in zip(images, told, strict=True)]
    inputs = outline.batch(prompts, loaded.tokenizer.pad_token_id)
    written = write(loaded, inputs, layouts, seed=seed, temperature=card.sampler.t_max)
    reports = []
    for one, layout, known, said in zip(written, layouts, told, anchors, strict=True):
        sections = assemble(template, known, layout, one.tokens)
        reports.append((sections if way is Infill.IN_PLACE else splice(sections, said), one.steps))
    return reports


def _lay(loaded: LoadedModel, template: Template, anchors: Sequence[Anchor]) -> Layout:
    """As on a canvas that is just long enough."""
    codec = loaded.codec
    tokens = sum(len(codec.encode(" " + section.heading)) + section.tokens for section in template.sections)
    return lay(template, anchors, encode=codec.encode, canvas_length=tokens + 1, end_id=codec.end_id)
