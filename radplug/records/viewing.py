"""Rows for whoever looks on: cases, drafts and deliveries as the domain's own words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from dicom_io.study import Patient
from model_runtime.canvas import Code, Section
from model_runtime.draft_text import DraftText
from radplug.completeness import Because
from radplug.domain import (
    NO_RULE,
    AuditEvent,
    Case,
    CaseState,
    Delivery,
    DeliveryState,
    Document,
    DocumentKind,
    Draft,
    KeyImage,
    Priority,
    Routing,
    SeveralCases,
    UnknownCase,
)
from radplug.priors import Prior
from radplug.records.database import Database
from radplug.records.receiving import ORDER
from radplug.records.schema import audit, cases, deliveries, drafts, instances, priors

KEY_IMAGES = TypeAdapter(tuple[KeyImage, ...])
ROUTING = TypeAdapter(Routing)
SECTIONS = TypeAdapter(tuple[Section, ...])
PRIORS = TypeAdapter(tuple[Prior, ...])


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case with everything that was made of it, oldest first."""

    case: Case
    drafts: tuple[Draft, ...]
    deliveries: tuple[Delivery, ...]
    events: tuple[AuditEvent, ...]
    priors: tuple[Prior, ...]  # the newest first


UNTITLED = Code("18748-4", "LN", "Diagnostic Imaging Report")  # of drafts from before titles were kept


class Viewing:
    def __init__(self, database: Database) -> None:
        self._database = database

    def case(self, case_id: str) -> Case:
        """Raises UnknownCase."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(cases).where(cases.c.id == case_id)).first()
        if row is None:
            raise UnknownCase(f"there is no case {case_id!r}; `radplug cases` lists them")
        return case_of(row)

    def case_id(self, id_or_accession: str) -> str:
        """Of a case by its id, or the only one with that accession number. Raises UnknownCase, SeveralCases."""
        named = (cases.c.id == id_or_accession) | (cases.c.accession_number == id_or_accession)
        with self._database.reading() as connection:
            found = [str(case_id) for case_id in connection.scalars(sa.select(cases.c.id).where(named))]
        if id_or_accession in found:
            return id_or_accession
        if len(found) > 1:
            raise SeveralCases(f"{len(found)} cases have this accession number; name the case by its id")
        if not found:
            raise UnknownCase("no case has this id or accession number; `radplug cases` lists them")
        return found[0]

    def case_of_study(self, study_uid: str) -> Case | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(cases).where(cases.c.study_uid == study_uid)).first()
        return case_of(row) if row else None

    def file_of(self, case_id: str, sop_instance_uid: str) -> str | None:
        """The file of an instance of the case, relative to the data directory; of several, the one received last."""
        this = (instances.c.case_id == case_id, instances.c.sop_instance_uid == sop_instance_uid)
        newest = (
            sa.select(instances.c.file).where(*this).order_by(instances.c.received_at.desc(), instances.c.id.desc())
        )
        with self._database.reading() as connection:
            return connection.scalar(newest.limit(1))

    def cases(self, limit: int = 100) -> list[Case]:
        """The cases that changed last, newest first."""
        newest = sa.select(cases).order_by(cases.c.last_received_at.desc(), cases.c.id).limit(limit)
        with self._database.reading() as connection:
            return [case_of(row) for row in connection.execute(newest)]

    def whole(self, case_id: str) -> CaseView:
        """Raises UnknownCase."""
        case, drafts, deliveries = self.case(case_id), self.drafts(case_id), self.deliveries(case_id)
        return CaseView(case, drafts, deliveries, self.events(case_id), self.priors(case_id))

    def drafts(self, case_id: str) -> tuple[Draft, ...]:
        rows = sa.select(drafts).where(drafts.c.case_id == case_id).order_by(drafts.c.version)
        with self._database.reading() as connection:
            return tuple(_draft(row) for row in connection.execute(rows))

    def deliveries(self, case_id: str) -> tuple[Delivery, ...]:
        rows = sa.select(deliveries).where(deliveries.c.case_id == case_id).order_by(deliveries.c.id)
        with self._database.reading() as connection:
            return tuple(delivery_of(row) for row in connection.execute(rows))

    def priors(self, case_id: str) -> tuple[Prior, ...]:
        """What has become of the patient's earlier studies, the newest first."""
        with self._database.reading() as connection:
            return priors_of(connection, case_id)

    def dead_letters(self) -> tuple[Delivery, ...]:
        rows = sa.select(deliveries).where(deliveries.c.state == DeliveryState.DEAD).order_by(deliveries.c.id)
        with self._database.reading() as connection:
            return tuple(delivery_of(row) for row in connection.execute(rows))

    def has_viewed(self, case_id: str, actor: str, since: datetime) -> bool:
        """Whether the audit has it that somebody has looked at a case since then."""
        found = sa.select(audit.c.id).where(
            audit.c.case_id == case_id, audit.c.actor == actor, audit.c.event == "viewed", audit.c.at >= since
        )
        with self._database.reading() as connection:
            return connection.execute(found.limit(1)).first() is not None

    def events(self, case_id: str) -> tuple[AuditEvent, ...]:
        rows = sa.select(audit).where(audit.c.case_id == case_id).order_by(audit.c.id)
        with self._database.reading() as connection:
            return tuple(AuditEvent(r.at, r.event, r.case_id, r.actor, r.detail) for r in connection.execute(rows))


