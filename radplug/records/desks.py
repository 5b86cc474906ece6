"""Rows of what people do with drafts: every edit is kept; none changes but by the text that it waits for."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, replace
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
    Flaw,
    Frame,
    Phrase,
    Sign,
    StaleEdit,
    names,
    phrases_of,
    placed,
    taken_over,
    without_struck,
)
from radplug.domain import CaseState, DeliveryState, Document, Draft, UnknownCase
from radplug.records.database import Database, insert_or_ignore
from radplug.records.drafting import insert_draft
from radplug.records.moves import move
from radplug.records.schema import cases, deliveries, desks, drafts, edits, endings

PHRASES = TypeAdapter(tuple[Phrase, ...])
_WAITS = edits.c.text.is_(None) & (edits.c.refused == "")


class Desks:
    def __init__(self, database: Database) -> None:
        self._database = database

    # ── for people ──

    def of(self, case_id: str, now: datetime) -> Desk:
        """What is before whoever opens the case; at first, its latest draft.

        Raises:
            UnknownCase: there is no such case.
            BadEdit: it has no draft.
        """
        with self._database.reading() as connection:
            if connection.execute(sa.select(desks.c.case_id).where(desks.c.case_id == case_id)).first():
                return _desk(connection, case_id)
        with self._database.writing() as connection:
            _begin(connection, case_id, now)
            return _desk(connection, case_id)

    def add(
        self,
        on: Edit,
        phrases: tuple[Phrase, ...],
        struck: tuple[str, ...],
        *,
        by: str,
        what: str,
        now: datetime,
        key: str | None = None,
    ) -> Desk:
        """An edit made on the one that is shown; its gaps are to be drafted anew.

        A `key` that has been used before brings no second edit.

        Raises:
            StaleEdit: another edit is shown by now.
        """
        with self._database.writing() as connection:
            if key is not None and connection.execute(sa.select(edits.c.number).where(edits.c.key == key)).first():
                return _desk(connection, on.case_id)
            _advance(connection, on, phrases, struck, by=by, what=what, now=now, key=key)
            return _desk(connection, on.case_id)

    def has(self, key: str) -> bool:
        """Whether an edit has been made with this key."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(edits.c.number).where(edits.c.key == key)).first() is not None

    def renew(self, case_id: str) -> None:
        """A desk on which nobody has done anything begins with the latest draft; for when nobody has it open."""
        later = sa.select(cases.c.version).where(cases.c.id == case_id).scalar_subquery()
        with self._database.writing() as connection:
            old = (edits.c.case_id == case_id, edits.c.number == 0, edits.c.version < later)
            untouched = (desks.c.case_id == case_id, desks.c.latest == 0, sa.exists().where(*old))
            if connection.execute(sa.delete(desks).where(*untouched)).rowcount:
                connection.execute(sa.delete(edits).where(edits.c.case_id == case_id))

    def go(self, on: Edit, to: int, now: datetime) -> Desk:
        """Show another edit: undo and redo. Raises StaleEdit."""
        with self._database.writing() as connection:
            waits = connection.scalar(
                sa.select(sa.func.count()).where(edits.c.case_id == on.case_id, edits.c.number == to, _WAITS)
            )
            left = _ending(connection, on.case_id, on.number)
            moved = connection.execute(
                sa.update(desks)
                .where(desks.c.case_id == on.case_id, desks.c.current == on.number)
                .values(current=to, ring_at=now if waits else None, frame=None, revision=desks.c.revision + 1)
            )
            if moved.rowcount != 1:
                raise StaleEdit("somebody has edited this case since; look at it first")
            if left is Ending.DISCARDED:
                _restore(connection, on.case_id, now)
            elif _ending(connection, on.case_id, to) is Ending.DISCARDED:
                _withdraw(connection, on.case_id, "", now)
            return _desk(connection, on.case_id)

    def accept(self, on: Edit, draft: Draft, outgoing: Sequence[tuple[str, Document]]) -> Desk:
        """The edit's text is the case's next draft, with a delivery for each (destination, document).

        Raises:
            StaleEdit: another edit is shown by now.
            StaleWork: the case has moved on.
        """
        with self._database.writing() as connection:
            follows = cases.c.version == draft.version - 1
            move(connection, on.case_id, CaseState.DRAFTED, follows, version=draft.version)
            insert_draft(connection, draft, outgoing)
            if not outgoing:
                move(connection, on.case_id, CaseState.DELIVERED)
            on = replace(on, version=draft.version)
            return _end(connection, on, draft.text, Ending.ACCEPTED, by=draft.accepted_by, now=draft.drafted_at)

    def discard(self, desk: Desk, flaw: Flaw, *, by: str, now: datetime) -> Desk:
        """Throw the draft away; what of it still waits to be sent is not. Raises StaleEdit."""
        with self._database.writing() as connection:
            _withdraw(connection, desk.edit.case_id, flaw, now)
            return _end(connection, desk.edit, desk.shown, Ending.DISCARDED, by=by, now=now, reason=flaw)

    def take(self, desk: Desk, *, by: str, now: datetime) -> Desk:
        """Go on with the later draft that is offered; what was pinned and struck before holds there too.

        Raises:
            BadEdit: none is offered.
            StaleEdit: another edit is shown by now.
        """
        on = desk.edit
        with self._database.writing() as connection:
            latest = (drafts.c.case_id == on.case_id) & (drafts.c.version == desk.offer)
            row = connection.execute(sa.select(drafts.c.text).where(latest)).first()
            if row is None:
                raise BadEdit("no later draft is offered")
            text = without_struck(DraftText.from_json(row.text), on.struck)
            theirs = _phrases_of(text)
            on = replace(on, version=desk.offer or on.version)
            number = _advance(
                connection, on, theirs, on.struck, by=by, what="late images taken", now=now, text=text.as_json()
            )
            phrases = taken_over(theirs, on.phrases, names(text.sections))
            if phrases != theirs:
                on = replace(on, number=number)
                _advance(connection, on, phrases, on.struck, by=by, what="own phrases kept", now=now)
            return _desk(connection, on.case_id)

    def edits(self, case_id: str) -> list[Edit]:
        """Every edit that has its text, in the order in which they were made."""
        rows = sa.select(edits).where(edits.c.case_id == case_id, edits.c.text.is_not(None)).order_by(edits.c.number)
        with self._database.reading() as connection:
            return [_edit_of(row) for row in connection.execute(rows)]

    def sign(self, case_id: str) -> Sign:
        """What an open page watches."""
        shown = (
            sa.select(
                cases.c.version,
                cases.c.state,
                desks.c.revision,
                desks.c.ring_at.is_not(None).label("waits"),
                desks.c.frame,
            )
            .join_from(cases, desks, cases.c.id == desks.c.case_id, isouter=True)
            .where(cases.c.id == case_id)
        )
        with self._database.reading() as connection:
            row = connection.execute(shown).one()
        return Sign(row.version, row.state, row.revision or 0, row.waits, row.frame)

    # ── for the clock and the worker ──

    def in_hand(self, case_id: str) -> bool:
        """Whether somebody has begun on the case's draft."""
        with self._database.reading() as connection:
            return bool(connection.scalar(sa.select(desks.c.latest).where(desks.c.case_id == case_id)))

    def due(self, now: datetime) -> list[str]:
        """Cases with an edit whose gaps nobody drafts."""
        with self._database.reading() as connection:
            return list(connection.scalars(sa.select(desks.c.case_id).where(desks.c.ring_at <= now)))

    def ring_again_at(self, case_id: str, at: datetime) -> None:
        with self._database.writing() as connection:
            waits = (desks.c.case_id == case_id) & desks.c.ring_at.is_not(None)
            connection.execute(sa.update(desks).where(waits).values(ring_at=at))

    def ring_all_again(self, now: datetime) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(desks).where(desks.c.ring_at.is_not(None)).values(ring_at=now))

    def waiting(self, case_id: str) -> Desk | None:
        """The desk whose shown edit waits for its text; None where there is nothing to do."""
        with self._database.reading() as connection:
            if not connection.execute(sa.select(desks.c.case_id).where(desks.c.case_id == case_id)).first():
                return None
            desk = _desk(connection, case_id)
        return desk if desk.edit.text is None and not desk.edit.refused else None

    def frame(self, edit: Edit, frame: Frame) -> bool:
        """Show how far an edit is; False where it is no longer the one that is shown."""
        return self._on_desk(edit, frame=json.dumps(asdict(frame), ensure_ascii=False))

    def keep(self, edit: Edit, text: DraftText) -> None:
        """The text of an edit, also of one that is no longer shown: undoing may come back to it."""
        phrases = PHRASES.dump_python(placed(edit.phrases, text.placements), mode="json")
        self._done(edit, text=text.as_json(), phrases=phrases)

    def refuse(self, edit: Edit, reason: str) -> None:
        self._done(edit, refused=reason)

    def _done(self, edit: Edit, **values: Any) -> None:
        this = (edits.c.case_id == edit.case_id, edits.c.number == edit.number)
        with self._database.writing() as connection:
            connection.execute(sa.update(edits).where(*this).values(values))
        self._on_desk(edit, ring_at=None, frame=None, revision=desks.c.revision + 1)

    def _on_desk(self, edit: Edit, **values: Any) -> bool:
        this = (desks.c.case_id == edit.case_id, desks.c.current == edit.number)
        with self._database.writing() as connection:
            return connection.execute(sa.update(desks).where(*this).values(values)).rowcount == 1


