"""What the bytes of a document that is about to be sent say of whose study it is, for the wrong-patient guard.

| document | patient | accession number | Study Instance UID |
|---|---|---|---|
| DICOM object | Patient ID, Issuer of Patient ID | of the study, and of each Referenced Request | Study Instance UID |
| ORU^R01 | PID-3 | OBR-18 | OBX 113014, ZDS-1 |
| DiagnosticReport | each contained Patient | ImagingStudy, ServiceRequest | ImagingStudy, identifier |

A DiagnosticReport says what the SR within it says as well. What is drawn on a page is not read.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Final

from dicom_io.content_items import items, text
from dicom_io.reading import read_instance
from dicom_io.report_reading import parse
from hl7 import oru
from hl7.errors import BadField
from hl7.message import Message
from hl7.patient import read_identifiers
from radplug.domain import DocumentKind
from radplug.fhir.errors import Malformed
from radplug.fhir.resources import SR_FORM, UIDS
from radplug.patient_guard import Claim, Identifier, Source, identifiers, of_patient
from radplug.settings import ReportingDestination

_UID: Final = re.compile(r"[0-9.]{1,64}")
_OID: Final = "urn:oid:"


def claims(data: bytes, kind: DocumentKind, to: ReportingDestination | None = None) -> tuple[Claim, ...]:
    """All that the document says; `to` is the reporting system that it is for, if it is for one.

    Raises:
        Unreadable, hl7's and FHIR's Malformed: it cannot be read.
    """
    if kind.is_hl7:
        return tuple(_of_message(Message.parse(data), to))
    return tuple(_of_resource(data) if kind is DocumentKind.FHIR else _of_object(data))


def _of_object(data: bytes) -> Iterator[Claim]:
    instance = read_instance(data)
    told = instance.accession_number
    yield Claim(Source.DOCUMENT, of_patient(instance.patient), told, instance.study_uid)
    for request in items(parse(data), "ReferencedRequestSequence"):
        yield Claim(Source.DOCUMENT, (), text(request, "AccessionNumber").strip(), text(request, "StudyInstanceUID"))


def _of_message(message: Message, to: ReportingDestination | None) -> Iterator[Claim]:
    if not message.all("PID"):
        raise BadField("PID", 3, "101", "is missing, wanted is the patient's identifier")
    for pid in message.all("PID"):
        theirs = read_identifiers(message, pid, 3)
        yield Claim(Source.DOCUMENT, tuple(one for each in theirs for one in _issued(each.id, to, *_issuers(each))))
    # A site may have set OBR-18 to another of the order's numbers.
    accession = "" if to and "OBR-18" in to.fields else message.get("OBR", 18).strip()
    for obx in message.all("OBX"):
        if oru.label_of(message, obx)[0] == oru.STUDY_UID[0]:
            yield Claim(Source.DOCUMENT, (), accession, message.get(obx, 5))
    if _UID.fullmatch(linked := message.get("ZDS", 1)):
        yield Claim(Source.DOCUMENT, (), "", linked)


def _issuers(identifier: Any) -> tuple[str, str]:
    return identifier.authority, identifier.authority_oid


def _issued(id: str, to: ReportingDestination | None, *issuers: str) -> tuple[Identifier, ...]:
    """The id; an issuer that we have put there because the images name none is not told by anybody."""
    ours = {to.assigning_authority, *to.assigning_authority.split("&")} if to else set()
    return identifiers(id, *() if set(issuers) - {""} <= ours else issuers)


def _of_resource(data: bytes) -> Iterator[Claim]:
    try:
        report = json.loads(data)
    except ValueError:
        raise Malformed("is no JSON") from None
    for resource in (report, *_objects(report, "contained")):
        accessions, uids, patient = list[str](), list[str](), tuple[Identifier, ...]()
        for identifier in _objects(resource, "identifier"):
            value, system = str(identifier.get("value", "")), str(identifier.get("system", ""))
            if resource.get("resourceType") == "Patient":
                assigner = [str(each.get("display", "")) for each in _objects(identifier, "assigner")]
                patient += identifiers(value, system.removeprefix(_OID), *assigner)
            elif resource is report or (resource.get("resourceType") == "ImagingStudy" and system == UIDS):
                uids.append(value.removeprefix(_OID))
            elif any(_is_accession(kind) for kind in _objects(identifier, "type")):
                accessions.append(value.strip())
        yield from (Claim(Source.DOCUMENT, (one,)) for one in patient)  # each of which must be the patient's
        yield from (Claim(Source.DOCUMENT, (), accession) for accession in accessions if accession)
        yield from (Claim(Source.DOCUMENT, (), "", uid) for uid in uids if uid)
    for form in _objects(report, "presentedForm"):
        if form.get("contentType") == SR_FORM:
            yield from _of_object(_decoded(str(form.get("data", ""))))


def _decoded(data: str) -> bytes:
    try:
        return b64decode(data)
    except binascii.Error:
        raise Malformed("holds an SR that is not Base64") from None


def _objects(resource: Any, key: str) -> list[dict[str, Any]]:
    """The JSON objects that stand there, one or a list of them."""
    value = resource.get(key) if isinstance(resource, dict) else None
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def _is_accession(kind: dict[str, Any]) -> bool:
    return any(coding.get("code") == "ACSN" for coding in _objects(kind, "coding"))
