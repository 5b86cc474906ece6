"""Rows of edits: how one is added on the one that is shown, and what a desk is made of."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from model_runtime.draft_text import DraftText
from radplug.desk import (
    BadEdit,
    Desk,
    Edit,
    Ending,
    Phrase,
    StaleEdit,
    phrases_of,
)
from radplug.domain import UnknownCase
from radplug.records.database import insert_or_ignore
from radplug.records.schema import cases, desks, drafts, edits, endings

PHRASES = TypeAdapter(tuple[Phrase, ...])
WAITS = edits.c.text.is_(None) & (edits.c.refused == "")


def begin(connection: sa.Connection, case_id: str, now: datetime) -> None:
    version = connection.scalar(sa.select(cases.c.version).where(cases.c.id == case_id))
    if version is None:
        raise UnknownCase(f"there is no case {case_id!r}; `radplug cases` lists them")
    latest = (drafts.c.case_id == case_id) & (drafts.c.version == version)
    row = connection.execute(sa.select(drafts.c.text).where(latest)).first()
    if row is None:
        raise BadEdit("the case has no draft to edit yet")
    if not insert_or_ignore(connection, desks, {"case_id": case_id, "current": 0, "latest": 0}):
        return  # somebody was faster
    text = DraftText.from_json(row.text)
    connection.execute(
        sa.insert(edits).values(
            case_id=case_id,
            number=0,
            parent=0,
            version=version,
            by="radplug",
            at=now,
            what="drafted",
            phrases=PHRASES.dump_python(pinned_in(text), mode="json"),
            struck=[],
            text=row.text,
        )
    )


def advance(
    connection: sa.Connection,
    on: Edit,
    phrases: tuple[Phrase, ...],
    struck: tuple[str, ...],
    *,
    by: str,
    what: str,
    now: datetime,
    text: str | None = None,
    key: str | None = None,
) -> int:
    """Another edit on the one that is shown, and its number; without a text its gaps are to be drafted anew."""
    row = connection.execute(
        sa.update(desks)
        .where(desks.c.case_id == on.case_id, desks.c.current == on.number)
        .values(
            current=desks.c.latest + 1,
            latest=desks.c.latest + 1,
            ring_at=now if text is None else None,
            frame=None,
            revision=desks.c.revision + 1,
        )
        .returning(desks.c.current)
    ).first()
    if row is None:
        raise StaleEdit("somebody has edited this case since; look at it first")
    connection.execute(
        sa.insert(edits).values(
            case_id=on.case_id,
            number=row.current,
            parent=on.number,
            version=on.version,
            by=by,
            at=now,
            what=what,
            phrases=PHRASES.dump_python(phrases, mode="json"),
            struck=list(struck),
            text=text,
            key=key,
        )
    )
    return int(row.current)


def end(
    connection: sa.Connection, on: Edit, text: DraftText, ending: Ending, *, by: str, now: datetime, reason: str = ""
) -> Desk:
    number = advance(connection, on, on.phrases, on.struck, by=by, what=ending, now=now, text=text.as_json())
    row = {"case_id": on.case_id, "edit": number, "how": ending, "reason": reason, "by": by, "at": now}
    connection.execute(sa.insert(endings).values(row))
    return desk_of(connection, on.case_id)


def desk_of(connection: sa.Connection, case_id: str) -> Desk:
    # Its number first: whatever is read after it may be newer than the number says, never older.
    number, revision = connection.execute(
        sa.select(desks.c.current, desks.c.revision).where(desks.c.case_id == case_id)
    ).one()
    edit = _edit(connection, case_id, number)
    behind = edit
    while behind.text is None:
        behind = _edit(connection, case_id, behind.parent)
    children = sa.select(sa.func.max(edits.c.number)).where(
        edits.c.case_id == case_id, edits.c.parent == number, edits.c.number > number
    )
    later = sa.select(sa.func.max(drafts.c.version)).where(
        drafts.c.case_id == case_id,
        drafts.c.version > edit.version,
        drafts.c.accepted_by == "",
        drafts.c.revises == 0,
    )
    return Desk(
        edit,
        behind.text,
        undo=edit.parent if edit.number else None,
        redo=connection.scalar(children),
        ending=ending_of(connection, case_id, number),
        offer=connection.scalar(later),
        revision=revision,
    )


def ending_of(connection: sa.Connection, case_id: str, number: int) -> Ending | None:
    how = connection.scalar(sa.select(endings.c.how).where(endings.c.case_id == case_id, endings.c.edit == number))
    return Ending(how) if how else None


def _edit(connection: sa.Connection, case_id: str, number: int) -> Edit:
    this = (edits.c.case_id == case_id) & (edits.c.number == number)
    return edit_of(connection.execute(sa.select(edits).where(this)).one())


def edit_of(row: sa.Row[Any]) -> Edit:
    return Edit(
        case_id=row.case_id,
        number=row.number,
        parent=row.parent,
        version=row.version,
        by=row.by,
        at=row.at,
        what=row.what,
        phrases=PHRASES.validate_python(row.phrases),
        struck=tuple(row.struck),
        text=DraftText.from_json(row.text) if row.text else None,
        refused=row.refused,
    )


def pinned_in(text: DraftText) -> tuple[Phrase, ...]:
    spans = sum(len(section.spans) for section in text.sections)
    return phrases_of(text, [secrets.token_hex(4) for _ in range(spans)])
