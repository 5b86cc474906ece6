"""What has stood under one name: a file's text, and over it what was saved in the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar


class Kind(StrEnum):
    """What is saved in pages."""

    TEMPLATE = "template"
    RULES = "rules"

    @property
    def these(self) -> str:
        return {Kind.TEMPLATE: "this template", Kind.RULES: "these rules"}[self]


@dataclass(frozen=True, slots=True)
class Version:
    """A text as somebody saved it."""

    name: str
    version: int  # counted from 1
    text: str | None  # None: taken out of use
    by: str
    at: datetime
    why: str


class HasText(Protocol):
    @property
    def text(self) -> str: ...


File = TypeVar("File", bound=HasText)


@dataclass(frozen=True, slots=True)
class History(Generic[File]):
    """All that stands, and has stood, under one name."""

    name: str
    file: File | None
    versions: Sequence[Version]  # the newest first

    @property
    def newest(self) -> int:
        """Number of the newest version; 0 where nothing was ever saved."""
        return self.versions[0].version if self.versions else 0

    @property
    def texts(self) -> Mapping[int, str]:
        """By version; 0 is the file's."""
        saved = {version.version: version.text for version in self.versions if version.text is not None}
        return saved | ({0: self.file.text} if self.file else {})

    @property
    def in_use(self) -> int | None:
        """The version whose text counts, 0 for the file's; None where none does."""
        if self.versions and self.versions[0].text is not None:
            return self.newest
        return 0 if self.file else None
