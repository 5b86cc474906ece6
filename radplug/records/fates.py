"""What became of drafts, read from the rows of drafts, edits and endings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from model_runtime.draft_text import Author, DraftText
from radplug.desk import Ending
from radplug.insight import Fate, Kind, changed_words, edited_sentences
from radplug.records.database import Database
from radplug.records.endings import COUNTED
from radplug.records.schema import cases, desks, drafts, edits, endings

AT_ONCE = 200  # rows that are in memory together


class Fates:
    def __init__(self, database: Database) -> None:
        self._database = database

    def since(self, moment: datetime) -> list[Fate]:
        """Of every case whose first draft was made after `moment`, oldest first."""
        opened = edits.alias("opened")
        ended = edits.alias("ended")
        begun = edits.alias("begun")
        base = drafts.alias("base")
        rows = (
            sa.select(
                drafts.c.template,
                drafts.c.drafted_at,
                drafts.c.text.label("first"),
                base.c.text.label("base"),
                cases.c.first_received_at,
                opened.c.at.label("opened_at"),
                endings.c.how,
                endings.c.reason,
                endings.c.at.label("ended_at"),
                ended.c.text.label("end"),
            )
            .join_from(drafts, cases, cases.c.id == drafts.c.case_id)
            .outerjoin(opened, (opened.c.case_id == drafts.c.case_id) & (opened.c.number == 0))
            .outerjoin(desks, desks.c.case_id == drafts.c.case_id)
            .outerjoin(endings, (endings.c.case_id == desks.c.case_id) & (endings.c.edit == COUNTED))
            .outerjoin(ended, (ended.c.case_id == endings.c.case_id) & (ended.c.number == endings.c.edit))
            .outerjoin(begun, (begun.c.case_id == ended.c.case_id) & (begun.c.number == ended.c.parent))
            .outerjoin(base, (base.c.case_id == begun.c.case_id) & (base.c.version == begun.c.version))
            .where(drafts.c.version == 1, drafts.c.drafted_at >= moment)
            .order_by(drafts.c.drafted_at)
            .execution_options(yield_per=AT_ONCE)
        )
        with self._database.reading() as connection:
            return [_fate(row) for row in connection.execute(rows)]


def _fate(row: Any) -> Fate:
    first = DraftText.from_json(row.first)
    base = DraftText.from_json(row.base) if row.base else first
    end = DraftText.from_json(row.end) if row.end else None
    identity = base.identity
    return Fate(
        kind=Kind(row.template, f"{identity.name} {identity.version}", (identity.adapter or "")[:12]),
        ending=Ending(row.how) if row.how else None,
        reason=row.reason or "",
        anchors=sum(s.kind is not Author.MODEL for section in end.sections for s in section.spans) if end else 0,
        changed=changed_words(base, end) if end else {},
        edited=edited_sentences(base, end) if end else (),
        arrived_at=row.first_received_at,
        drafted_at=row.drafted_at,
        opened_at=row.opened_at,
        ended_at=row.ended_at,
    )
