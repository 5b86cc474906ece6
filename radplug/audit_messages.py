"""Entries of the audit trail as audit messages of PS3.15 A.5: XML, one line each, without patient data.

They follow the schema of A.5.1. The patient that A.5.3 wants in messages on transfers and orders is left out, as the
trail does not have it; the study is named by its UID where the entry is about a case.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC
from enum import Enum
from xml.etree import ElementTree as ET

from radplug.domain import AuditEvent

OWN_CODES = "99RADPLUG"
ENTRY = "radplug-audit:"  # what names an entry: its number and hash come after it


class EventId(Enum):
    """PS3.16 CID 400: what kind of event it is."""

    APPLICATION_ACTIVITY = ("110100", "Application Activity")
    INSTANCES_ACCESSED = ("110103", "DICOM Instances Accessed")
    INSTANCES_TRANSFERRED = ("110104", "DICOM Instances Transferred")
    EXPORT = ("110106", "Export")
    ORDER_RECORD = ("110109", "Order Record")
    PATIENT_RECORD = ("110110", "Patient Record")
    PROCEDURE_RECORD = ("110111", "Procedure Record")
    QUERY = ("110112", "Query")
    SECURITY_ALERT = ("110113", "Security Alert")
    USER_AUTHENTICATION = ("110114", "User Authentication")


CREATED, READ, UPDATED, EXECUTED = "CRUE"  # EventActionCode
SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = "0", "4", "8"  # EventOutcomeIndicator


@dataclass(frozen=True)
class Kind:
    """How an event is told; `type_code` of PS3.16 CID 401, where one fits."""

    event_id: EventId
    action: str
    outcome: str = SUCCESS
    type_code: tuple[str, str] | None = None


LOGIN = ("110122", "Login")
NODE_AUTHENTICATION = ("110126", "Node Authentication")
SECURITY_CONFIGURATION = ("110129", "Security Configuration")
USER_ATTRIBUTES = ("110137", "User Security Attributes Changed")
KINDS = {
    "signed in": Kind(EventId.USER_AUTHENTICATION, EXECUTED, type_code=LOGIN),
    "sign-in refused": Kind(EventId.USER_AUTHENTICATION, EXECUTED, MINOR_FAILURE, LOGIN),
    "token refused": Kind(EventId.USER_AUTHENTICATION, EXECUTED, MINOR_FAILURE, LOGIN),
    "TLS refused": Kind(EventId.SECURITY_ALERT, EXECUTED, MINOR_FAILURE, NODE_AUTHENTICATION),
    "HL7 sender refused": Kind(EventId.SECURITY_ALERT, EXECUTED, MINOR_FAILURE, NODE_AUTHENTICATION),
    "account made": Kind(EventId.SECURITY_ALERT, EXECUTED, type_code=USER_ATTRIBUTES),
    "token made": Kind(EventId.SECURITY_ALERT, EXECUTED, type_code=USER_ATTRIBUTES),
    "token revoked": Kind(EventId.SECURITY_ALERT, EXECUTED, type_code=USER_ATTRIBUTES),
    "another message under a used id": Kind(EventId.SECURITY_ALERT, EXECUTED, SERIOUS_FAILURE),
    "stored file damaged": Kind(EventId.SECURITY_ALERT, EXECUTED, SERIOUS_FAILURE),
    "message refused": Kind(EventId.SECURITY_ALERT, EXECUTED, MINOR_FAILURE),
    "content refused": Kind(EventId.SECURITY_ALERT, EXECUTED, MINOR_FAILURE),
    "received by STOW-RS": Kind(EventId.INSTANCES_TRANSFERRED, CREATED),
    "study closed": Kind(EventId.INSTANCES_TRANSFERRED, CREATED),  # tells of all that came of it by C-STORE
    "workitem's inputs fetched": Kind(EventId.INSTANCES_TRANSFERRED, CREATED),
    "viewed": Kind(EventId.INSTANCES_ACCESSED, READ),
    "images viewed": Kind(EventId.INSTANCES_ACCESSED, READ),
    "worklist viewed": Kind(EventId.QUERY, EXECUTED),
    "worklist searched": Kind(EventId.QUERY, EXECUTED),
    "delivered": Kind(EventId.EXPORT, READ),
    "delivery postponed": Kind(EventId.EXPORT, READ, MINOR_FAILURE),
    "delivery refused": Kind(EventId.EXPORT, READ, SERIOUS_FAILURE),
    "delivery given up": Kind(EventId.EXPORT, READ, SERIOUS_FAILURE),
    "draft shared": Kind(EventId.EXPORT, READ),
    "copied as text": Kind(EventId.EXPORT, READ),
    "exported insight": Kind(EventId.EXPORT, READ),
    "order asked for": Kind(EventId.QUERY, EXECUTED),
    "order taken": Kind(EventId.ORDER_RECORD, CREATED),
    "order cancelled": Kind(EventId.ORDER_RECORD, UPDATED),
    "patients' data taken": Kind(EventId.PATIENT_RECORD, UPDATED),
    "patient changed": Kind(EventId.PATIENT_RECORD, UPDATED),
    "study announced": Kind(EventId.PROCEDURE_RECORD, UPDATED),
    "announcement refused": Kind(EventId.PROCEDURE_RECORD, UPDATED, MINOR_FAILURE),
    "rules saved": Kind(EventId.SECURITY_ALERT, EXECUTED, type_code=SECURITY_CONFIGURATION),
    "drafting failed": Kind(EventId.APPLICATION_ACTIVITY, EXECUTED, SERIOUS_FAILURE),
}
ROLES = {  # of our own application in the event, PS3.16 CID 402
    EventId.APPLICATION_ACTIVITY: ("110150", "Application"),
    EventId.EXPORT: ("110153", "Source Role ID"),
    EventId.INSTANCES_TRANSFERRED: ("110152", "Destination Role ID"),
}
OTHERS = Kind(EventId.APPLICATION_ACTIVITY, EXECUTED)  # told apart by the EventTypeCode of our own


def message(number: int, hash_: str, said: AuditEvent, study_uid: str, source: str) -> str:
    """An entry of the chain as XML on one line; `source` is our AE title, `study_uid` empty where it is of no study."""
    kind = KINDS.get(said.event, OTHERS)
    root = ET.Element("AuditMessage")
    at = said.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    about = {"EventActionCode": kind.action, "EventDateTime": at, "EventOutcomeIndicator": kind.outcome}
    event = ET.SubElement(root, "EventIdentification", about)
    _code(event, "EventID", *kind.event_id.value)
    if kind.type_code:
        _code(event, "EventTypeCode", *kind.type_code)
    _code(event, "EventTypeCode", said.event, said.event, OWN_CODES)
    _participant(root, _told(said.actor) or "unknown", requestor=True)
    if kind.event_id in ROLES:
        _participant(root, source, requestor=False, role=ROLES[kind.event_id])
    ET.SubElement(root, "AuditSourceIdentification", {"AuditSourceID": source})
    if study_uid:
        study = _object(root, study_uid, "3", ("110180", "Study Instance UID", "DCM"))  # role 3: report
        _detail(study, "case", said.case_id)
    entry = _object(root, f"{ENTRY}{number}:{hash_}", "13", ("12", "URI", "RFC-3881"))  # role 13: security resource
    if said.case_id and not study_uid:
        _detail(entry, "case", said.case_id)
    for key, value in sorted(said.detail.items()):
        _detail(entry, key, value if isinstance(value, str) else json.dumps(value))
    return ET.tostring(root, encoding="unicode")


def number_and_hash(text: str) -> tuple[int, str] | None:
    """Which entry of the chain a message is, if it is one of ours."""
    found = re.search(f'ParticipantObjectID="{ENTRY}([0-9]+):([0-9a-f]{{64}})"', text)
    return (int(found[1]), found[2]) if found else None


def _code(parent: ET.Element, name: str, code: str, text: str, system: str = "DCM") -> None:
    ET.SubElement(parent, name, {"csd-code": _told(code), "codeSystemName": system, "originalText": _told(text)})


def _participant(root: ET.Element, user: str, *, requestor: bool, role: tuple[str, str] | None = None) -> None:
    who = ET.SubElement(root, "ActiveParticipant", {"UserID": user, "UserIsRequestor": str(requestor).lower()})
    if role:
        _code(who, "RoleIDCode", *role)


def _object(root: ET.Element, id_: str, role: str, code: tuple[str, str, str]) -> ET.Element:
    about = {"ParticipantObjectID": id_, "ParticipantObjectTypeCode": "2", "ParticipantObjectTypeCodeRole": role}
    made = ET.SubElement(root, "ParticipantObjectIdentification", about)
    _code(made, "ParticipantObjectIDTypeCode", *code)
    return made


def _detail(parent: ET.Element, type_: str, value: str) -> None:
    value = base64.b64encode(value.encode("utf-8", "replace")).decode("ascii")
    ET.SubElement(parent, "ParticipantObjectDetail", {"type": type_, "value": value})


def _told(text: str) -> str:
    """Without characters that XML 1.0 cannot carry."""
    return "".join(one if one.isprintable() else "�" for one in text)
