"""The audit trail's hash chain: each entry carries the SHA-256 over what it says and over the hash of the one before.

The *head* is a row with the last entry's number and hash, so that an end that was cut off is missed as well. Who may
write to the database can make the whole chain anew; a head that was kept elsewhere (`kept`) tells of that too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from itertools import chain

import sqlalchemy as sa

from radplug.domain import AuditEvent
from radplug.records.database import Database
from radplug.records.schema import audit, audit_head, cases

NONE_BEFORE = "0" * 64  # what the first entry follows
AT_A_TIME = 1000  # rows that are read
HEAD = sa.select(audit_head.c.number, audit_head.c.hash).where(audit_head.c.id == 1)


class AuditTrailBroken(Exception):
    """The row with the trail's head is missing, so that nothing can be added to it."""


@dataclass(frozen=True)
class Head:
    """The last entry's number, counted from 1, and its hash (64 hexadecimal digits); of an empty trail 0 and zeros."""

    number: int
    hash: str


@dataclass(frozen=True)
class Entry:
    number: int
    said: AuditEvent
    hash: str


@dataclass(frozen=True)
class Verdict:
    """`head` is the last entry up to which all hold; `fault` says what is wrong after it, or is empty."""

    head: Head
    fault: str = ""

    @property
    def holds(self) -> bool:
        return not self.fault


class UnusableHead(Exception):
    """A file of heads has a line that is none."""


def digest(number: int, said: AuditEvent, before: str) -> str:
    """SHA-256, hexadecimal, over an entry as JSON (keys sorted, ASCII alone) with its predecessor's hash."""
    content = {
        "number": number,
        "at": said.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "event": said.event,
        "case_id": said.case_id,
        "actor": said.actor,
        "detail": said.detail,
        "before": before,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def lock_head(connection: sa.Connection) -> Head:
    """The head, which is the caller's until its transaction ends: others that would add an entry wait.

    Raises:
        AuditTrailBroken: there is no head.
    """
    return _head(connection, HEAD.with_for_update())


def append(connection: sa.Connection, before: Head, said: AuditEvent) -> Head:
    """Add an entry after the head that `lock_head` gave in the same transaction; the new head."""
    number = before.number + 1
    head = Head(number, digest(number, said, before.hash))
    row = {"at": said.at, "event": said.event, "case_id": said.case_id, "actor": said.actor, "detail": said.detail}
    connection.execute(sa.insert(audit).values(number=number, hash=head.hash, **row))
    connection.execute(sa.update(audit_head).where(audit_head.c.id == 1).values(number=number, hash=head.hash))
    return head


def head_of(database: Database) -> Head:
    """Raises AuditTrailBroken."""
    with database.reading() as connection:
        return _head(connection, HEAD)


def check(head: Head | None, entries: Iterable[Entry], kept: Mapping[int, str]) -> Verdict:
    """Walk the chain in the order of its numbers, to its first fault; `kept` are hashes that were kept elsewhere."""
    last = Head(0, NONE_BEFORE)
    if head is None:
        return Verdict(last, "the head of the trail is missing")
    for entry in entries:
        if entry.number <= last.number:
            return Verdict(last, f"entry {entry.number} was added")
        if entry.number > last.number + 1:
            return Verdict(last, _missing(last.number + 1, entry.number - 1))
        if entry.number > head.number:
            return Verdict(last, f"entry {entry.number} was added: the head says that {head.number} is the last")
        if entry.hash != digest(entry.number, entry.said, last.hash):
            return Verdict(last, f"entry {entry.number} was changed, or the hash of the one before it")
        if kept.get(entry.number, entry.hash) != entry.hash:
            said = f"entry {entry.number} has another hash than was kept: it or one before was changed"
            return Verdict(last, f"{said}, and the hashes made anew")
        last = Head(entry.number, entry.hash)
    known = max([head.number, *kept])
    if known > last.number:
        return Verdict(last, f"{_missing(last.number + 1, known)} at the end")
    if head.hash != last.hash:
        return Verdict(last, f"the head has another hash than entry {last.number}, the last: one of them was changed")
    return Verdict(last)


def verify(database: Database, kept: Mapping[int, str]) -> Verdict:
    """Check the whole trail as it stands at one moment, while others go on adding to it."""
    both = sa.select(audit_head.c.number.label("last"), audit_head.c.hash.label("last_hash"), audit)
    rows = (  # one statement sees one state of both tables
        both.select_from(audit_head.outerjoin(audit, sa.true())).where(audit_head.c.id == 1).order_by(audit.c.number)
    )
    whole = rows.execution_options(yield_per=AT_A_TIME)
    with database.reading() as connection, connection.execute(whole) as found:
        first = next(found, None)
        if first is None:
            return check(None, (), kept)
        entries = (_entry(row) for row in chain([first], found) if row.number is not None)
        return check(Head(first.last, first.last_hash), entries, kept)


def _entry(row: sa.Row[tuple[object, ...]]) -> Entry:
    return Entry(row.number, AuditEvent(row.at, row.event, row.case_id, row.actor, row.detail), row.hash)


def entries_after(database: Database, number: int, limit: int) -> list[tuple[Entry, str]]:
    """The entries after a number, in their order, each with the UID of its case's study, empty where it has none."""
    rows = sa.select(audit, cases.c.study_uid).select_from(audit.outerjoin(cases, cases.c.id == audit.c.case_id))
    with database.reading() as connection:
        found = connection.execute(rows.where(audit.c.number > number).order_by(audit.c.number).limit(limit))
        return [(_entry(row), row.study_uid or "") for row in found]


def read_heads(text: str) -> dict[int, str]:
    """Heads that were kept elsewhere, one a line as `radplug audit head` prints them: number, space, hash.

    Raises:
        UnusableHead: with the line that is none, or that contradicts another.
    """
    kept: dict[int, str] = {}
    for line, said in enumerate(text.splitlines(), 1):
        if not said.strip():
            continue
        number, _, hash_ = said.strip().partition(" ")
        if not number.isdecimal() or len(hash_) != 64 or not set(hash_) <= set("0123456789abcdef"):
            raise UnusableHead(f"line {line} is no number with a SHA-256, as `radplug audit head` prints it")
        if kept.setdefault(int(number), hash_) != hash_:
            raise UnusableHead(f"line {line} has another hash of entry {number} than a line before it")
    return kept


def _head(connection: sa.Connection, statement: sa.Select[tuple[int, str]]) -> Head:
    found = connection.execute(statement).first()
    if found is None:
        raise AuditTrailBroken("the audit trail's head is missing, somebody has removed it: restore the database")
    return Head(found.number, found.hash)


def _missing(first: int, last: int) -> str:
    return f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"
