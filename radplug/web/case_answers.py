"""Cases as the API tells them. What whoever asks may not see is null."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, cast

from pydantic import BaseModel, Field

from dicom_io.signals import Kind, Progress
from hl7.orders import Order
from radplug.completeness import Announced, Because
from radplug.desk import Ending
from radplug.domain import Case, CaseState, Delivery, DeliveryState, DocumentKind
from radplug.people import Person, Right
from radplug.priors import Prior, PriorState
from radplug.records.viewing import CaseView
from radplug.records.worklist import Page, Row
from radplug.web.draft_answers import DraftAnswer, draft_answer


class PatientAnswer(BaseModel):
    id: str
    issuer: str
    name: str = Field(description="As DICOM writes it: VR PN")
    birth_date: str = Field(description="YYYYMMDD")
    sex: str


class CaseAnswer(BaseModel):
    id: str
    state: CaseState
    reason: str = Field(description="Why it is not drafted, or has failed")
    priority: Literal["stat", "urgent", "routine"]
    rule: str = Field(description="Name of the routing rule that took it; empty: none did")
    complete_because: Because | None = Field(description="Null while it is not complete")
    lacks: str = Field(description="What it waits for, or was closed without, in words; empty: nothing that is known")
    version: int = Field(description="Of the latest draft; 0 before the first")
    accession_number: str
    study_date: str
    study_description: str
    modality: str
    body_part: str
    instances: int
    first_received_at: datetime
    last_received_at: datetime
    patient: PatientAnswer | None = Field(description="Scope patients")


class RowAnswer(CaseAnswer):
    drafted_at: datetime | None
    doubtful: bool
    lowest: float | None = Field(description="Confidence of the sentence that the model was least sure of")
    destinations: dict[str, DeliveryState] = Field(description="Of the latest draft")
    ending: Ending | None = Field(description="What somebody has done with the draft; it is one all the same")
    open_with: list[str] = Field(description="Who has the case open, first who opened it first")


class PageAnswer(BaseModel):
    cases: list[RowAnswer]
    found: int = Field(description="Cases on all pages")
    page: int
    pages: int
    counts: dict[CaseState, int] = Field(description="Of all cases, whatever is asked for")
    modalities: list[str]
    dead_letters: int


class DeliveryAnswer(BaseModel):
    case: str
    version: int
    destination: str
    kind: DocumentKind
    state: DeliveryState
    attempts: int
    outcome: str = Field(description="Of the last attempt, in words")
    retry_at: datetime | None
    delivered_at: datetime | None


class SignalAnswer(BaseModel):
    """What an MPPS or an Instance Availability Notification has announced of the study."""

    kind: Kind
    progress: Progress
    calling_ae: str
    received_at: datetime
    images: int = Field(description="That were announced")
    here: int = Field(description="Of these")


class OrderAnswer(BaseModel):
    """What the ordering side calls the study; empty is not given."""

    procedure: str
    indication: str


class PriorAnswer(BaseModel):
    """An earlier study, or an archive that could not be asked: without `study_uid`."""

    study_uid: str
    archive: str
    taken_on: date | None
    modality: str
    description: str
    state: PriorState
    why: str = Field(description="Why it is left out, in words")


class WholeCase(CaseAnswer):
    study_uid: str | None = Field(description="Scope patients")
    order: OrderAnswer | None = Field(description="Scope patients; null too where none has come")
    signals: list[SignalAnswer] = Field(description="In the order in which they came")
    priors: list[PriorAnswer] | None = Field(description="Earlier studies, the newest first. Scope patients")
    drafts: list[DraftAnswer]
    deliveries: list[DeliveryAnswer]


def page_answer(page: Page, person: Person) -> PageAnswer:
    return PageAnswer(
        cases=[_row(row, person) for row in page.rows],
        found=page.found,
        page=page.number,
        pages=page.of,
        counts=dict(page.counts),
        modalities=list(page.modalities),
        dead_letters=page.dead,
    )


def whole_case(view: CaseView, order: Order | None, signals: Sequence[Announced], person: Person) -> WholeCase:
    patients = person.may(Right.PATIENTS)
    told = OrderAnswer(procedure=order.procedure_code[2], indication=order.indication) if order else None
    return WholeCase(
        **_case(view.case, person).model_dump(),
        study_uid=view.case.study_uid if patients else None,
        order=told if patients else None,
        signals=[_signal(signal) for signal in signals],
        priors=[_prior(prior) for prior in view.priors] if patients else None,
        drafts=[draft_answer(draft, person) for draft in view.drafts],
        deliveries=[delivery_answer(delivery) for delivery in view.deliveries],
    )


def delivery_answer(delivery: Delivery) -> DeliveryAnswer:
    return DeliveryAnswer(
        case=delivery.case_id,
        version=delivery.version,
        destination=delivery.destination,
        kind=delivery.document.kind,
        state=delivery.state,
        attempts=delivery.attempts,
        outcome=delivery.outcome,
        retry_at=delivery.retry_at,
        delivered_at=delivery.delivered_at,
    )


def _case(case: Case, person: Person) -> CaseAnswer:
    p = case.patient
    patient = PatientAnswer(id=p.id, issuer=p.issuer, name=p.name, birth_date=p.birth_date, sex=p.sex)
    return CaseAnswer(
        id=case.id,
        state=case.state,
        reason=case.reason,
        priority=cast(Literal["stat", "urgent", "routine"], case.priority.name.lower()),
        rule=case.routing.rule,
        complete_because=case.complete_because,
        lacks=case.lacks,
        version=case.version,
        accession_number=case.accession_number,
        study_date=case.study_date,
        study_description=case.study_description,
        modality=case.modality,
        body_part=case.body_part,
        instances=case.instances,
        first_received_at=case.first_received_at,
        last_received_at=case.last_received_at,
        patient=patient if person.may(Right.PATIENTS) else None,
    )


def _signal(signal: Announced) -> SignalAnswer:
    return SignalAnswer(
        kind=signal.kind,
        progress=signal.progress,
        calling_ae=signal.calling_ae,
        received_at=signal.received_at,
        images=len(signal.images),
        here=signal.here,
    )


def _row(row: Row, person: Person) -> RowAnswer:
    return RowAnswer(
        **_case(row.case, person).model_dump(),
        drafted_at=row.drafted_at,
        doubtful=row.doubtful,
        lowest=row.lowest,
        destinations=dict(row.destinations),
        ending=row.ending,
        open_with=list(row.readers),
    )


def _prior(prior: Prior) -> PriorAnswer:
    return PriorAnswer(
        study_uid=prior.study_uid,
        archive=prior.archive,
        taken_on=prior.taken_on,
        modality=prior.modality,
        description=prior.description,
        state=prior.state,
        why=prior.why,
    )
