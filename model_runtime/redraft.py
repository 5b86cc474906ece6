"""A present draft as the start of the next: what a new phrase leaves alone begins as it stands, the rest as noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from model_runtime.canvas import FREE, Anchor, Layout
from model_runtime.checkpoints.codec import TextCodec
from model_runtime.contradictions.agreement import Stated, opposes
from model_runtime.draft_text import Author, SectionText


class Reach(StrEnum):
    """How far around a change the model's text is written anew; anchors and accepted text always stay."""

    GAP = "gap"  # between the anchors on either side
    SECTION = "section"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Kept:
    """The text that each gap of a section begins with; None where it is written anew."""

    section: str
    gaps: tuple[str | None, ...]


def keep(present: SectionText, anchors: Sequence[Anchor], reach: Reach, by_radiologist: Stated) -> Kept:
    """What of a section stays around its `anchors`, which are now these.

    An anchor that the section already holds divides its text; one that is new, or one that is gone, makes the text
    between its neighbours start anew. So does whatever opposes what the report's anchors state (`by_radiologist`).
    """
    text, dictated = present.text, _dictated(present)
    found = _find([anchor.text for anchor in anchors], text)
    gaps: list[str | None] = []
    still_there = {place for place in found if place is not None}
    borders = [(0, 0), *found, (len(text), len(text))]
    for before, behind in pairwise(borders):
        if before is None or behind is None:
            gaps.append(None)
            continue
        start, stop = before[1], behind[0]
        gone = any(start < end and begin < stop for begin, end in dictated if (begin, end) not in still_there)
        between = text[start:stop].strip()
        gaps.append(None if gone or opposes(between, by_radiologist) else between)
    changed = None in gaps
    if reach is Reach.REPORT or (reach is Reach.SECTION and changed):
        gaps = [None] * len(gaps)
    return Kept(present.name, tuple(gaps))


def needs(kept: Sequence[Kept], codec: TextCodec) -> dict[str, list[int]]:
    """The tokens that each gap must hold, as `lay` wants them."""
    return {k.section: [0 if gap is None else len(_ids(gap, codec)) for gap in k.gaps] for k in kept}


def start_of(layout: Layout, kept: Sequence[Kept], codec: TextCodec) -> list[int]:
    """Ids to begin with, for each position of the canvas: kept text and fillers behind it, FREE elsewhere.

    Without a filler only the text's own positions are kept. Text that its gap has no room for is left out.
    """
    ids = [FREE] * len(layout.ids)
    for section in kept:
        for piece, text in zip(layout.gaps(section.section), section.gaps, strict=True):
            if text is None:
                continue
            written = _ids(text, codec)
            if len(written) <= piece.tokens:
                if codec.filler_id is not None:
                    written = [*written, *[codec.filler_id] * (piece.tokens - len(written))]
                ids[piece.start : piece.start + len(written)] = written
    return ids


def _ids(text: str, codec: TextCodec) -> list[int]:
    return list(codec.encode(" " + text)) if text else []


def _dictated(section: SectionText) -> list[tuple[int, int]]:
    """Where the section's anchors stand in its text."""
    places, at = [], 0
    for span in section.spans:
        if span.kind is not Author.MODEL:
            places.append((at, at + len(span.text)))
        at += len(span.text)
    return places


def _find(phrases: Sequence[str], text: str) -> list[tuple[int, int] | None]:
    """Where each phrase stands, one behind the other; None where it does not."""
    places: list[tuple[int, int] | None] = []
    at = 0
    for phrase in phrases:
        start = text.find(phrase, at)
        if start < 0:
            places.append(None)
        else:
            at = start + len(phrase)
            places.append((start, at))
    return places
