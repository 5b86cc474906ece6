"""Rows of questions about orders: for which cases the site's worklist is to be asked, and what it said."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from hl7.orders import Order
from radplug.domain import Case, CaseState
from radplug.records.database import Database, insert_or_ignore
from radplug.records.receiving import put_order
from radplug.records.schema import cases, order_queries, orders
from radplug.records.viewing import case_of

BEFORE_ITS_DRAFT = (CaseState.RECEIVING, CaseState.COMPLETE)


class OrderQueries:
    def __init__(self, database: Database) -> None:
        self._database = database

    def lease(self, now: datetime, until: datetime) -> list[tuple[Case, int]]:
        """Cases without an order that nobody asks for until then, each with the number of this attempt."""
        unordered = ~sa.exists().where(orders.c.accession_number == cases.c.accession_number)
        nameable = (cases.c.accession_number != "") | (cases.c.patient_id != "")
        nobody_asks = order_queries.c.case_id.is_(None) | (order_queries.c.ring_at <= now)
        due = (
            sa.select(cases, order_queries.c.attempts.label("asked"))
            .select_from(cases.outerjoin(order_queries))
            .where(cases.c.state.in_(BEFORE_ITS_DRAFT), unordered, nameable, nobody_asks)
        )
        with self._database.writing() as connection:
            found = [(case_of(row), (row.asked or 0) + 1) for row in connection.execute(due)]
            for case, attempt in found:
                row = {"case_id": case.id, "attempts": attempt, "ring_at": until}
                if not insert_or_ignore(connection, order_queries, row):
                    this = order_queries.c.case_id == case.id
                    connection.execute(sa.update(order_queries).where(this).values(row))
        return found

    def settle(self, case_id: str, order: Order | None, outcome: str, now: datetime, retry_at: datetime | None) -> bool:
        """Keep what was said, and the order as if it had come by itself; whether it was taken.

        One that has come by itself meanwhile is newer, and stays.
        """
        this = order_queries.c.case_id == case_id
        with self._database.writing() as connection:
            connection.execute(sa.update(order_queries).where(this).values(outcome=outcome, ring_at=retry_at))
            if order is None:
                return False
            known = sa.select(orders.c.accession_number).where(orders.c.accession_number == order.accession_number)
            if connection.execute(known).first():
                return False
            nameless = (cases.c.id == case_id, cases.c.accession_number == "")
            connection.execute(sa.update(cases).where(*nameless).values(accession_number=order.accession_number))
            put_order(connection, order, now)
            return True
