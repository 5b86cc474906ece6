"""Phrases for which the radiologist named no section: each goes where the model finds it likeliest, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from model_runtime.canvas import FREE, Anchor, Kind, Section, Template, lay, pages
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.likelihood import Phrase, token_likelihoods
from model_runtime.draft_text import Placement
from model_runtime.errors import AnchorDoesNotFit
from model_runtime.prompts.prefix import Prefix

_WAYS = 4  # see token_likelihoods


def place(
    loaded: LoadedModel, prefix: Prefix, template: Template, anchors: Sequence[Anchor], *, seed: int
) -> tuple[list[Anchor], tuple[Placement, ...]]:
    """The anchors with a section each, in the same order, and how the choices were made; one decoder pass for all.

    A phrase is tried in every section by itself, on a canvas that is noise elsewhere; the sum of its tokens' log
    probabilities decides. An anchor that has a section keeps it.

    Raises:
        AnchorRefused: see `lay`.
        AnchorDoesNotFit: a phrase is too long for every section.
    """
    unplaced = [anchor for anchor in anchors if not anchor.section]
    if not unplaced:
        return list(anchors), ()
    tried: list[tuple[Anchor, Section, Phrase]] = []
    for anchor in unplaced:
        where = _everywhere(loaded, prefix, template, anchor, seed)
        tried += [(anchor, section, phrase) for section, phrase in where]
    likelihoods = token_likelihoods(loaded, [phrase for *_, phrase in tried], ways=_WAYS, seed=seed)
    choices: dict[int, Placement] = {}
    for anchor in unplaced:
        mine = [
            (section, sum(tokens))
            for (whose, section, _), tokens in zip(tried, likelihoods, strict=True)
            if whose is anchor
        ]
        shares = torch.tensor([total for _, total in mine], dtype=torch.float64).softmax(0).tolist()
        probability, section = max(zip(shares, (s.name for s, _ in mine), strict=True))
        choices[id(anchor)] = Placement(anchor.text, section, probability)
    placed = [replace(a, section=choices[id(a)].section) if id(a) in choices else a for a in anchors]
    return placed, tuple(choices[id(anchor)] for anchor in unplaced)


def _everywhere(
    loaded: LoadedModel, prefix: Prefix, template: Template, anchor: Anchor, seed: int
) -> list[tuple[Section, Phrase]]:
    """The phrase alone in each section that has room for it."""
    codec, length = loaded.codec, loaded.canvas_length
    noise = torch.randint(loaded.vocabulary_size, (length,), generator=torch.Generator().manual_seed(seed))
    found: list[tuple[Section, Phrase]] = []
    too_long: AnchorDoesNotFit | None = None
    for page in pages(template, encode=codec.encode, canvas_length=length):
        for section in page.sections:
            here = replace(anchor, section=section.name)
            try:
                layout = lay(page, [here], encode=codec.encode, canvas_length=length, end_id=codec.end_id)
            except AnchorDoesNotFit as error:
                too_long = error
                continue
            ids = torch.tensor(layout.ids)
            canvas = torch.where(ids == FREE, noise, ids).to(loaded.device)
            (piece,) = (piece for piece in layout.pieces if piece.kind is Kind.ANCHOR)
            found.append((section, Phrase(prefix, canvas, piece)))
    if too_long and not found:
        raise too_long
    return found
