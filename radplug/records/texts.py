"""Rows of texts that were saved in the pages: every version is kept, none ever changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from radplug.records.database import Database, insert_or_ignore
from radplug.records.schema import saved_texts
from radplug.texts.history import Kind, Version


class StaleText(Exception):
    """Somebody else has saved the text meanwhile."""


class SavedTexts:
    """Those of one kind, by name."""

    def __init__(self, database: Database, kind: Kind) -> None:
        self._database = database
        self._kind = kind
        self._mine = saved_texts.c.kind == kind

    def newest(self) -> list[Version]:
        """The version that counts of each name, by name."""
        highest = (
            sa.select(saved_texts.c.name, sa.func.max(saved_texts.c.version).label("version"))
            .where(self._mine)
            .group_by(saved_texts.c.name)
            .subquery()
        )
        same = (saved_texts.c.name == highest.c.name) & (saved_texts.c.version == highest.c.version)
        return self._read(sa.select(saved_texts).join(highest, same).order_by(saved_texts.c.name))

    def versions(self, name: str) -> list[Version]:
        """The newest first."""
        named = sa.select(saved_texts).where(saved_texts.c.name == name)
        return self._read(named.order_by(saved_texts.c.version.desc()))

    def save(self, name: str, text: str | None, *, on: int, by: str, now: datetime, why: str = "") -> int:
        """Add a version behind `on`, the newest that its author has seen (0: none); the new one's number.

        Raises:
            StaleText: `on` is not the newest.
        """
        row = {"kind": self._kind, "name": name, "version": on + 1, "text": text, "by": by, "at": now, "why": why}
        named = (self._mine, saved_texts.c.name == name)
        with self._database.writing() as connection:
            newest = connection.scalar(sa.select(sa.func.max(saved_texts.c.version)).where(*named))
            if (newest or 0) != on or not insert_or_ignore(connection, saved_texts, row):
                raise StaleText(f"somebody has saved {self._kind.these} since; look at theirs first")
        return on + 1

    def _read(self, query: sa.Select[Any]) -> list[Version]:
        with self._database.reading() as connection:
            return [
                Version(row.name, row.version, row.text, row.by, row.at, row.why)
                for row in connection.execute(query.where(self._mine))
            ]
