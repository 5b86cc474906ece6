"""Two texts, compared line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

CONTEXT = 3  # lines that stand unchanged around a change


class Change(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Line:
    change: Change
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """Changed lines with their surroundings."""

    first: int  # number of its first line in the newer text
    lines: tuple[Line, ...]


def difference(old: str, new: str) -> list[Passage]:
    """What became of the lines of `old`; nothing where all are the same."""
    before, after = old.splitlines(), new.splitlines()
    groups = SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(CONTEXT)
    return [Passage(group[0][3] + 1, tuple(_lines(group, before, after))) for group in groups]


def _lines(group: list[tuple[str, int, int, int, int]], before: list[str], after: list[str]) -> Iterator[Line]:
    for kind, old, old_end, new, new_end in group:
        if kind == "equal":
            yield from (Line(Change.SAME, text) for text in after[new:new_end])
        else:
            yield from (Line(Change.REMOVED, text) for text in before[old:old_end])
            yield from (Line(Change.ADDED, text) for text in after[new:new_end])
