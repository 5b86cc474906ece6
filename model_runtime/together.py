"""Several drafts under way together: a denoising step reads the model's weights once for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.infill import Job, infill
from model_runtime.draft_text import DraftText, SectionText
from model_runtime.drafting import Drafting
from model_runtime.errors import DraftingError

OnFrame = Callable[[int, int, Sequence[SectionText]], None]  # a wish's index, its denoising step, its sections so far


class Frames:
    """Tells how far drafts are, each at most once in `seconds`."""

    def __init__(self, tell: OnFrame, seconds: float) -> None:
        self._tell, self._seconds = tell, seconds
        self._told: dict[int, float] = {}

    def frame(self, number: int, step: int, drafting: Drafting, ids: Sequence[int]) -> None:
        now = time.monotonic()
        if number not in self._told or now - self._told[number] >= self._seconds:
            self._told[number] = now
            self._tell(number, step, drafting.so_far(ids))


def draft_together(
    loaded: LoadedModel, draftings: Mapping[int, Drafting], frames: Frames | None, *, size: int
) -> dict[int, DraftText | DraftingError]:
    """What becomes of each, under its number; one that goes wrong leaves the others alone. `size`: see infill."""
    results: dict[int, DraftText | DraftingError] = {}
    while under_way := {number: drafting for number, drafting in draftings.items() if number not in results}:
        jobs: dict[int, Job] = {}
        for number, drafting in under_way.items():
            try:
                jobs[number] = drafting.job()
            except DraftingError as error:
                results[number] = error
        numbers = list(jobs)

        def on_step(row: int, step: int, ids: Sequence[int], numbers: Sequence[int] = numbers) -> None:
            if frames:
                frames.frame(numbers[row], step, draftings[numbers[row]], ids)

        canvases = infill(loaded, list(jobs.values()), on_step=on_step, size=size)
        for number, filled in zip(numbers, canvases, strict=True):
            try:
                if isinstance(filled, DraftingError):
                    raise filled
                draftings[number].take(filled)
                if draftings[number].finished:
                    results[number] = draftings[number].result()
            except DraftingError as error:
                results[number] = error
    return results
