"""Rows of what leaves: which delivery is due, who attempts it, and what came of it."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from radplug.domain import CaseState, CommitmentState, Delivery, DeliveryState, DocumentKind, StaleWork
from radplug.records.database import Database, insert_or_ignore
from radplug.records.moves import move
from radplug.records.schema import cases, commitments, deliveries, destinations
from radplug.records.viewing import delivery_of

WAITING = deliveries.c.state == DeliveryState.WAITING
IN_TURN = [kind for kind in DocumentKind if kind.is_hl7]  # first in, first out for each destination


class Delivering:
    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, now: datetime) -> list[str]:
        """Ids of cases with a delivery that the doorbell must ring for."""
        due = sa.select(deliveries.c.case_id).where(WAITING, deliveries.c.ring_at <= now).distinct()
        with self._database.reading() as connection:
            return list(connection.scalars(due))

    def ring_again_at(self, case_id: str, now: datetime, at: datetime) -> None:
        """Note that the doorbell was rung for a case's due deliveries; the clock looks again at `at`."""
        due = (deliveries.c.case_id == case_id, WAITING, deliveries.c.ring_at <= now)
        with self._database.writing() as connection:
            connection.execute(sa.update(deliveries).where(*due).values(ring_at=at))

    def ring_all_again(self, now: datetime) -> None:
        """The queue may have forgotten everything: ring for every delivery that may be attempted."""
        with self._database.writing() as connection:
            connection.execute(sa.update(deliveries).where(WAITING, _may_go(now)).values(ring_at=now))

    def lease(self, case_id: str, now: datetime, until: datetime) -> list[Delivery]:
        """The case's deliveries to attempt now: to each destination that is up, the oldest version it lacks,
        and of messages, whatever their case, the oldest that waits for it.

        Each is leased until `until`, so a second doorbell finds nothing to do. Those to a destination that is down
        are left for the clock.
        """
        older = deliveries.alias()
        lacks_older = sa.exists().where(
            older.c.destination == deliveries.c.destination,
            older.c.state == DeliveryState.WAITING,
            sa.or_(
                sa.and_(older.c.case_id == deliveries.c.case_id, older.c.version < deliveries.c.version),
                sa.and_(older.c.kind.in_(IN_TURN), deliveries.c.kind.in_(IN_TURN), older.c.id < deliveries.c.id),
            ),
        )
        down_until = (
            sa.select(destinations.c.down_until)
            .where(destinations.c.name == deliveries.c.destination, destinations.c.down_until > now)
            .scalar_subquery()
        )
        mine = (deliveries.c.case_id == case_id, WAITING, _may_go(now))
        with self._database.writing() as connection:
            connection.execute(sa.update(deliveries).where(*mine, down_until.is_not(None)).values(ring_at=down_until))
            leased = connection.execute(
                sa.update(deliveries)
                .where(*mine, down_until.is_(None), ~lacks_older)
                .values(lease_until=until, ring_at=until, attempts=deliveries.c.attempts + 1)
                .returning(*deliveries.c)
            )
            return [delivery_of(row) for row in leased]

    def delivered(self, delivery: Delivery, outcome: str, now: datetime, commit_by: datetime | None = None) -> None:
        """The destination has the document. The case is delivered once no destination lacks its latest version.

        With `commit_by` the destination is to be asked, from now on, to confirm by then that it keeps it.
        """
        with self._database.writing() as connection:
            _settle(
                connection, delivery, state=DeliveryState.DELIVERED, outcome=outcome, ring_at=None, delivered_at=now
            )
            _release_next(connection, delivery, now)
            connection.execute(sa.delete(destinations).where(destinations.c.name == delivery.destination))
            settle_case(connection, delivery.case_id)
            if commit_by:
                wanted = {"transaction_uid": f"2.25.{uuid.uuid4().int}", "delivery_id": delivery.id}
                wanted |= {"state": CommitmentState.WANTED, "ring_at": now, "until": commit_by}
                connection.execute(sa.insert(commitments).values(wanted))

    def postponed(self, delivery: Delivery, outcome: str, retry_at: datetime, down_until: datetime) -> None:
        """The destination did not take it: to be tried again at `retry_at`; others for it wait until `down_until`."""
        with self._database.writing() as connection:
            _settle(connection, delivery, outcome=outcome, ring_at=retry_at, retry_at=retry_at)
            row = {"name": delivery.destination, "failures": 1, "down_until": down_until}
            if not insert_or_ignore(connection, destinations, row):
                connection.execute(
                    sa.update(destinations)
                    .where(destinations.c.name == delivery.destination)
                    .values(failures=destinations.c.failures + 1, down_until=down_until)
                )

    def dead(self, delivery: Delivery, outcome: str, now: datetime) -> None:
        """The destination will not take it: a dead letter until somebody resends it."""
        with self._database.writing() as connection:
            _settle(connection, delivery, state=DeliveryState.DEAD, outcome=outcome, ring_at=None)
            _release_next(connection, delivery, now)

    def failures(self, destination: str) -> int:
        """Failed attempts in a row at a destination."""
        with self._database.reading() as connection:
            count = connection.scalar(sa.select(destinations.c.failures).where(destinations.c.name == destination))
        return count or 0

    def resend(self, case_id: str, now: datetime) -> int:
        """Put a case's dead letters back in the queue, as the same documents; how many."""
        fresh = {"state": DeliveryState.WAITING, "attempts": 0, "ring_at": now, "retry_at": None, "lease_until": None}
        dead = (deliveries.c.case_id == case_id, deliveries.c.state == DeliveryState.DEAD)
        of_dead = commitments.c.delivery_id.in_(sa.select(deliveries.c.id).where(*dead))
        with self._database.writing() as connection:
            connection.execute(sa.update(commitments).where(of_dead).values(state=CommitmentState.CLOSED, ring_at=None))
            return connection.execute(sa.update(deliveries).where(*dead).values(fresh)).rowcount


def settle_case(connection: sa.Connection, case_id: str) -> None:
    """The case is delivered, if no destination lacks its latest version."""
    missing = sa.exists().where(
        deliveries.c.case_id == cases.c.id,
        deliveries.c.version == cases.c.version,
        deliveries.c.state != DeliveryState.DELIVERED,
    )
    with suppress(StaleWork):  # a late image may have reopened the case
        move(connection, case_id, CaseState.DELIVERED, cases.c.state == CaseState.DRAFTED, ~missing)


def _may_go(now: datetime) -> sa.ColumnElement[bool]:
    """Nobody is at it, and it need not wait for a retry."""
    free = deliveries.c.lease_until.is_(None) | (deliveries.c.lease_until <= now)
    return free & (deliveries.c.retry_at.is_(None) | (deliveries.c.retry_at <= now))


def _settle(connection: sa.Connection, delivery: Delivery, **values: Any) -> None:
    this = (deliveries.c.id == delivery.id, WAITING)
    connection.execute(sa.update(deliveries).where(*this).values(lease_until=None, **values))


def _release_next(connection: sa.Connection, delivery: Delivery, now: datetime) -> None:
    """What has waited for this one may go at once: the case's next version, and the next message of any case."""
    there = (deliveries.c.destination == delivery.destination, WAITING)
    later = deliveries.c.case_id == delivery.case_id
    if delivery.document.kind.is_hl7:
        turn = sa.select(sa.func.min(deliveries.c.id)).where(*there, deliveries.c.kind.in_(IN_TURN))
        later |= (deliveries.c.id == turn.scalar_subquery()) & _may_go(now)
    connection.execute(sa.update(deliveries).where(*there, later).values(ring_at=now))
