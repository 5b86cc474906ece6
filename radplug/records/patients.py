"""Rows whose patient turns out to be called otherwise, also of those whose images are still to come."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dicom_io.study import Patient
from radplug.desk import Ending
from radplug.domain import CaseState
from radplug.notices import Identity, Touched
from radplug.priors import PriorState
from radplug.records.edits import ending_of
from radplug.records.moves import move
from radplug.records.schema import cases, desks, merges, priors, signed_reports

ANEW = "drafted anew"
REVISED = "revised, its text as it was"
DISCARDED = "discarded before"
NONE_YET = "none was sent"
# Earlier studies were found for whoever the patient was taken for.
NO_LONGER_THEIRS = {"state": PriorState.LEFT_OUT, "why": "the patient's identity was corrected after it was found"}


def known_as(connection: sa.Connection, patient: Patient) -> Patient:
    """The patient of an image under the id that they have by now."""
    same = (merges.c.former_id == patient.id, _issued(merges.c.former_issuer, frozenset({patient.issuer})))
    row = connection.execute(sa.select(merges.c.id, merges.c.issuer).where(*same)).first() if patient.id else None
    return replace(patient, id=row.id, issuer=row.issuer) if row else patient


def change(connection: sa.Connection, identity: Identity, at: datetime) -> list[Touched]:
    """Every case of the patient gets what is new; what was sent of them is to be sent as it should be."""
    if identity.former_id:
        _merge(connection, identity, at)
    _change_reports(connection, identity)
    theirs = (cases.c.patient_id == identity.patient.id) & _issued(cases.c.patient_issuer, identity.issuers)
    if identity.former_id:
        before = _issued(cases.c.patient_issuer, identity.former_issuers)
        theirs |= (cases.c.patient_id == identity.former_id) & before
    return [
        Touched(row.id, _redo(connection, row, at, news))
        for row in connection.execute(sa.select(cases).where(theirs).with_for_update()).all()
        if (news := _news(row, identity))
    ]


def _change_reports(connection: sa.Connection, identity: Identity) -> None:
    """Signed reports of the patient get what is new; who is to be certain later must be by the very same issuer now."""
    reports, patient = signed_reports.c, identity.patient
    theirs = (reports.patient_id == patient.id) & reports.patient_issuer.in_(identity.issuers or {""})
    if identity.former_id:
        before = reports.patient_issuer.in_(identity.former_issuers or {""})
        theirs |= (reports.patient_id == identity.former_id) & before
    for row in connection.execute(sa.select(signed_reports).where(theirs).with_for_update()).all():
        if news := _news(row, identity):
            this = (reports.source == row.source, reports.report == row.report)
            connection.execute(sa.update(signed_reports).where(*this).values(**news))


def _issued(column: sa.ColumnElement[str], issuers: Set[str]) -> sa.ColumnElement[bool]:
    """By the same issuer, as far as both sides name one."""
    named = {issuer for issuer in issuers if issuer}
    return column.in_({*named, ""}) if named else sa.true()


def _merge(connection: sa.Connection, identity: Identity, at: datetime) -> None:
    """Images that come under the former id belong to the patient as well. No row leads to another row."""
    now, former = identity.patient, identity.former_id
    here = {"id": now.id, "issuer": now.issuer, "at": at}
    led_to_former = (merges.c.id == former) & _issued(merges.c.issuer, identity.former_issuers)
    connection.execute(sa.update(merges).where(led_to_former).values(here))
    alive = (merges.c.former_id == now.id) & _issued(merges.c.former_issuer, identity.issuers)
    again = (merges.c.former_id == former) & _issued(merges.c.former_issuer, identity.former_issuers)
    connection.execute(sa.delete(merges).where(alive | again))
    for issuer in identity.former_issuers or {""}:
        connection.execute(sa.insert(merges).values(former_id=former, former_issuer=issuer, **here))


def _news(row: sa.Row[Any], identity: Identity) -> dict[str, str]:
    """The columns of a row, as far as it has them, in which the patient's data differ."""
    patient = identity.patient
    told = {
        "patient_id": patient.id,
        "patient_issuer": "" if row.patient_issuer in identity.issuers else patient.issuer,
        "patient_name": patient.name,
        "patient_birth_date": patient.birth_date,
        "patient_sex": patient.sex,
    }
    return {name: value for name, value in told.items() if value and value != row._mapping.get(name, value)}


def _redo(connection: sa.Connection, row: sa.Row[Any], at: datetime, news: dict[str, str]) -> str:
    """Write down what is new of a case's patient; what that means for its report."""
    connection.execute(sa.update(cases).where(cases.c.id == row.id).values(**news))
    if not news.keys().isdisjoint(("patient_id", "patient_issuer", "patient_birth_date")):
        connection.execute(sa.update(priors).where(priors.c.case_id == row.id).values(**NO_LONGER_THEIRS))
    fresh = {"ring_at": at, "lease_until": None, "attempts": 0}
    desk = connection.execute(sa.select(desks).where(desks.c.case_id == row.id)).first()
    in_hand = desk if desk and desk.latest else None
    if row.state == CaseState.COMPLETE:  # a draft in the making has the patient as they were, and no longer counts
        connection.execute(sa.update(cases).where(cases.c.id == row.id).values(fence=cases.c.fence + 1, **fresh))
    elif row.state in (CaseState.DRAFTED, CaseState.DELIVERED) and not in_hand:
        move(connection, row.id, CaseState.COMPLETE, closed_at=at, fence=cases.c.fence + 1, **fresh)
    if not in_hand:
        return ANEW if row.version else NONE_YET
    if ending_of(connection, row.id, in_hand.current) is Ending.DISCARDED:
        return DISCARDED
    connection.execute(sa.update(cases).where(cases.c.id == row.id).values(revise_at=at))
    return REVISED