def _withdraw(connection: sa.Connection, case_id: str, why: str, now: datetime) -> None:
    waits = (deliveries.c.case_id == case_id, deliveries.c.state == DeliveryState.WAITING)
    free = deliveries.c.lease_until.is_(None) | (deliveries.c.lease_until <= now)
    told = {
        "state": DeliveryState.WITHDRAWN,
        "ring_at": None,
        "outcome": f"the draft was discarded{why and f': {why}'}",
    }
    connection.execute(sa.update(deliveries).where(*waits, free).values(told))


def _restore(connection: sa.Connection, case_id: str, now: datetime) -> None:
    withdrawn = (deliveries.c.case_id == case_id, deliveries.c.state == DeliveryState.WITHDRAWN)
    waits = {"state": DeliveryState.WAITING, "ring_at": now, "outcome": ""}
    connection.execute(sa.update(deliveries).where(*withdrawn).values(waits))


def _ending(connection: sa.Connection, case_id: str, number: int) -> Ending | None:
    how = connection.scalar(sa.select(endings.c.how).where(endings.c.case_id == case_id, endings.c.edit == number))
    return Ending(how) if how else None


def _begin(connection: sa.Connection, case_id: str, now: datetime) -> None:
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
            phrases=PHRASES.dump_python(_phrases_of(text), mode="json"),
            struck=[],
            text=row.text,
        )
    )


