"""What an examination of the installation found: values, so that a command can show them as it likes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    well: bool
    text: str  # what was found, and where it is not well: what to do
