"""Rows of reports that reporting systems have sent as signed: one of each study and sender, the one signed last."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import sqlalchemy as sa

from dicom_io.study import Patient
from radplug.priors import SignedReport
from radplug.records.database import insert_or_ignore
from radplug.records.patients import known_as
from radplug.records.schema import signed_reports


def put_signed(connection: sa.Connection, report: SignedReport) -> None:
    """Keep a report in the place of its sender's version before, unless that was signed later.

    Its patient is known under the id that they have by now; an issuer that it does not name is not guessed.
    """
    now = known_as(connection, report.patient)
    patient = now if report.patient.issuer else replace(now, issuer="")
    row = {
        "source": report.source,
        "report": report.key,
        "accession_number": report.accession_number,
        "study_uid": report.study_uid,
        "patient_id": patient.id,
        "patient_issuer": patient.issuer,
        "patient_birth_date": patient.birth_date,
        "signed_at": report.signed_at,
        "sections": report.sections,
    }
    if not insert_or_ignore(connection, signed_reports, row):
        same = (signed_reports.c.source == report.source, signed_reports.c.report == report.key)
        no_later = signed_reports.c.signed_at <= report.signed_at
        connection.execute(sa.update(signed_reports).where(*same, no_later).values(row))


def signed_of(connection: sa.Connection, study_uid: str, accession_numbers: Collection[str]) -> list[SignedReport]:
    """The reports of a study, whoever's they are: the one that names another study is not its report."""
    numbers = {number for number in accession_numbers if number}
    by_number = (signed_reports.c.study_uid == "") & signed_reports.c.accession_number.in_(numbers)
    found = sa.select(signed_reports).where((signed_reports.c.study_uid == study_uid) | by_number)
    return [
        SignedReport(
            Patient(row.patient_id, row.patient_issuer, birth_date=row.patient_birth_date),
            row.accession_number,
            row.study_uid,
            row.source,
            row.signed_at,
            tuple((heading, text) for heading, text in row.sections),
        )
        for row in connection.execute(found.order_by(signed_reports.c.source, signed_reports.c.report))
    ]