def _phrases_of(text: DraftText) -> tuple[Phrase, ...]:
    spans = sum(len(section.spans) for section in text.sections)
    return phrases_of(text, [secrets.token_hex(4) for _ in range(spans)])


def _advance(
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


def _end(
    connection: sa.Connection, on: Edit, text: DraftText, ending: Ending, *, by: str, now: datetime, reason: str = ""
) -> Desk:
    number = _advance(connection, on, on.phrases, on.struck, by=by, what=ending, now=now, text=text.as_json())
    row = {"case_id": on.case_id, "edit": number, "how": ending, "reason": reason, "by": by, "at": now}
    connection.execute(sa.insert(endings).values(row))
    return _desk(connection, on.case_id)


def _desk(connection: sa.Connection, case_id: str) -> Desk:
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
        drafts.c.case_id == case_id, drafts.c.version > edit.version, drafts.c.accepted_by == ""
    )
    return Desk(
        edit,
        behind.text,
        undo=edit.parent if edit.number else None,
        redo=connection.scalar(children),
        ending=_ending(connection, case_id, number),
        offer=connection.scalar(later),
        revision=revision,
    )


def _edit(connection: sa.Connection, case_id: str, number: int) -> Edit:
    this = (edits.c.case_id == case_id) & (edits.c.number == number)
    return _edit_of(connection.execute(sa.select(edits).where(this)).one())


def _edit_of(row: sa.Row[Any]) -> Edit:
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
