"""Rows of storage commitment, for what we have sent: who is to be asked, and what was answered."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from radplug.domain import CaseState, Commitment, CommitmentState, DeliveryState, StaleWork
from radplug.records.database import Database
from radplug.records.delivering import settle_case
from radplug.records.moves import move
from radplug.records.schema import cases, commitments, deliveries
from radplug.records.viewing import delivery_of

WANTED = commitments.c.state == CommitmentState.WANTED
OPEN = commitments.c.state.in_([CommitmentState.WANTED, CommitmentState.ASKED])


class Committing:
    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, now: datetime) -> list[str]:
        """Ids of cases of which somebody is to be asked, or has not answered in time."""
        due = sa.select(deliveries.c.case_id).join(commitments).where(OPEN, commitments.c.ring_at <= now)
        with self._database.reading() as connection:
            return list(connection.scalars(due.distinct()))

    def ring_again_at(self, case_id: str, now: datetime, at: datetime) -> None:
        """Note that the doorbell was rung; the clock looks again at `at`."""
        due = (_of_case(case_id), OPEN, commitments.c.ring_at <= now)
        with self._database.writing() as connection:
            connection.execute(sa.update(commitments).where(*due).values(ring_at=at))

    def lease(self, case_id: str, now: datetime, until: datetime) -> list[Commitment]:
        """Whom to ask now; nobody else does so before `until`."""
        free = commitments.c.retry_at.is_(None) | (commitments.c.retry_at <= now)
        leased = (
            sa.update(commitments)
            .where(_of_case(case_id), WANTED, free)
            .values(retry_at=until, ring_at=until, attempts=commitments.c.attempts + 1)
            .returning(commitments.c.transaction_uid)
        )
        with self._database.writing() as connection:
            uids = list(connection.scalars(leased))
            return _commitments(connection, commitments.c.transaction_uid.in_(uids))

    def overdue(self, case_id: str, now: datetime) -> list[Commitment]:
        with self._database.reading() as connection:
            return _commitments(connection, _of_case(case_id), OPEN, commitments.c.until <= now)

    def find(self, transaction_uid: str) -> Commitment | None:
        with self._database.reading() as connection:
            return next(iter(_commitments(connection, commitments.c.transaction_uid == transaction_uid)), None)

    def asked(self, commitment: Commitment) -> None:
        """The destination will answer; the clock looks again when that is late."""
        values = {"state": CommitmentState.ASKED, "ring_at": commitments.c.until, "outcome": ""}
        with self._database.writing() as connection:
            connection.execute(sa.update(commitments).where(_this(commitment), WANTED).values(values))

    def postponed(self, commitment: Commitment, outcome: str, retry_at: datetime) -> None:
        """It could not be asked."""
        values = {"outcome": outcome, "ring_at": retry_at, "retry_at": retry_at}
        with self._database.writing() as connection:
            connection.execute(sa.update(commitments).where(_this(commitment), WANTED).values(values))

    def committed(self, commitment: Commitment, now: datetime) -> None:
        """The destination keeps the document, even where it says so late: then it is not sent again."""
        settled = {"state": CommitmentState.COMMITTED, "ring_at": None, "settled_at": now, "outcome": ""}
        delivery = deliveries.c.id == commitment.delivery.id
        unsent = deliveries.c.state.in_([DeliveryState.WAITING, DeliveryState.DEAD])
        arrived = {"state": DeliveryState.DELIVERED, "lease_until": None, "ring_at": None, "delivered_at": now}
        with self._database.writing() as connection:
            connection.execute(sa.update(commitments).where(_this(commitment)).values(settled))
            connection.execute(sa.update(deliveries).where(delivery, unsent).values(arrived))
            connection.execute(sa.update(deliveries).where(delivery).values(outcome="stored and committed"))
            settle_case(connection, commitment.delivery.case_id)

    def failed(
        self, commitment: Commitment, state: CommitmentState, outcome: str, now: datetime, send_at: datetime | None
    ) -> bool:
        """The document is sent again at `send_at`, None: it becomes a dead letter; False: it had been settled."""
        settled = {"state": state, "outcome": outcome, "ring_at": None, "settled_at": now}
        values: dict[str, Any] = {"state": DeliveryState.DEAD, "ring_at": None}
        if send_at:
            values = {"state": DeliveryState.WAITING, "ring_at": send_at, "retry_at": send_at, "attempts": 0}
        delivered = (deliveries.c.id == commitment.delivery.id, deliveries.c.state == DeliveryState.DELIVERED)
        latest = sa.exists().where(*delivered, deliveries.c.version == cases.c.version)
        with self._database.writing() as connection:
            changed = connection.execute(sa.update(commitments).where(_this(commitment), OPEN).values(settled))
            if not changed.rowcount:
                return False
            with suppress(StaleWork):
                reopened = (cases.c.state == CaseState.DELIVERED, latest)
                move(connection, commitment.delivery.case_id, CaseState.DRAFTED, *reopened)
            connection.execute(sa.update(deliveries).where(*delivered).values(outcome=outcome, **values))
            return True

    def forget(self, before: datetime) -> None:
        """Drop what was settled before then of documents about which nothing is open."""
        others = commitments.alias()
        opened = sa.exists().where(others.c.delivery_id == commitments.c.delivery_id, others.c.settled_at.is_(None))
        with self._database.writing() as connection:
            connection.execute(sa.delete(commitments).where(commitments.c.settled_at < before, ~opened))


def _this(commitment: Commitment) -> sa.ColumnElement[bool]:
    return commitments.c.transaction_uid == commitment.transaction_uid


def _of_case(case_id: str) -> sa.ColumnElement[bool]:
    return commitments.c.delivery_id.in_(sa.select(deliveries.c.id).where(deliveries.c.case_id == case_id))


def _commitments(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> list[Commitment]:
    others = commitments.alias()
    before = (
        sa.select(sa.func.count())
        .where(
            others.c.delivery_id == commitments.c.delivery_id,
            others.c.transaction_uid != commitments.c.transaction_uid,
            others.c.state != CommitmentState.CLOSED,
        )
        .scalar_subquery()
    )
    rows = sa.select(
        deliveries,
        commitments.c.transaction_uid,
        commitments.c.state.label("commitment_state"),
        commitments.c.attempts.label("asks"),
        before.label("asked_before"),
    ).join_from(commitments, deliveries)
    return [
        Commitment(
            row.transaction_uid, delivery_of(row), CommitmentState(row.commitment_state), row.asks, row.asked_before
        )
        for row in connection.execute(rows.where(*which))
    ]
