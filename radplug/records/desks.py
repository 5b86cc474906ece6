"""Rows of what people do with drafts: every edit is kept; none changes but by the text that it waits for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

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
    placed,
    taken_over,
    without_struck,
)
from radplug.domain import DeliveryState, Document, Draft
from radplug.records.database import Database
from radplug.records.drafting import put_draft
from radplug.records.edits import PHRASES, WAITS, advance, begin, desk_of, edit_of, end, ending_of, pinned_in
from radplug.records.schema import cases, deliveries, desks, drafts, edits


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
                return desk_of(connection, case_id)
        with self._database.writing() as connection:
            begin(connection, case_id, now)
            return desk_of(connection, case_id)

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
                return desk_of(connection, on.case_id)
            advance(connection, on, phrases, struck, by=by, what=what, now=now, key=key)
            return desk_of(connection, on.case_id)

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
                sa.select(sa.func.count()).where(edits.c.case_id == on.case_id, edits.c.number == to, WAITS)
            )
            left = ending_of(connection, on.case_id, on.number)
            moved = connection.execute(
                sa.update(desks)
                .where(desks.c.case_id == on.case_id, desks.c.current == on.number)
                .values(current=to, ring_at=now if waits else None, frame=None, revision=desks.c.revision + 1)
            )
            if moved.rowcount != 1:
                raise StaleEdit("somebody has edited this case since; look at it first")
            if left is Ending.DISCARDED:
                _restore(connection, on.case_id, now)
            elif ending_of(connection, on.case_id, to) is Ending.DISCARDED:
                _withdraw(connection, on.case_id, "", now)
            return desk_of(connection, on.case_id)

    def accept(self, on: Edit, draft: Draft, outgoing: Sequence[tuple[str, Document]]) -> Desk:
        """The edit's text is the case's next draft, with a delivery for each (destination, document).

        Raises:
            StaleEdit: another edit is shown by now.
            StaleWork: the case has moved on.
        """
        with self._database.writing() as connection:
            follows = cases.c.version == draft.version - 1
            put_draft(connection, draft, outgoing, follows)
            on = replace(on, version=draft.version)
            return end(connection, on, draft.text, Ending.ACCEPTED, by=draft.accepted_by, now=draft.drafted_at)

    def discard(self, desk: Desk, flaw: Flaw, *, by: str, now: datetime) -> Desk:
        """Throw the draft away; what of it still waits to be sent is not. Raises StaleEdit."""
        with self._database.writing() as connection:
            _withdraw(connection, desk.edit.case_id, flaw, now)
            return end(connection, desk.edit, desk.shown, Ending.DISCARDED, by=by, now=now, reason=flaw)

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
            theirs = pinned_in(text)
            on = replace(on, version=desk.offer or on.version)
            number = advance(
                connection, on, theirs, on.struck, by=by, what="late images taken", now=now, text=text.as_json()
            )
            phrases = taken_over(theirs, on.phrases, names(text.sections))
            if phrases != theirs:
                on = replace(on, number=number)
                advance(connection, on, phrases, on.struck, by=by, what="own phrases kept", now=now)
            return desk_of(connection, on.case_id)

    def edits(self, case_id: str) -> list[Edit]:
        """Every edit that has its text, in the order in which they were made."""
        rows = sa.select(edits).where(edits.c.case_id == case_id, edits.c.text.is_not(None)).order_by(edits.c.number)
        with self._database.reading() as connection:
            return [edit_of(row) for row in connection.execute(rows)]

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
            desk = desk_of(connection, case_id)
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
