"""Rows of what people do with drafts: every edit is kept; none changes but by the text that it waits for."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from model_runtime.draft_text import DraftText
from radplug.desk import BadEdit, Desk, Edit, Frame, Phrase, StaleEdit, phrases_of, placed
from radplug.domain import UnknownCase
from radplug.records.database import Database, insert_or_ignore
from radplug.records.schema import cases, desks, drafts, edits

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
            row = connection.execute(sa.select(desks).where(desks.c.case_id == case_id)).first()
            if row is not None:
                return _desk(connection, case_id, row.current)
        with self._database.writing() as connection:
            _begin(connection, case_id, now)
            return _desk(connection, case_id, _current(connection, case_id))

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
            if key is not None:
                known = connection.execute(sa.select(edits.c.number).where(edits.c.key == key)).first()
                if known:
                    return _desk(connection, on.case_id, _current(connection, on.case_id))
            row = connection.execute(
                sa.update(desks)
                .where(desks.c.case_id == on.case_id, desks.c.current == on.number)
                .values(current=desks.c.latest + 1, latest=desks.c.latest + 1, ring_at=now, frame=None)
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
                    key=key,
                )
            )
            return _desk(connection, on.case_id, row.current)

    def go(self, on: Edit, to: int, now: datetime) -> Desk:
        """Show another edit: undo and redo. Raises StaleEdit."""
        with self._database.writing() as connection:
            waits = connection.scalar(
                sa.select(sa.func.count()).where(edits.c.case_id == on.case_id, edits.c.number == to, _WAITS)
            )
            moved = connection.execute(
                sa.update(desks)
                .where(desks.c.case_id == on.case_id, desks.c.current == on.number)
                .values(current=to, ring_at=now if waits else None, frame=None)
            )
            if moved.rowcount != 1:
                raise StaleEdit("somebody has edited this case since; look at it first")
            return _desk(connection, on.case_id, to)

    def sign(self, case_id: str) -> tuple[int, bool, str | None]:
        """What an open page watches: the edit that is shown, whether it has its text, and the frame in JSON."""
        shown = (
            sa.select(desks.c.current, _WAITS.label("waits"), desks.c.frame)
            .join_from(desks, edits, (edits.c.case_id == desks.c.case_id) & (edits.c.number == desks.c.current))
            .where(desks.c.case_id == case_id)
        )
        with self._database.reading() as connection:
            row = connection.execute(shown).first()
        return (row.current, not row.waits, row.frame) if row else (0, True, None)

    # ── for the clock and the worker ──

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
            row = connection.execute(sa.select(desks).where(desks.c.case_id == case_id)).first()
            if row is None:
                return None
            desk = _desk(connection, case_id, row.current)
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
        self._on_desk(edit, ring_at=None, frame=None)

    def _on_desk(self, edit: Edit, **values: Any) -> bool:
        this = (desks.c.case_id == edit.case_id, desks.c.current == edit.number)
        with self._database.writing() as connection:
            return connection.execute(sa.update(desks).where(*this).values(values)).rowcount == 1


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
    spans = sum(len(section.spans) for section in text.sections)
    phrases = phrases_of(text, [secrets.token_hex(4) for _ in range(spans)])
    connection.execute(
        sa.insert(edits).values(
            case_id=case_id,
            number=0,
            parent=0,
            version=version,
            by="radplug",
            at=now,
            what="drafted",
            phrases=PHRASES.dump_python(phrases, mode="json"),
            struck=[],
            text=row.text,
        )
    )


def _current(connection: sa.Connection, case_id: str) -> int:
    return int(connection.execute(sa.select(desks.c.current).where(desks.c.case_id == case_id)).scalar_one())


def _desk(connection: sa.Connection, case_id: str, number: int) -> Desk:
    edit = _edit(connection, case_id, number)
    behind = edit
    while behind.text is None:
        behind = _edit(connection, case_id, behind.parent)
    children = sa.select(sa.func.max(edits.c.number)).where(
        edits.c.case_id == case_id, edits.c.parent == number, edits.c.number > number
    )
    return Desk(edit, behind.text, edit.parent if edit.number else None, connection.scalar(children))


def _edit(connection: sa.Connection, case_id: str, number: int) -> Edit:
    this = (edits.c.case_id == case_id) & (edits.c.number == number)
    row = connection.execute(sa.select(edits).where(this)).one()
    return Edit(
        case_id=case_id,
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
