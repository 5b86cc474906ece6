"""The rules that count: the file's, and over them what was saved in the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from radplug.rules.reading import Site, parse
from radplug.rules.rule import Rule
from radplug.texts.history import History
from radplug.texts.reading import bearable, text_of

NAME = "rules"  # of which there are only these
NEW = "the rules"  # where a text stands that is being written


@dataclass(frozen=True, slots=True)
class RulesText:
    """Rules as they are written, and where; version 0 is the file's, or that there are none."""

    text: str
    where: str
    version: int = 0


def read_file(file: Path | None) -> RulesText:
    """Raises UnusableText."""
    return RulesText(text_of(file), str(file)) if file else RulesText("", "no file")


def in_use(past: History[RulesText]) -> RulesText:
    if past.in_use:
        return RulesText(past.texts[past.in_use], f"the rules, version {past.in_use}", past.in_use)
    return past.file or RulesText("", "no file")


def read(written: RulesText, site: Site) -> tuple[Rule, ...]:
    """Raises BadText, which names all that is wrong with them at once."""
    return parse(written.text, written.where, site)


def check(text: str, site: Site) -> Sequence[Rule]:
    """The rules that somebody has written. Raises BadText."""
    bearable(text, NEW)
    return parse(text, NEW, site)
