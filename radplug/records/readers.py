"""Who has which case open."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from radplug.records.database import Database, insert_or_ignore
from radplug.records.schema import readers

GONE_AFTER = timedelta(seconds=20)  # an open page is heard of more often


class Readers:
    def __init__(self, database: Database) -> None:
        self._database = database

    def has_open(self, case_id: str, name: str, now: datetime) -> None:
        with self._database.writing() as connection:
            row = {"case_id": case_id, "name": name, "since": now, "seen_at": now}
            if insert_or_ignore(connection, readers, row):
                return
            this = (readers.c.case_id == case_id, readers.c.name == name)
            away = readers.c.seen_at < now - GONE_AFTER
            since = sa.case((away, now), else_=readers.c.since)
            connection.execute(sa.update(readers).where(*this).values(seen_at=now, since=since))

    def leaves(self, case_id: str, name: str) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.delete(readers).where(readers.c.case_id == case_id, readers.c.name == name))

    def others(self, case_id: str, name: str, now: datetime) -> tuple[str, ...]:
        """Who else has the case open, first who opened it first."""
        still = (readers.c.case_id == case_id, readers.c.name != name, readers.c.seen_at >= now - GONE_AFTER)
        with self._database.reading() as connection:
            found = sa.select(readers.c.name).where(*still).order_by(readers.c.since, readers.c.name)
            return tuple(connection.scalars(found))
