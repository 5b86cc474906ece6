"""The rules that count: the file's, and over them what was saved in the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from radplug.rules.reading import Site, parse
from radplug.rules.rule import Rule
from radplug.texts.history import Version
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


def in_use(file: RulesText, newest: Iterable[Version]) -> RulesText:
    """What counts: the `newest` version, where one was saved and not taken out of use, else the file."""
    for version in newest:
        if version.text is not None:
            return RulesText(version.text, f"the rules, version {version.version}", version.version)
    return file


def read(written: RulesText, site: Site) -> tuple[Rule, ...]:
    """Raises BadText, which names all that is wrong with them at once."""
    return parse(written.text, written.where, site)


def check(text: str, site: Site) -> Sequence[Rule]:
    """The rules that somebody has written. Raises BadText."""
    bearable(text, NEW)
    return parse(text, NEW, site)
