"""Rows of the draft: which study is due to be closed, who may draft it, and the draft with its deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hl7.orders import Order
from radplug.completeness import Because
from radplug.domain import (
    NO_RULE,
    Case,
    CaseState,
    DeliveryState,
    Dictation,
    Document,
    Draft,
    Due,
    KeptInstance,
    Lease,
    Routing,
)
from radplug.records.comparing import awaits_priors, search_anew
from radplug.records.database import Database
from radplug.records.identities import misfits
from radplug.records.moves import move
from radplug.records.receiving import INSTANCE, ORDER
from radplug.records.schema import cases, deliveries, dictations, drafts, instances, orders
from radplug.records.viewing import KEY_IMAGES, PRIORS, ROUTING, SECTIONS

# Something was dictated for a case: the radiologist has its study before them.
AWAITED = (
    sa.exists()
    .where(
        (dictations.c.study_uid == cases.c.study_uid)
        | (cases.c.accession_number != "") & (dictations.c.accession_number == cases.c.accession_number)
    )
    .label("awaited")
)


class Drafting:
    def __init__(self, database: Database) -> None:
        self._database = database

    # ── what the clock asks ──

    def due_to_close(self, now: datetime) -> list[str]:
        """Ids of cases whose study has been quiet, or open, for long enough."""
        due = sa.select(cases.c.id).where(cases.c.state == CaseState.RECEIVING, cases.c.ring_at <= now)
        with self._database.reading() as connection:
            return list(connection.scalars(due.order_by(cases.c.ring_at)))

    def due_to_draft(self, now: datetime) -> list[Due]:
        """Complete cases that nobody is drafting: never rung for, or their worker's lease ran out."""
        complete = (cases.c.state == CaseState.COMPLETE, cases.c.ring_at <= now, ~awaits_priors(now))
        due = sa.select(cases.c.id, AWAITED).where(*complete)
        with self._database.reading() as connection:
            return [Due(row.id, row.awaited) for row in connection.execute(due.order_by(cases.c.ring_at))]

    def ring_again_at(self, case_id: str, now: datetime, at: datetime) -> None:
        """Note that the doorbell was rung for a complete case that was due at `now`; the clock looks again at `at`.

        A worker may have been faster than this note: what it has noted since stands.
        """
        due = (cases.c.id == case_id, cases.c.state == CaseState.COMPLETE, cases.c.ring_at <= now)
        with self._database.writing() as connection:
            connection.execute(sa.update(cases).where(*due).values(ring_at=at))

    def ring_all_again(self, now: datetime) -> None:
        """The queue may have forgotten everything: ring for every complete case that nobody is drafting."""
        with self._database.writing() as connection:
            connection.execute(sa.update(cases).where(*_idle(now)).values(ring_at=now))

    # ── closing ──

    def deadline(self, case_id: str) -> datetime:
        """When the case's study is closed, whatever may still come."""
        with self._database.reading() as connection:
            at: datetime = connection.execute(
                sa.select(cases.c.hard_deadline_at).where(cases.c.id == case_id)
            ).scalar_one()
            return at

    def wait(self, case_id: str, now: datetime, until: datetime, lacks: str) -> bool:
        """Keep a study open, which lacks something; whether that is news. Does nothing where an image came just now."""
        due = (cases.c.id == case_id, cases.c.state == CaseState.RECEIVING, cases.c.ring_at <= now)
        with self._database.writing() as connection:
            before = connection.scalar(sa.select(cases.c.lacks).where(*due).with_for_update())
            connection.execute(sa.update(cases).where(*due).values(ring_at=until, lacks=lacks))
            return before is not None and before != lacks

    def close(
        self,
        case_id: str,
        now: datetime,
        routing: Routing = NO_RULE,
        because: Because = Because.QUIET,
        lacks: str = "",
        priors_until: datetime | None = None,
    ) -> None:
        """The study is complete, and to be drafted, or not, as the rules say; its draft waits for priors until then.

        Raises StaleWork where an image came in the meantime, or it is closed already.
        """
        reason = routing.not_drafted
        state = CaseState.NOT_DRAFTED if reason else CaseState.COMPLETE
        kept: dict[str, Any] = {"reason": reason, "ring_at": None if reason else now, "closed_at": now, "attempts": 0}
        kept |= {"complete_because": because, "lacks": lacks}
        kept["routing"] = ROUTING.dump_python(routing, mode="json")
        if routing.priority is not None:
            kept["priority"] = routing.priority
        with self._database.writing() as connection:
            move(connection, case_id, state, cases.c.ring_at <= now, **kept)
            search_anew(connection, case_id, now, priors_until)

    # ── drafting ──

    def waiting(self, now: datetime, most: int) -> list[str]:
        """Ids of complete cases that nobody has tried to draft yet: awaited ones first, then who waits longest."""
        untried = sa.select(cases.c.id).where(*_idle(now), cases.c.attempts == 0)
        first = untried.order_by(AWAITED.desc(), cases.c.closed_at, cases.c.id).limit(most)
        with self._database.reading() as connection:
            return list(connection.scalars(first))

    def lease(self, case_id: str, owner: str, now: datetime, until: datetime) -> Lease | None:
        """The right to draft a complete case, or None where another worker has it or there is nothing to draft."""
        with self._database.writing() as connection:
            taken = connection.execute(
                sa.update(cases)
                .where(cases.c.id == case_id, *_idle(now))
                .values(
                    lease_owner=owner,
                    lease_until=until,
                    ring_at=until,
                    fence=cases.c.fence + 1,
                    attempts=cases.c.attempts + 1,
                )
                .returning(cases.c.fence, cases.c.attempts)
            ).first()
        return Lease(case_id, owner, taken.fence, taken.attempts) if taken else None

    def extend(self, lease: Lease, until: datetime) -> bool:
        """Hold a lease longer; False where it is lost."""
        with self._database.writing() as connection:
            held = connection.execute(
                sa.update(cases)
                .where(cases.c.id == lease.case_id, cases.c.fence == lease.fence, cases.c.state == CaseState.COMPLETE)
                .values(lease_until=until, ring_at=until)
            )
            return held.rowcount == 1

    def release(self, lease: Lease, ring_at: datetime, reason: str) -> None:
        """Give a case back undrafted, to be tried again at `ring_at`."""
        with self._database.writing() as connection:
            connection.execute(
                sa.update(cases)
                .where(cases.c.id == lease.case_id, cases.c.fence == lease.fence, cases.c.state == CaseState.COMPLETE)
                .values(lease_until=None, ring_at=ring_at, reason=reason)
            )

    def instances(self, case_id: str) -> list[KeptInstance]:
        """The case's instances; of several with one SOP Instance UID, the one received last."""
        rows = (
            sa.select(instances).where(instances.c.case_id == case_id).order_by(instances.c.received_at, instances.c.id)
        )
        with self._database.reading() as connection:
            found = [
                KeptInstance(INSTANCE.validate_python(r.facts), r.file, r.calling_ae, r.called_ae)
                for r in connection.execute(rows)
            ]
        return list({(k.instance.series_uid, k.instance.sop_instance_uid): k for k in found}.values())

    def order(self, case: Case) -> Order | None:
        """The order with the case's accession number; none where it cannot be the case's, see `patient_guard`."""
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(orders.c.facts).where(orders.c.accession_number == case.accession_number)
            ).first()
            order = ORDER.validate_python(row.facts) if row and case.accession_number else None
            return None if misfits(connection, case.id, order) else order

    def dictations(self, case: Case) -> list[Dictation]:
        """What was dictated for the case's study, in the order in which it was said."""
        concerns = dictations.c.study_uid == case.study_uid
        if case.accession_number:
            concerns |= dictations.c.accession_number == case.accession_number
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(dictations).where(concerns).order_by(dictations.c.id))
            return [Dictation(r.section, r.text, r.source, r.said_at, r.accession_number, r.study_uid) for r in rows]

    def keep(self, lease: Lease, draft: Draft, outgoing: Sequence[tuple[str, Document]]) -> None:
        """Record a draft and one delivery for each (destination, document), together or not at all.

        Raises:
            StaleWork: the lease is lost: a late image came, or another worker took over.
        """
        with self._database.writing() as connection:
            held = cases.c.fence == lease.fence
            put_draft(connection, draft, outgoing, held, ring_at=None, lease_until=None, reason="")

    def set_aside(self, lease: Lease, state: CaseState, reason: str) -> None:
        """End a case without a draft (NOT_DRAFTED or FAILED). Raises StaleWork where the lease is lost."""
        with self._database.writing() as connection:
            held = cases.c.fence == lease.fence
            move(connection, lease.case_id, state, held, reason=reason, ring_at=None, lease_until=None)


