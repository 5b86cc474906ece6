"""A draft report as a FHIR R4 DiagnosticReport, `partial` whatever becomes of it, and the words of FHIR that it takes.

    DiagnosticReport  partial
      subject, imagingStudy                 the patient and the study
      result[]                              an Observation for the banner and for each section, `preliminary`
      presentedForm[]                       the same as text, and the SR

No performer and no interpreter are named: nobody has read a draft. `conclusion` stays empty, since receivers show it by
itself, without the banner.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from dicom_io.report import Code, Device, DraftReport, RequestedProcedure
from dicom_io.study import Patient, date_of

Element = dict[str, Any]  # of JSON

STATUS: Final = "partial"
OBSERVED: Final = "preliminary"  # the status of each Observation
TEXT_FORM: Final = "text/plain; charset=utf-8"  # content types of the two presented forms
SR_FORM: Final = "application/dicom"
BANNER: Final = Code("18782-3", "LN", "Radiology Study observation (narrative)")
UIDS: Final = "urn:dicom:uid"
IDENTIFIERS: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_CATEGORIES: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_SYSTEMS: Final[Mapping[str, str]] = {
    "LN": "http://loinc.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "SCT": "http://snomed.info/sct",
    "RADLEX": "http://radlex.org",
    "C4": "http://www.ama-assn.org/go/cpt",
}
_SEXES: Final[Mapping[str, str]] = {"M": "male", "F": "female", "O": "other"}
_MADE_BY_A_MODEL: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}


@dataclass(frozen=True, slots=True)
class Drafted:
    """A version of a draft, and what it is about."""

    report: DraftReport
    patient: Patient
    study_uid: str
    study_date: str  # DA
    at: datetime

    @property
    def identifier(self) -> tuple[str, str]:
        """System and value that all versions of the report have, and no other report."""
        return identifiers_of(self.report.device.uid), self.study_uid

    @property
    def observed(self) -> list[tuple[Code, str]]:
        """The banner, then the sections: code and text of each."""
        sections = self.report.sections
        texts = [(each.heading, "\n".join(paragraph.text for paragraph in each.paragraphs)) for each in sections]
        return [(BANNER, self.report.banner), *texts]

    @property
    def text(self) -> str:
        """For people: the banner first, then each section under its heading."""
        banner, *sections = self.observed
        return "\n\n".join([banner[1], *(f"{heading.meaning}\n{text}" for heading, text in sections)]) + "\n"


def identifiers_of(device_uid: str) -> str:
    """The system under which the installation with that UID numbers its reports."""
    return f"urn:oid:{device_uid}"


def standalone(drafted: Drafted, sr: bytes) -> Element:
    """A DiagnosticReport that a server can file by itself: everything that it refers to is contained in it."""
    patient, device = {"reference": "#patient"}, {"reference": "#device"}
    observations = [
        {**observation(code, text, drafted.at, patient, device), "id": f"section-{number}"}
        for number, (code, text) in enumerate(drafted.observed)
    ]
    document = {
        "contentType": SR_FORM,
        "data": b64encode(sr).decode(),
        "title": "AI DRAFT REPORT - UNVERIFIED (DICOM SR)",
        "creation": instant(drafted.at),
    }
    made = report(drafted, patient, [{"reference": f"#{each['id']}"} for each in observations])
    made["contained"] = [
        {**_patient(drafted.patient), "id": "patient"},
        {**_study(drafted), "id": "study", "subject": patient},
        {**_device(drafted.report.device), "id": "device"},
        *observations,
    ]
    made["imagingStudy"] = [{"reference": "#study"}]
    orders = [identifiers for requested in drafted.report.requested if (identifiers := _order_numbers(requested))]
    for number, identifiers in enumerate(orders, 1):
        order = {"resourceType": "ServiceRequest", "id": f"order-{number}", "identifier": identifiers}
        made["contained"].append({**order, "status": "active", "intent": "order", "subject": patient})
        made.setdefault("basedOn", []).append({"reference": f"#order-{number}"})
    made["presentedForm"].append(document)
    return made


def report(drafted: Drafted, subject: Element, results: list[Element]) -> Element:
    """The DiagnosticReport alone, with its text."""
    system, value = drafted.identifier
    text = drafted.text
    return {
        "resourceType": "DiagnosticReport",
        "meta": {"security": [_MADE_BY_A_MODEL]},
        "text": {"status": "generated", "div": _narrative(text)},
        "identifier": [{"system": system, "value": value}],
        "status": STATUS,
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}],
        "code": _coded(drafted.report.title),
        "subject": subject,
        **({"effectiveDateTime": day} if (day := _date(drafted.study_date)) else {}),
        "issued": instant(drafted.at),
        "result": results,
        "presentedForm": [
            {
                "contentType": TEXT_FORM,
                "language": drafted.report.language.value,
                "data": b64encode(text.encode()).decode(),
                "title": "AI DRAFT REPORT - UNVERIFIED",
                "creation": instant(drafted.at),
            }
        ],
    }


def observation(code: Code, text: str, at: datetime, subject: Element, device: Element) -> Element:
    """The text of a section."""
    return {
        "resourceType": "Observation",
        "status": OBSERVED,
        "category": [{"coding": [{"system": _CATEGORIES, "code": "imaging"}]}],
        "code": _coded(code),
        "subject": subject,
        "issued": instant(at),
        "valueString": text,
        "device": device,
    }


def _patient(patient: Patient) -> Element:
    """The Patient, as far as the images tell of them."""
    made: Element = {"resourceType": "Patient"}
    if patient.id:
        made["identifier"] = [{"type": _identifier_type("MR"), **_issued_by(patient.issuer), "value": patient.id}]
    if names := [named for group in patient.name.split("=") if (named := _name(group))]:
        made["name"] = names
    if patient.sex in _SEXES:
        made["gender"] = _SEXES[patient.sex]
    if day := _date(patient.birth_date):
        made["birthDate"] = day
    return made


def _study(drafted: Drafted) -> Element:
    accessions = [each.accession_number for each in drafted.report.requested if each.accession_number]
    identifiers: list[Element] = [{"system": UIDS, "value": f"urn:oid:{drafted.study_uid}"}]
    identifiers += [{"type": _identifier_type("ACSN"), "value": number} for number in accessions]
    return {"resourceType": "ImagingStudy", "identifier": identifiers, "status": "available"}


def _device(device: Device) -> Element:
    """Who has written: the installation, with the model and all that it was made with."""
    return {
        "resourceType": "Device",
        "identifier": [{"system": UIDS, "value": f"urn:oid:{device.uid}"}],
        "manufacturer": device.manufacturer,
        "deviceName": [
            {"name": device.model, "type": "model-name"},
            {"name": device.name, "type": "user-friendly-name"},
        ],
        "version": [{"value": device.version}],
        **({"serialNumber": device.serial} if device.serial else {}),
        **({"note": [{"text": device.description}]} if device.description else {}),
    }


def _order_numbers(requested: RequestedProcedure) -> list[Element]:
    numbers = {
        "ACSN": requested.accession_number,
        "PLAC": requested.placer_order_number,
        "FILL": requested.filler_order_number,
    }
    return [{"type": _identifier_type(kind), "value": number} for kind, number in numbers.items() if number]


def _coded(code: Code) -> Element:
    """A CodeableConcept; a scheme that FHIR has no name for is left out."""
    system = {"system": _SYSTEMS[code.scheme]} if code.scheme in _SYSTEMS else {}
    return {"coding": [{**system, "code": code.value, "display": code.meaning}], "text": code.meaning}


def instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _identifier_type(code: str) -> Element:
    return {"coding": [{"system": IDENTIFIERS, "code": code}]}


def _issued_by(issuer: str) -> Element:
    if re.fullmatch(r"[0-2](\.\d+)+", issuer):
        return {"system": f"urn:oid:{issuer}"}
    return {"assigner": {"display": issuer}} if issuer else {}


def _name(group: str) -> Element:
    """One component group of a DICOM person name."""
    family, given, middle, prefix, suffix = (*(part.strip() for part in group.split("^")), "", "", "", "", "")[:5]
    named: Element = {"family": family} if family else {}
    if first := [name for name in (given, middle) if name]:
        named["given"] = first
    if prefix:
        named["prefix"] = [prefix]
    if suffix:
        named["suffix"] = [suffix]
    return named


def _date(day: str) -> str:
    """A DICOM date as FHIR writes it; empty where it is none."""
    found = date_of(day)
    return found.isoformat() if found else ""


def _narrative(text: str) -> str:
    lines = "<br/>".join(escape(line) for line in text.strip("\n").split("\n"))
    return f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{lines}</p></div>'
