"""Statuses as they are written, and what is done about those that say no to a document."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from radplug.settings import Settings

DEAD_LETTER: Final = "a dead letter: listed, and sent again when somebody asks for it"


def tried_again(settings: Settings) -> str:
    return f"tried again, with pauses that grow, up to {settings.delivery.attempts} times"


def ranges(statuses: Collection[int]) -> str:
    """`0110H, A700H to A7FFH`."""
    runs: list[list[int]] = []
    for status in sorted(statuses):
        if runs and status == runs[-1][-1] + 1:
            runs[-1].append(status)
        else:
            runs.append([status])
    return ", ".join(hexadecimal(run[0]) + (f" to {hexadecimal(run[-1])}" if len(run) > 1 else "") for run in runs)


def hexadecimal(status: int) -> str:
    return f"{status:04X}H"
