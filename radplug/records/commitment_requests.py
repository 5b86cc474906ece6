"""Rows of storage commitment, for what we were sent: who asks about which instances, and whether they were told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dicom_io.commitment import Reference, Request
from radplug.records.database import Database
from radplug.records.schema import commitment_requests, instances


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is written down."""

    id: int
    request: Request
    calling_ae: str
    duplicate: bool  # another request had its transaction UID
    attempts: int


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of an instance, as it came."""

    id: str
    sop_class_uid: str
    file: str
    sha256: str


class CommitmentRequests:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, request: Request, calling_ae: str, now: datetime, ring_at: datetime) -> None:
        """Write a request down, to be answered at `ring_at`; the same once more is answered once more."""
        references = [[each.sop_class_uid, each.sop_instance_uid] for each in request.references]
        same_uid = commitment_requests.c.transaction_uid == request.transaction_uid
        with self._database.writing() as connection:
            before = connection.execute(sa.select(commitment_requests).where(same_uid)).all()
            for row in before:
                if row.calling_ae == calling_ae and row.references == references:
                    again = {"ring_at": ring_at, "attempts": 0, "outcome": ""}
                    this = commitment_requests.c.id == row.id
                    connection.execute(sa.update(commitment_requests).where(this).values(again))
                    return
            new: dict[str, Any] = {
                "transaction_uid": request.transaction_uid,
                "calling_ae": calling_ae,
                "references": references,
            }
            new |= {"duplicate": bool(before), "ring_at": ring_at, "received_at": now}
            connection.execute(sa.insert(commitment_requests).values(new))

    def due(self, now: datetime, lease: timedelta) -> list[Asked]:
        """Those to answer now; nobody else does so while the lease lasts."""
        leased = (
            sa.update(commitment_requests)
            .where(commitment_requests.c.ring_at <= now)
            .values(ring_at=now + lease, attempts=commitment_requests.c.attempts + 1)
            .returning(*commitment_requests.c)
        )
        with self._database.writing() as connection:
            return [_asked(row) for row in connection.execute(leased)]

    def find(self, request: Request, calling_ae: str) -> Asked:
        with self._database.reading() as connection:
            rows = sa.select(commitment_requests).where(
                commitment_requests.c.transaction_uid == request.transaction_uid,
                commitment_requests.c.calling_ae == calling_ae,
            )
            found = [_asked(row) for row in connection.execute(rows)]
        return next(asked for asked in found if asked.request == request)

    def settle(self, asked: Asked, outcome: str, ring_at: datetime | None = None) -> None:
        """What came of an answer; it is tried again at `ring_at`."""
        this = commitment_requests.c.id == asked.id
        with self._database.writing() as connection:
            connection.execute(
                sa.update(commitment_requests).where(this).values(outcome=outcome[:500], ring_at=ring_at)
            )

    def copies(self, sop_instance_uid: str) -> list[Copy]:
        """What has come under that UID."""
        rows = sa.select(instances).where(instances.c.sop_instance_uid == sop_instance_uid)
        with self._database.reading() as connection:
            return [Copy(row.id, row.facts["sop_class_uid"], row.file, row.sha256) for row in connection.execute(rows)]

    def damaged(self, instance_id: str, file: str) -> bool:
        """Note that an instance's file is gone, or holds other bytes: the same instance, sent again, takes its place.

        False where that is known, or where another file has taken its place.
        """
        this = (instances.c.id == instance_id, instances.c.file == file, ~instances.c.damaged)
        with self._database.writing() as connection:
            return connection.execute(sa.update(instances).where(*this).values(damaged=True)).rowcount == 1

    def damages(self) -> int:
        """How many copies are noted as damaged."""
        with self._database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).where(instances.c.damaged)) or 0

    def forget(self, before: datetime) -> None:
        """Drop what was answered, or given up, and had come before then."""
        done = (commitment_requests.c.ring_at.is_(None), commitment_requests.c.received_at < before)
        with self._database.writing() as connection:
            connection.execute(sa.delete(commitment_requests).where(*done))


def _asked(row: sa.Row[Any]) -> Asked:
    references = tuple(Reference(*uids) for uids in row.references)
    return Asked(row.id, Request(row.transaction_uid, references), row.calling_ae, row.duplicate, row.attempts)
