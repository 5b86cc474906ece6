"""What a check says when it does not see what it expects, or cannot look."""

from __future__ import annotations

from typing import TypeVar

Part = TypeVar("Part")


class Failed(Exception):
    """What was seen is not what was expected; the text says what was."""


class NotApplicable(Exception):
    """It cannot be looked at here; the text says why."""


def expect(so: bool, seen: str) -> None:
    """Raises Failed with what was seen."""
    if not so:
        raise Failed(seen)


def needed(part: Part | None, missing: str) -> Part:
    """What a check cannot do without. Raises NotApplicable with what is missing."""
    if part is None:
        raise NotApplicable(missing)
    return part
