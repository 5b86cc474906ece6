"""What an examination of the installation found: values, so that a command can show them as it likes."""

from __future__ import annotations

from dataclasses import dataclass

WAIT = 5.0  # seconds that a look gives a peer to answer


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    well: bool
    text: str  # what was found, and where it is not well: what to do
