from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hl7.header import Application, Header
from hl7.orders import Order
from hl7.patient import Patient
from hl7.result import Device, Result, ResultSection


@pytest.fixture(scope="session")
def header() -> Header:
    return Header(
        sender=Application("RADPLUG", "HOSP"),
        receiver=Application("REPORTING", "HOSP^1.2.40.1^ISO"),
        control_id="20261123080000000001",
        created=datetime(2026, 11, 23, 8, 0, tzinfo=UTC),
    )


@pytest.fixture(scope="session")
def patient() -> Patient:
    return Patient("MRN1", "Doe^Jäne^Q^Dr^Jr=山田^花子", "19600101", "F", authority="HOSP", authority_oid="1.2.3")


@pytest.fixture(scope="session")
def order() -> Order:
    return Order(
        accession_number="ACC1",
        placer_order_number="4711^HIS",
        filler_order_number="0815^RIS^1.2.3^ISO",
        procedure_code=("36643-5", "LN", "Chest X-ray & lateral"),
        requested_procedure_id="RP1",
        indication="cough | fever",
        study_uid="1.2.840.1",
    )


@pytest.fixture(scope="session")
def result(header: Header, patient: Patient, order: Order) -> Result:
    return Result(
        header=header,
        patient=patient,
        order=order,
        study_uid="1.2.840.1",
        sections=(
            ResultSection("59776-5", "LN", "Findings", "Heart size normal.\n\nNodule 5~6 mm & a|b^c\\d."),
            ResultSection("19005-8", "LN", "Impressions", "No acute finding."),
        ),
        banner="AI DRAFT - NOT REVIEWED BY A RADIOLOGIST",
        device=Device("radplug", "RADPLUG", "1.2.826.0.1"),
        study_datetime="20261122235959.5",
    )
