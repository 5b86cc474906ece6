"""Rows of messages from other systems: each is acted upon once, in one transaction with its answer."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from radplug.notices import (
    Cancelled,
    Dictated,
    Identities,
    Kept,
    Key,
    Nothing,
    Notice,
    Ordered,
    Signed,
    Touched,
    Withdrawn,
)
from radplug.records import patients
from radplug.records.database import Database, insert_or_ignore
from radplug.records.receiving import drop_dictations, drop_order, put_dictations, put_order
from radplug.records.schema import messages
from radplug.records.signed_reports import put_signed

_BETWEEN = b"\x1c"  # answers; no message can hold it


class Notices:
    def __init__(self, database: Database) -> None:
        self._database = database

    def kept(self, key: Key) -> Kept | None:
        """The message that was taken under this key."""
        this = (
            messages.c.application == key.application,
            messages.c.facility == key.facility,
            messages.c.control_id == key.control_id,
        )
        with self._database.reading() as connection:
            row = connection.execute(sa.select(messages).where(*this)).first()
        return Kept(row.sha256, tuple(filter(None, row.answers.split(_BETWEEN)))) if row else None

    def take(self, key: Key, kept: Kept, notice: Notice, at: datetime) -> list[Touched] | None:
        """Act upon a message and keep how it is answered, both or neither; the cases whose patient has changed.

        None where a message with its key has been taken meanwhile.
        """
        row = {
            "application": key.application,
            "facility": key.facility,
            "control_id": key.control_id,
            "sha256": kept.sha256,
            "answers": _BETWEEN.join(kept.answers),
            "at": at,
        }
        with self._database.writing() as connection:
            return _act(connection, notice, at) if insert_or_ignore(connection, messages, row) else None

    def act(self, notice: Notice, at: datetime) -> list[Touched]:
        """Act upon what somebody has brought by hand, or what is told as a whole and so cannot be told twice."""
        with self._database.writing() as connection:
            return _act(connection, notice, at)

    def forget(self, before: datetime) -> int:
        """Drop the answers to messages from before that moment; how many."""
        with self._database.writing() as connection:
            return connection.execute(sa.delete(messages).where(messages.c.at < before)).rowcount


def _act(connection: sa.Connection, notice: Notice, at: datetime) -> list[Touched]:
    match notice:
        case Ordered(order):
            put_order(connection, order, at)
        case Cancelled(accession_number):
            drop_order(connection, accession_number)
        case Dictated(phrases):
            put_dictations(connection, phrases)
        case Withdrawn(accession_number, study_uid, source):
            drop_dictations(connection, accession_number, study_uid, source, at)
        case Signed(report):
            put_signed(connection, report)
        case Identities(changes):
            return [touched for each in changes for touched in patients.change(connection, each, at)]
        case Nothing():
            pass
    return []
