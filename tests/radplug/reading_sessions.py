"""A house that takes part in a session at the simulated hub, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from radplug.domain import Case
from radplug.fhircast import station
from radplug.records.schema import audit
from radplug.wiring import House

REPORT = "report-1"
SAID = "Small right effusion, new since 3|11; 已电话通知."


@contextmanager
def at_work(house: House) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=station.run, args=(house, house.settings.fhircast, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def phrases(home: House, case: Case) -> list[tuple[str, str]]:
    return [(each.section, each.text) for each in home.drafting.dictations(case)]


def events(home: House, event: str) -> list[dict[str, Any]]:
    with home.database.reading() as connection:
        return list(connection.scalars(sa.select(audit.c.detail).where(audit.c.event == event).order_by(audit.c.id)))
