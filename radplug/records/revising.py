"""Rows of reports whose patient's data have changed while somebody has them in hand."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from radplug.domain import CaseState, Document, Draft, Outdated
from radplug.records.database import Database
from radplug.records.drafting import put_draft
from radplug.records.schema import cases


class Revising:
    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self) -> list[Outdated]:
        """Reports to revise; those of studies that are just being drafted wait."""
        settled = cases.c.state.in_([CaseState.DRAFTED, CaseState.DELIVERED])
        rows = sa.select(cases.c.id, cases.c.revise_at).where(cases.c.revise_at.is_not(None), settled)
        with self._database.reading() as connection:
            return [Outdated(row.id, row.revise_at) for row in connection.execute(rows.order_by(cases.c.revise_at))]

    def keep(self, outdated: Outdated, draft: Draft, outgoing: Sequence[tuple[str, Document]]) -> None:
        """The same text for the patient as they are by now, with its deliveries, together or not at all.

        Raises:
            StaleWork: the case has moved on, or the patient's data have changed again.
        """
        with self._database.writing() as connection:
            follows = cases.c.version == draft.version - 1
            put_draft(connection, draft, outgoing, follows, _as_told(outdated), revise_at=None)

    def leave(self, outdated: Outdated) -> None:
        """It cannot be revised."""
        with self._database.writing() as connection:
            this = (cases.c.id == outdated.case_id, _as_told(outdated))
            connection.execute(sa.update(cases).where(*this).values(revise_at=None))


def _as_told(outdated: Outdated) -> sa.ColumnElement[bool]:
    return cases.c.revise_at == outdated.told_at
