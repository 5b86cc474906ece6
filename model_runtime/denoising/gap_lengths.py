"""How long gaps are to be, for a model that has learnt no filler: several sizes are tried side by side on one prompt.

A model without a filler fills every position that it is given: a gap that is too long is stuffed, one that is too short
is cut off. So all gaps are laid by several scales, a row of one batch for each, the rows are denoised a little, and the
one is taken of whose text the model is most confident.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from threading import Event

from model_runtime.canvas import FREE, Anchor, Layout, Template, lay
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.infill import Filled, Job, infill
from model_runtime.errors import DraftingError
from model_runtime.prompts.prefix import Prefix

ROWS = 8  # sizes that are tried
_SHRINKING = 0.7  # each size to the one before
_STEPS = 4  # of denoising


def best_layout(
    loaded: LoadedModel,
    prefix: Prefix,
    template: Template,
    anchors: Sequence[Anchor],
    seed: int,
    needs: Mapping[str, Sequence[int]] | None = None,
    stop: Event | None = None,
) -> Layout:
    """The anchors on one canvas, and between them gaps of the size at which the model is most confident.

    `needs` are those of `lay`: a gap that is to hold some text gets its length. The same arguments give the same
    layout. It costs _STEPS denoising steps of ROWS canvases.

    Raises AnchorRefused and AnchorDoesNotFit: see `lay`; Cancelled where `stop` was set.
    """
    laid = partial(
        lay,
        template,
        anchors,
        encode=loaded.codec.encode,
        canvas_length=loaded.canvas_length,
        end_id=loaded.codec.end_id,
    )
    layouts = [laid(lengths=lengths) for lengths in sizes(template, laid(needs=needs), needs or {})]
    jobs = [Job(prefix, layout, seed, steps=_STEPS, stop=stop) for layout in layouts]
    confidences = []
    for layout, filled in zip(layouts, infill(loaded, jobs), strict=True):
        if isinstance(filled, DraftingError):
            raise filled
        confidences.append(_confidence(layout, filled))
    return layouts[confidences.index(max(confidences))]


def sizes(template: Template, whole: Layout, needs: Mapping[str, Sequence[int]]) -> list[dict[str, list[int]]]:
    """ROWS times the lengths of all gaps by section: those of `whole`, which fill their slots, and smaller ones.

    A gap that needs some length has it in every row.
    """
    rows = []
    for scale in (_SHRINKING**row for row in range(ROWS)):
        lengths = {}
        for section in template.sections:
            gaps = whole.gaps(section.name)
            held = needs.get(section.name, [0] * len(gaps))
            lengths[section.name] = [
                need or max(1, round(gap.tokens * scale)) for gap, need in zip(gaps, held, strict=True)
            ]
        rows.append(lengths)
    return rows


def _confidence(layout: Layout, filled: Filled) -> float:
    """The mean logarithm of the probabilities at free positions: longer gaps are not less likely for their length."""
    return fmean(
        math.log(max(p, 1e-12)) for p, fixed in zip(filled.probabilities, layout.ids, strict=True) if fixed == FREE
    )
