"""What differs between two versions of a report: words that went and words that came, section by section."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from model_runtime.draft_text import SectionText


class Change(StrEnum):
    SAME = "same"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Piece:
    change: Change
    text: str


@dataclass(frozen=True, slots=True)
class SectionDifference:
    """A section's pieces in reading order: all but the new ones are the old text, all but the gone ones the new."""

    heading: str
    pieces: tuple[Piece, ...]

    @property
    def differs(self) -> bool:
        return any(piece.change is not Change.SAME for piece in self.pieces)


def difference(old: Sequence[SectionText], new: Sequence[SectionText]) -> tuple[SectionDifference, ...]:
    """In the order of the new version's sections; those that only the old one has come last."""
    before = {section.name: section for section in old}
    after = {section.name: section for section in new}
    return tuple(
        SectionDifference(
            (after.get(name) or before[name]).heading,
            tuple(_pieces(_text(before.get(name)), _text(after.get(name)))),
        )
        for name in (*after, *(name for name in before if name not in after))
    )


def _text(section: SectionText | None) -> str:
    return section.text if section else ""


def _pieces(old: str, new: str) -> Iterator[Piece]:
    before, after = _words(old), _words(new)
    for _, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if before[a:b] == after[c:d]:
            yield Piece(Change.SAME, "".join(after[c:d]))
            continue
        if a < b:
            yield Piece(Change.GONE, "".join(before[a:b]))
        if c < d:
            yield Piece(Change.NEW, "".join(after[c:d]))


def _words(text: str) -> list[str]:
    """Words and what stands between them, so that joined they are the text again."""
    return re.findall(r"\s+|\w+|[^\w\s]", text)
