"""Rows of who is at work: each station says that it has started, and when it is ready."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from radplug.records.database import Database
from radplug.records.schema import stations


@dataclass(frozen=True, slots=True)
class Station:
    name: str
    pid: int
    started_at: datetime
    ready_at: datetime | None
    detail: str


class Stations:
    def __init__(self, database: Database) -> None:
        self._database = database

    def started(self, name: str, at: datetime) -> None:
        """This process is now the station `name`; not ready yet."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(stations).where(stations.c.name == name))
            connection.execute(sa.insert(stations).values(name=name, pid=os.getpid(), started_at=at))

    def ready(self, name: str, at: datetime, detail: str = "") -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(stations).where(stations.c.name == name).values(ready_at=at, detail=detail))

    def stopped(self, name: str) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.delete(stations).where(stations.c.name == name, stations.c.pid == os.getpid()))

    def all(self) -> tuple[Station, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(stations).order_by(stations.c.name))
            return tuple(Station(r.name, r.pid, r.started_at, r.ready_at, r.detail) for r in rows)
