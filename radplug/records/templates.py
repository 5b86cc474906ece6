"""Rows of templates that were saved in the page: every version is kept, none ever changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from radplug.records.database import Database, insert_or_ignore
from radplug.records.schema import templates


class StaleTemplate(Exception):
    """Somebody else has saved the template meanwhile."""


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    name: str
    version: int  # counted from 1
    text: str | None  # None: taken out of use
    by: str
    at: datetime


class SavedTemplates:
    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> list[TemplateVersion]:
        """The version that counts of each name, by name."""
        other = templates.alias()
        highest = sa.select(sa.func.max(other.c.version)).where(other.c.name == templates.c.name).scalar_subquery()
        return self._read(sa.select(templates).where(templates.c.version == highest).order_by(templates.c.name))

    def versions(self, name: str) -> list[TemplateVersion]:
        """The newest first."""
        named = sa.select(templates).where(templates.c.name == name)
        return self._read(named.order_by(templates.c.version.desc()))

    def save(self, name: str, text: str | None, *, on: int, by: str, now: datetime) -> int:
        """Add a version behind `on`, the newest that its author has seen (0: none); the new one's number.

        Raises:
            StaleTemplate: `on` is not the newest.
        """
        row = {"name": name, "version": on + 1, "text": text, "by": by, "at": now}
        with self._database.writing() as connection:
            newest = connection.scalar(sa.select(sa.func.max(templates.c.version)).where(templates.c.name == name))
            if (newest or 0) != on or not insert_or_ignore(connection, templates, row):
                raise StaleTemplate("somebody has saved this template since; look at theirs first")
        return on + 1

    def _read(self, query: sa.Select[Any]) -> list[TemplateVersion]:
        with self._database.reading() as connection:
            return [TemplateVersion(*row) for row in connection.execute(query)]
