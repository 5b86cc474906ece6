"""Rows of workitems: which we have claimed, or set out to claim, and how far each is."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from radplug.records.database import Database, insert_or_ignore
from radplug.records.schema import workitems


class WorkitemState(StrEnum):
    CLAIMING = "claiming"  # it may be ours already: the server has the last word
    CLAIMED = "claimed"  # its inputs are to be fetched
    FETCHED = "fetched"  # its case is on its way
    CANCELING = "canceling"  # its inputs cannot be had; `outcome` says why
    COMPLETED = "completed"
    CANCELED = "canceled"
    LOST = "lost"  # another has it


OVER = (WorkitemState.COMPLETED, WorkitemState.CANCELED, WorkitemState.LOST)


@dataclass(frozen=True, slots=True)
class Claim:
    """A workitem and the transaction under which it is ours."""

    uid: str
    transaction_uid: str
    state: WorkitemState
    study_uid: str
    attempts: int  # of the next step, in vain
    outcome: str
    claimed_at: datetime | None


class Claims:
    def __init__(self, database: Database) -> None:
        self._database = database

    def set_out(self, uid: str, now: datetime) -> bool:
        """Write down that we are going to claim a workitem; False where that was written down before."""
        row = {"uid": uid, "transaction_uid": f"2.25.{uuid.uuid4().int}", "state": WorkitemState.CLAIMING}
        with self._database.writing() as connection:
            return insert_or_ignore(connection, workitems, row | {"ring_at": now})

    def open(self) -> int:
        """How many are not over."""
        going_on = sa.select(sa.func.count()).select_from(workitems).where(workitems.c.state.not_in(OVER))
        with self._database.reading() as connection:
            return connection.scalar(going_on) or 0

    def due(self, now: datetime) -> list[Claim]:
        """Those whose next step is due, the oldest first."""
        due = sa.select(workitems).where(workitems.c.ring_at <= now).order_by(workitems.c.ring_at)
        with self._database.reading() as connection:
            return [_claim(row) for row in connection.execute(due)]

    def postpone(self, claim: Claim, at: datetime, outcome: str = "") -> None:
        """The next step was in vain, or it is too early for it."""
        attempts = claim.attempts + 1 if outcome else 0
        self._put(claim, ring_at=at, outcome=outcome or claim.outcome, attempts=attempts)

    def move(self, claim: Claim, to: WorkitemState, now: datetime, **values: Any) -> None:
        """It is a step further, and the next one is due."""
        self._put(claim, state=to, attempts=0, ring_at=None if to in OVER else now, **values)

    def _put(self, claim: Claim, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(workitems).where(workitems.c.uid == claim.uid).values(values))


def _claim(row: sa.Row[Any]) -> Claim:
    return Claim(
        row.uid,
        row.transaction_uid,
        WorkitemState(row.state),
        row.study_uid,
        row.attempts,
        row.outcome,
        row.claimed_at,
    )
