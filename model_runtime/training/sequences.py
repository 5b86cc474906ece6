"""What a left-to-right model is taught: the diffusion model's examples, as it would write them.

    prompt with outline  FINDINGS:  gap  <filler>  anchor  gap  <filler>  IMPRESSION:  gap  <filler>  <eos>
                                    learnt                 learnt                      learnt

A filler ends each gap that is not full; those behind it, which leave the rest of a canvas's gap empty, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_runtime.baseline.outline import OUTLINE, PATTERN, closing_ids, outline_ids
from model_runtime.phantoms.phantom import Phantom
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.training.examples import Report, Teacher, geometry_of, shown_by

_STEP = 32  # lengths are multiples of it


class Lesson(NamedTuple):
    """Reports on a batch of phantoms, behind their prompts and padded on the right to the same length."""

    geometry: NDArray[np.float32]  # (phantoms, painting.NUMBERS)
    ids: NDArray[np.int64]  # (phantoms, reports, length)
    learnt: NDArray[np.bool_]  # (phantoms, reports, length) what the model writes: gaps and their ends
    shown: NDArray[np.int64]  # (phantoms, findings), as indices into CHOICES


def lesson(teacher: Teacher, seeds: Sequence[int]) -> Lesson:
    """The reports of `teacher.batch(seeds)`, with one order for all of them."""
    opening = teacher.prompt(seeds[0], PATTERN.partition(OUTLINE)[0])
    closing = closing_ids(teacher.tokenizer)
    phantoms = [Phantom.of(seed) for seed in seeds]
    rows: list[tuple[NDArray[np.int64], NDArray[np.bool_]]] = []
    for phantom in phantoms:
        for report in teacher.reports(phantom):
            prompt = np.array([*opening, *outline_ids(TEMPLATE, report.anchors, teacher.encode), *closing])
            ids, own = written(report, teacher)
            rows.append((np.concatenate((prompt, ids)), np.concatenate((np.zeros_like(prompt, dtype=bool), own))))
    length = -(-max(len(ids) for ids, _ in rows) // _STEP) * _STEP
    padded = [[np.pad(part, (0, length - len(part))) for part in column] for column in zip(*rows, strict=True)]
    ids, learnt = (np.stack(column).reshape(len(seeds), -1, length) for column in padded)
    geometry, shown = np.stack([*map(geometry_of, phantoms)]), np.stack([*map(shown_by, phantoms)])
    return Lesson(geometry, ids, learnt, shown)


def written(report: Report, teacher: Teacher) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The report's token ids from left to right, and which of them the model writes."""
    empty = report.canvas == teacher.filler_id
    behind = np.concatenate(([False], empty[:-1]))  # a filler stands before
    end = int(np.argmax(report.canvas == teacher.end_id))
    kept = ~(empty & behind)
    kept[end + 1 :] = False
    return report.canvas[kept], ~report.clamped[kept]
