"""Rows of what is known of whose a case is, for the wrong-patient guard."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from dicom_io.study import Patient
from hl7.orders import Order
from radplug.domain import Case
from radplug.patient_guard import (
    Claim,
    Identifier,
    Known,
    Source,
    contradictions,
    identifiers,
    of_order,
    of_patient,
    of_priors,
)
from radplug.records.database import Database
from radplug.records.receiving import ORDER
from radplug.records.schema import cases, drafts, instances, merges, orders
from radplug.records.viewing import PRIORS


class Identities:
    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, case_id: str, version: int) -> Known:
        """What the case, its images, its order, and the draft of that version, say at this moment."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(cases).where(cases.c.id == case_id)).one()
            this = (drafts.c.case_id == case_id, drafts.c.version == version)
            draft = connection.execute(sa.select(drafts.c.order, drafts.c.priors).where(*this)).first()
            others = _of_images(connection, case_id)
            if order := _order(connection, row.accession_number):
                others.append(of_order(order))
            if draft and draft.order:
                others.append(of_order(ORDER.validate_python(draft.order), Source.ORDER_OF_DRAFT))
            if draft:
                others += of_priors(PRIORS.validate_python(draft.priors or ()))
            return Known(_of_case(connection, row), tuple(others))

    def misfits(self, case: Case) -> tuple[str, ...]:
        """In words, how the order with the case's accession number cannot be the case's; nothing where it can."""
        with self._database.reading() as connection:
            return misfits(connection, case.id, _order(connection, case.accession_number))


def misfits(connection: sa.Connection, case_id: str, order: Order | None) -> tuple[str, ...]:
    """As `Identities.misfits`."""
    row = connection.execute(sa.select(cases).where(cases.c.id == case_id)).first()
    return contradictions(Known(_of_case(connection, row), (of_order(order),))) if row and order else ()


def _order(connection: sa.Connection, accession_number: str) -> Order | None:
    this = orders.c.accession_number == accession_number
    row = connection.execute(sa.select(orders.c.facts).where(this)).first() if accession_number else None
    return ORDER.validate_python(row.facts) if row else None


def _of_case(connection: sa.Connection, row: sa.Row[Any]) -> Claim:
    """The case under its patient's id, and under each that was merged into it: no row of `merges` leads to another."""
    ours = identifiers(row.patient_id, row.patient_issuer)
    led_here = sa.select(merges).where(merges.c.id == row.patient_id)
    former = [
        one
        for merge in (connection.execute(led_here) if ours else ())
        if any(mine.may_be(now) for mine in ours for now in identifiers(merge.id, merge.issuer))
        for one in identifiers(merge.former_id, merge.former_issuer)
    ]
    return Claim(Source.CASE, (*ours, *former), row.accession_number, row.study_uid)


def _of_images(connection: sa.Connection, case_id: str) -> list[Claim]:
    """One for each patient and accession number; of several instances with one UID, the one received last counts."""
    facts = instances.c.facts
    told = sa.select(
        instances.c.series_uid,
        instances.c.sop_instance_uid,
        instances.c.study_uid,
        facts[("patient", "id")].as_string().label("patient"),
        facts[("patient", "issuer")].as_string().label("issuer"),
        facts["accession_number"].as_string().label("accession_number"),
    ).where(instances.c.case_id == case_id)
    latest: dict[tuple[str, str], Claim] = {}
    for row in connection.execute(told.order_by(instances.c.received_at, instances.c.id)):
        patient: tuple[Identifier, ...] = of_patient(Patient(row.patient or "", row.issuer or ""))
        claim = Claim(Source.IMAGE, patient, row.accession_number or "", row.study_uid)
        latest[row.series_uid, row.sop_instance_uid] = claim
    return list(dict.fromkeys(latest.values()))
