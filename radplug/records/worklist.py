"""Rows as the worklist shows them: filtered, searched, sorted and cut into pages by the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from radplug.desk import Ending
from radplug.domain import Case, CaseState, DeliveryState
from radplug.records.database import Database
from radplug.records.endings import COUNTED
from radplug.records.readers import GONE_AFTER
from radplug.records.schema import audit, cases, deliveries, desks, drafts, endings, readers
from radplug.records.viewing import case_of

PAGE = 50  # cases
LOOKS = (
    "viewed",
    "images viewed",
    "worklist viewed",
    "worklist searched",
)  # events after which nothing is otherwise than before
BEST_FIRST = (DeliveryState.DELIVERED, DeliveryState.WITHDRAWN, DeliveryState.WAITING, DeliveryState.DEAD)
DEEPEST = 10_000  # pages; who looks further searches instead


class Sort(StrEnum):
    PRIORITY = "priority"  # stat first, then what came last
    ARRIVED = "arrived"
    PATIENT = "patient"
    STATE = "state"
    MODALITY = "modality"
    CONFIDENCE = "confidence"  # least sure first


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases, in which order; an empty set or text is no filter."""

    states: frozenset[CaseState] = frozenset()
    modality: str = ""
    text: str = ""  # in the patient's name or id, the accession number, or the study's description
    sort: Sort = Sort.PRIORITY
    page: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One case in the worklist."""

    case: Case
    drafted_at: datetime | None
    doubtful: bool
    lowest: float | None  # confidence of the least sure sentence of the latest draft
    destinations: Mapping[str, DeliveryState]  # of the latest draft
    ending: Ending | None  # what somebody has done with it
    readers: Sequence[str]  # who has it open


@dataclass(frozen=True, slots=True)
class Page:
    rows: tuple[Row, ...]
    found: int  # cases on all pages
    number: int
    of: int
    counts: Mapping[CaseState, int]  # of all cases, whatever is filtered
    modalities: tuple[str, ...]
    dead: int  # documents of any case that did not arrive


@dataclass(frozen=True, slots=True)
class Moment:
    """How far the rows have come: where it differs, something has changed."""

    event: int
    arrival: datetime | None
    readers: tuple[tuple[str, str], ...]  # case and name, as far as they have it open


ENDING = (
    sa.select(endings.c.how)
    .join_from(endings, desks, (desks.c.case_id == endings.c.case_id) & (endings.c.edit == COUNTED))
    .where(desks.c.case_id == cases.c.id)
    .scalar_subquery()
    .label("ending")
)


class Worklist:
    def __init__(self, database: Database) -> None:
        self._database = database

    def moment(self, now: datetime) -> Moment:
        with self._database.reading() as connection:
            latest = sa.select(audit.c.id).where(audit.c.event.not_in(LOOKS)).order_by(audit.c.id.desc()).limit(1)
            event = connection.scalar(latest) or 0
            arrival = connection.scalar(sa.select(sa.func.max(cases.c.last_received_at)))
            return Moment(event, arrival, tuple(_readers(connection, now)))

    def page(self, wanted: Wanted, now: datetime, *, patients: bool) -> Page:
        """One page. Without `patients` neither names nor ids are searched or sorted by."""
        latest = (drafts.c.case_id == cases.c.id) & (drafts.c.version == cases.c.version)
        filters = _filters(wanted, patients)
        count = sa.select(sa.func.count()).select_from(cases).where(*filters)
        with self._database.reading() as connection:
            found = connection.scalar(count) or 0
            last = max(1, min(-(-found // PAGE), DEEPEST))
            number = min(max(wanted.page, 1), last)
            shown = (
                sa.select(cases, drafts.c.drafted_at, drafts.c.doubtful, drafts.c.lowest, ENDING)
                .outerjoin_from(cases, drafts, latest)
                .where(*filters)
                .order_by(*_order(wanted.sort, patients))
                .limit(PAGE)
                .offset((number - 1) * PAGE)
            )
            rows = connection.execute(shown).all()
            sent = _sent(connection, rows)
            with_it: dict[str, list[str]] = {}
            for case_id, name in _readers(connection, now):
                with_it.setdefault(case_id, []).append(name)
            by_state = connection.execute(sa.select(cases.c.state, sa.func.count()).group_by(cases.c.state)).all()
            dead = sa.select(sa.func.count()).where(deliveries.c.state == DeliveryState.DEAD)
            dead_letters = connection.scalar(dead) or 0
            modalities = connection.scalars(sa.select(cases.c.modality).distinct().order_by(cases.c.modality)).all()
        return Page(
            rows=tuple(_row(row, sent.get(row.id, {}), with_it.get(row.id, ())) for row in rows),
            found=found,
            number=number,
            of=last,
            counts={CaseState(state): number for state, number in by_state},
            modalities=tuple(filter(None, modalities)),
            dead=dead_letters,
        )


def _filters(wanted: Wanted, patients: bool) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = []
    if wanted.states:
        filters.append(cases.c.state.in_(sorted(wanted.states)))
    if wanted.modality:
        filters.append(cases.c.modality == wanted.modality)
    named = (cases.c.patient_name, cases.c.patient_id) if patients else ()
    for word in wanted.text.split():
        places = (cases.c.accession_number, cases.c.study_description, cases.c.body_part, cases.c.id, *named)
        filters.append(sa.or_(*(place.icontains(word, autoescape=True) for place in places)))
    return filters


def _order(sort: Sort, patients: bool) -> list[sa.ColumnElement[Any]]:
    newest = cases.c.last_received_at.desc()
    first: dict[Sort, list[sa.ColumnElement[Any]]] = {
        Sort.PRIORITY: [cases.c.priority],
        Sort.ARRIVED: [],
        Sort.PATIENT: [cases.c.patient_name] if patients else [],
        Sort.STATE: [cases.c.state],
        Sort.MODALITY: [cases.c.modality],
        Sort.CONFIDENCE: [sa.func.coalesce(drafts.c.lowest, 2.0)],
    }
    return [*first[sort], newest, cases.c.id]


def _sent(connection: sa.Connection, rows: Any) -> dict[str, dict[str, DeliveryState]]:
    """What has become of the latest drafts of some cases, by case and destination; of several documents, the worst."""
    versions = {row.id: row.version for row in rows}
    found: dict[str, dict[str, DeliveryState]] = {}
    of_these = sa.select(deliveries).where(deliveries.c.case_id.in_(versions)).order_by(deliveries.c.destination)
    for row in connection.execute(of_these):
        if versions[row.case_id] == row.version:
            of_case = found.setdefault(row.case_id, {})
            states = (of_case.get(row.destination, DeliveryState.DELIVERED), DeliveryState(row.state))
            of_case[row.destination] = max(states, key=BEST_FIRST.index)
    return found


def _readers(connection: sa.Connection, now: datetime) -> list[tuple[str, str]]:
    """Who has which case open, first who opened it first."""
    still = sa.select(readers.c.case_id, readers.c.name).where(readers.c.seen_at >= now - GONE_AFTER)
    return [(row.case_id, row.name) for row in connection.execute(still.order_by(readers.c.since, readers.c.name))]


def _row(row: sa.Row[Any], destinations: Mapping[str, DeliveryState], with_it: Sequence[str]) -> Row:
    ending = Ending(row.ending) if row.ending else None
    return Row(case_of(row), row.drafted_at, bool(row.doubtful), row.lowest, destinations, ending, with_it)