def priors_of(connection: sa.Connection, case_id: str) -> tuple[Prior, ...]:
    newest = (
        sa.select(priors)
        .where(priors.c.case_id == case_id)
        .order_by(priors.c.taken_on.desc().nulls_last(), priors.c.study_uid)
    )
    rows = [
        {name: value for name, value in row._mapping.items() if name != "case_id"} for row in connection.execute(newest)
    ]
    return PRIORS.validate_python(rows)


def delivery_of(row: sa.Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        case_id=row.case_id,
        version=row.version,
        destination=row.destination,
        document=Document(DocumentKind(row.kind), row.document_id, row.series_uid, row.file),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        outcome=row.outcome,
        retry_at=row.retry_at,
        delivered_at=row.delivered_at,
    )


def case_of(row: sa.Row[Any]) -> Case:
    patient = Patient(row.patient_id, row.patient_issuer, row.patient_name, row.patient_birth_date, row.patient_sex)
    return Case(
        id=row.id,
        study_uid=row.study_uid,
        state=CaseState(row.state),
        version=row.version,
        reason=row.reason,
        patient=patient,
        accession_number=row.accession_number,
        study_date=row.study_date,
        study_description=row.study_description,
        modality=row.modality,
        body_part=row.body_part,
        priority=Priority(row.priority),
        instances=row.instances,
        first_received_at=row.first_received_at,
        last_received_at=row.last_received_at,
        closed_at=row.closed_at,
        attempts=row.attempts,
        routing=ROUTING.validate_python(row.routing) if row.routing else NO_RULE,
        complete_because=Because(row.complete_because) if row.complete_because else None,
        lacks=row.lacks,
    )


def _draft(row: sa.Row[Any]) -> Draft:
    return Draft(
        case_id=row.case_id,
        version=row.version,
        template=row.template,
        title=Code(**row.title) if row.title else UNTITLED,
        sections=SECTIONS.validate_python(row.sections or ()),
        text=DraftText.from_json(row.text),
        doubtful=row.doubtful,
        images=KEY_IMAGES.validate_python(row.images),
        order=ORDER.validate_python(row.order) if row.order else None,
        drafted_at=row.drafted_at,
        seconds=row.seconds,
        accepted_by=row.accepted_by,
        offered=row.offered,
        revises=row.revises,
        priors=PRIORS.validate_python(row.priors or ()),
    )
