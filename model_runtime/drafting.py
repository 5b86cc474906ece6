"""One draft under way: canvas after canvas, each laid, filled and read off before the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

import numpy as np
from numpy.typing import NDArray

from model_runtime.assembly import Token, assemble, missing
from model_runtime.canvas import Anchor, Kind, Layout, Template, lay, pages
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.contradictions import second_look
from model_runtime.contradictions.agreement import stated, strike
from model_runtime.contradictions.comparisons import strike_comparisons
from model_runtime.contradictions.second_look import conflicts
from model_runtime.denoising.gap_lengths import best_layout
from model_runtime.denoising.infill import Filled, Job
from model_runtime.draft_text import Conflict, DraftText, ModelIdentity, SectionText
from model_runtime.placement import place
from model_runtime.prompts.prefix import Prefix, extended
from model_runtime.prompts.prompt import PromptFacts
from model_runtime.redraft import Reach, keep, needs, start_of
from model_runtime.references import losses


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be drafted; `present` and `reach` for a redraft, see `Drafter.redraft`."""

    images: Sequence[NDArray[np.uint8]]  # (rows, columns, 3) each
    template: Template
    anchors: Sequence[Anchor]
    facts: PromptFacts
    seed: int
    adapter: str | None = None
    present: DraftText | None = None
    reach: Reach = Reach.REPORT
    stop: Event | None = None
    conflict_limit: float = second_look.LIMIT


class Drafting:
    """A wish being fulfilled: `job`, then `take` what came of it, until `finished`.

    Raises AnchorRefused and AnchorDoesNotFit for what cannot stand on the template, before anything is denoised.
    """

    def __init__(self, loaded: LoadedModel, wish: Wish, prefix: Prefix, identity: ModelIdentity) -> None:
        self._loaded, self._wish, self._prefix, self._identity = loaded, wish, prefix, identity
        codec, length = loaded.codec, loaded.canvas_length
        self._anchors, self._placements = place(loaded, prefix, wish.template, wish.anchors, seed=wish.seed)
        for anchor in self._anchors:
            wish.template.section(anchor.section)
        by_radiologist = stated(anchor.text for anchor in self._anchors)
        self._pages = pages(wish.template, encode=codec.encode, canvas_length=length)
        present = {section.name: section for section in wish.present.sections} if wish.present else {}
        self._kept = [
            [
                keep(present[section.name], self._of(section.name), wish.reach, by_radiologist)
                for section in page.sections
                if section.name in present
            ]
            for page in self._pages
        ]
        self._layouts = [
            lay(
                page,
                self._on(page),
                encode=codec.encode,
                canvas_length=length,
                end_id=codec.end_id,
                needs=needs(kept, codec),
            )
            for page, kept in zip(self._pages, self._kept, strict=True)
        ]
        self._sections: list[SectionText] = []
        self._conflicts: list[Conflict] = []
        self._page = self._steps = 0

    @property
    def finished(self) -> bool:
        return self._page == len(self._pages)

    def job(self) -> Job:
        """The next canvas. Raises Cancelled."""
        number, wish, codec = self._page, self._wish, self._loaded.codec
        if codec.filler_id is None:
            page, kept = self._pages[number], needs(self._kept[number], codec)
            self._layouts[number] = best_layout(
                self._loaded, self._prefix, page, self._on(page), wish.seed, kept, wish.stop
            )
        layout = self._layouts[number]
        return Job(
            self._prefix, layout, wish.seed + number, start_of(layout, self._kept[number], codec), stop=wish.stop
        )

    def so_far(self, ids: Sequence[int]) -> list[SectionText]:
        """The report if denoising ended with this canvas: finished sections and those under way, no comparison in it
        that could not stay."""
        sections = [*self._sections, *self._assembled(ids, [1.0] * len(ids))]
        return [*strike_comparisons(sections, self._wish.facts.compared)[0]]

    def take(self, filled: Filled) -> None:
        """Raises AnchorMoved."""
        page, layout = self._pages[self._page], self._layouts[self._page]
        lost = losses(self._loaded, self._prefix, layout, filled.ids, seed=self._wish.seed)
        self._sections += self._assembled(filled.ids, filled.probabilities, lost.tolist())
        self._conflicts += conflicts(
            self._loaded,
            self._prefix,
            layout,
            filled.ids,
            self._on(page),
            limit=self._wish.conflict_limit,
            seed=self._wish.seed,
        )
        self._steps += filled.steps
        self._page += 1
        if not self.finished:
            self._prefix = extended(self._loaded, self._prefix, self._read_off(filled.ids))

    def result(self) -> DraftText:
        sections, comparing = strike_comparisons(self._sections, self._wish.facts.compared)
        sections, opposing = strike(sections)
        return DraftText(
            sections=sections,
            identity=self._identity,
            steps=self._steps,
            missing=missing(self._wish.template, sections),
            placements=self._placements,
            anchor_conflicts=tuple(self._conflicts),
            struck=(*comparing, *opposing),
        )

    def _of(self, section: str) -> list[Anchor]:
        return [anchor for anchor in self._anchors if anchor.section == section]

    def _on(self, page: Template) -> list[Anchor]:
        """In the order in which they stand there."""
        return [anchor for section in page.sections for anchor in self._of(section.name)]

    def _assembled(
        self, ids: Sequence[int], probabilities: Sequence[float], lost: Sequence[Sequence[float]] | None = None
    ) -> tuple[SectionText, ...]:
        page, layout = self._pages[self._page], self._layouts[self._page]
        pieces = self._loaded.codec.pieces(ids)
        tokens = list(map(Token, pieces, probabilities, lost or [()] * len(pieces)))
        return assemble(page, self._on(page), layout, tokens)

    def _read_off(self, ids: Sequence[int]) -> list[int]:
        """The canvas as text that the next one continues: without fillers, and without what fills it up."""
        layout: Layout = self._layouts[self._page]
        (end,) = (piece for piece in layout.pieces if piece.kind is Kind.END)
        return [i for i in ids[: end.start] if i != self._loaded.codec.filler_id]