def _idle(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """A complete case that nobody is drafting, and whose draft waits for nothing."""
    free = cases.c.lease_until.is_(None) | (cases.c.lease_until <= now)
    return cases.c.state == CaseState.COMPLETE, free, ~awaits_priors(now)


def put_draft(
    connection: sa.Connection,
    draft: Draft,
    outgoing: Sequence[tuple[str, Document]],
    *conditions: sa.ColumnElement[bool],
    **values: Any,
) -> None:
    """A case's next draft, and one delivery for each (destination, document).

    Raises StaleWork where the case meets not all of `conditions`.
    """
    move(connection, draft.case_id, CaseState.DRAFTED, *conditions, version=draft.version, **values)
    connection.execute(
        sa.insert(drafts).values(
            case_id=draft.case_id,
            version=draft.version,
            template=draft.template,
            title=asdict(draft.title),
            sections=SECTIONS.dump_python(draft.sections, mode="json"),
            text=draft.text.as_json(),
            doubtful=draft.doubtful,
            lowest=draft.text.confidence.lowest if draft.text.confidence else None,
            images=KEY_IMAGES.dump_python(draft.images, mode="json"),
            order=ORDER.dump_python(draft.order) if draft.order else None,
            drafted_at=draft.drafted_at,
            seconds=draft.seconds,
            accepted_by=draft.accepted_by,
            offered=draft.offered,
            revises=draft.revises,
            priors=PRIORS.dump_python(draft.priors, mode="json"),
        )
    )
    for destination, document in outgoing:
        connection.execute(sa.insert(deliveries).values(_delivery(draft, destination, document)))
    if not outgoing:
        move(connection, draft.case_id, CaseState.DELIVERED)


def _delivery(draft: Draft, destination: str, document: Document) -> dict[str, object]:
    return {
        "case_id": draft.case_id,
        "version": draft.version,
        "destination": destination,
        "kind": document.kind,
        "document_id": document.id,
        "series_uid": document.series_uid,
        "file": document.file,
        "state": DeliveryState.WAITING,
        "ring_at": draft.drafted_at,
    }
