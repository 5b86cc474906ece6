"""Our draft as content of a report that is open in a FHIRcast session.

It stands beside what others have put there, as a DiagnosticReport of its own, `partial`, with an Observation for the
banner and each section. The report that is open, its status and its results, is its reporting client's and left alone.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.observation import Observation

from radplug.fhir import resources
from radplug.fhir.errors import Malformed
from radplug.fhir.events import Notification, notification
from radplug.fhir.open_report import OpenReport, is_from, key_of
from radplug.fhir.resources import UIDS, Drafted, Element
from radplug.fhir.validated import validated

_NAMESPACE: Final = uuid.UUID("b3c7b9a4-1f43-4b0e-9d4a-6f2d2f1a9c55")
_DRAFTS: Final = {"DiagnosticReport": resources.STATUS, "Observation": resources.OBSERVED}  # the status of each


def draft_as_content(report: OpenReport, drafted: Drafted) -> list[Element]:
    """The entries of an update that put a draft there, and take out what is left of an earlier version.

    Empty where this version stands there already.
    """
    ours, _ = drafted.identifier
    subject, study = {"reference": report.patient}, {"reference": report.study}
    device = {
        "identifier": {"system": UIDS, "value": f"urn:oid:{drafted.report.device.uid}"},
        "display": drafted.report.device.model,
    }
    puts: dict[str, Element] = {}
    for number, (code, text) in enumerate(drafted.observed):
        made = resources.observation(code, text, drafted.at, subject, device)
        made |= _own_identity(drafted, f"{drafted.study_uid}/{number}")
        puts[key_of(made)] = made | ({"derivedFrom": [study]} if report.study else {})
    results = [{"reference": key} for key in puts]
    whole = resources.report(drafted, subject, results) | _own_identity(drafted, drafted.study_uid)
    whole |= {"imagingStudy": [study]} if report.study else {}
    there = report.content.get(key_of(whole), {})
    if there.get("issued") == whole["issued"]:
        return []
    puts[key_of(whole)] = whole
    gone = [key for key, each in report.content.items() if is_from(each, ours) and key not in puts]
    return [
        *({"fullUrl": key, "request": {"method": "DELETE", "url": key}} for key in gone),
        *({"fullUrl": key, "request": {"method": "PUT", "url": key}, "resource": each} for key, each in puts.items()),
    ]


def update(topic: str, report: OpenReport, entries: list[Element], at: datetime) -> Notification:
    """The event that asks the hub for it, under the version of the context that we know."""
    context: list[Element] = [{"key": "report", "reference": {"reference": report.report}}]
    if report.patient:
        context.append({"key": "patient", "reference": {"reference": report.patient}})
    bundle = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "transaction", "entry": entries}
    context.append({"key": "updates", "resource": bundle})
    return notification(topic, "DiagnosticReport-update", context, at, report.version)


def unfit(entries: list[Element]) -> list[str]:
    """What forbids putting them there as a draft; nothing if it may be done."""
    put = [entry["resource"] for entry in entries if "resource" in entry]
    faults = []
    for resource in put:
        kind = resource["resourceType"]
        try:
            validated(Observation if kind == "Observation" else DiagnosticReport, resource)
        except Malformed as error:
            faults.append(str(error))
        if resource["status"] != _DRAFTS[kind]:
            faults.append(f"the status of a {kind} is not {_DRAFTS[kind]}: a draft is never more")
        if any(resource.get(person) for person in ("performer", "resultsInterpreter")):
            faults.append(f"a {kind} names a person: nobody has read a draft")
    return faults


def _own_identity(drafted: Drafted, value: str) -> Element:
    """Always the same for the same part of a report, so that a later version takes its place."""
    system, _ = drafted.identifier
    return {"id": str(uuid.uuid5(_NAMESPACE, f"{system}|{value}")), "identifier": [{"system": system, "value": value}]}
