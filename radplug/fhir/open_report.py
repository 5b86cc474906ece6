"""A report that is open in a FHIRcast session, with what has been put into it, our own included.

DiagnosticReport-open    → `opened`: which study, which version of the context
DiagnosticReport-update  → `updated`: resources that were put or deleted, by type and id
Get Current Context      → `current`: both at once
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from radplug.fhir.errors import Malformed
from radplug.fhir.events import Current, Event, Item
from radplug.fhir.resources import IDENTIFIERS, UIDS, Element

UNSIGNED: Final = frozenset({"", "unknown", "registered", "partial", "preliminary"})
LONGEST_ACCESSION: Final = 16  # characters; VR SH


@dataclass(frozen=True, slots=True)
class OpenReport:
    """A report in a session, as we know it."""

    report: str  # DiagnosticReport/id
    version: str  # of its context; an update of ours must name it
    study_uid: str
    accession_number: str
    patient: str  # Patient/id; empty where it is not told
    study: str  # ImagingStudy/id
    content: Mapping[str, Element] = field(default_factory=dict)  # by type and id, in the order in which it came

    @property
    def signed(self) -> bool:
        """Whether somebody has signed it: then no draft is wanted around its text, or in it."""
        return str(self.content.get(self.report, {}).get("status", "")) not in UNSIGNED


def opened(event: Event) -> OpenReport:
    """Raises Malformed where it does not tell which study the report is about."""
    return _open(event.version, event.context)


def current(answer: Current) -> OpenReport | None:
    """The report that is open; None where none is. Raises Malformed."""
    if answer.type.lower() != "diagnosticreport":
        return None
    report = _open(answer.version, answer.context)
    content = next((item for item in answer.context if item.key.lower() == "content"), None)
    for _, resource in _entries(content) if content else ():
        report = _with(report, resource)
    return report


def updated(report: OpenReport, event: Event) -> OpenReport:
    """The report after an update. Raises Malformed where it has no Bundle of updates."""
    updates = event.item("updates")
    if updates is None:
        raise Malformed("holds no updates, wanted is a Bundle under the key updates")
    changed = replace(report, version=event.version or report.version)
    given = event.item("report")
    if given and given.resource:  # as drafts of FHIRcast 3 had it: what has changed of the report itself
        changed = _with(changed, given.resource)
    for request, resource in _entries(updates):
        if request.get("method") == "DELETE":
            named = resource.get("fullUrl") or request.get("url") or key_of(resource)
            gone = "/".join(str(named).rstrip("/").split("/")[-2:])
            changed = replace(changed, content={key: each for key, each in changed.content.items() if key != gone})
        else:
            changed = _with(changed, resource)
    return changed


def is_from(resource: Element, system: str) -> bool:
    """Whether one of its identifiers is of that system."""
    return any(each.get("system") == system for each in _objects(resource.get("identifier")))


def key_of(resource: Element) -> str:
    """Type and id; empty where it lacks either."""
    kind, id = resource.get("resourceType"), resource.get("id")
    return f"{kind}/{id}" if kind and id else ""


def _objects(given: object) -> list[Element]:
    """The JSON objects of a list; nothing where it is none."""
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _open(version: str, context: tuple[Item, ...]) -> OpenReport:
    items = {item.key.lower(): item for item in reversed(context)}  # the first study is the one that is reported
    report = items.get("report")
    if report is None or not report.target:
        raise Malformed("holds no report with an id, so nothing could be put into it")
    study, patient = items.get("study"), items.get("patient")
    accession, uid = _numbers(study.resource if study else {}, report.resource)
    if not accession and not uid:
        raise Malformed(
            "tells neither Study Instance UID (of system urn:dicom:uid) nor accession number (of type ACSN)"
        )
    return OpenReport(
        report=report.target,
        version=version,
        study_uid=uid,
        accession_number=accession,
        patient=patient.target if patient else "",
        study=study.target if study else "",
        content={report.target: report.resource} if report.resource else {},
    )


def _numbers(study: Element, report: Element) -> tuple[str, str]:
    """Accession number and Study Instance UID, each empty where it is not told."""
    orders = [order.get("identifier", {}) for each in (study, report) for order in _objects(each.get("basedOn"))]
    identifiers = [*_objects(study.get("identifier")), *_objects(orders)]
    accession = next((str(each.get("value", "")) for each in identifiers if _is_accession(each)), "")
    uid = next((str(each.get("value", "")) for each in identifiers if each.get("system") == UIDS), "")
    return accession if len(accession) <= LONGEST_ACCESSION else "", uid.removeprefix("urn:oid:")


def _is_accession(identifier: Element) -> bool:
    kind = identifier.get("type")
    codings = _objects(kind.get("coding")) if isinstance(kind, dict) else []
    return any((each.get("system", IDENTIFIERS), each.get("code")) == (IDENTIFIERS, "ACSN") for each in codings)


def _entries(bundle: Item) -> Iterator[tuple[Element, Element]]:
    """Request and resource of each entry; of what is deleted, the entry itself in the resource's place."""
    for entry in _objects(bundle.resource.get("entry")):
        request, resource = entry.get("request", {}), entry.get("resource", {})
        if not isinstance(request, dict) or not isinstance(resource, dict):
            raise Malformed("holds an entry whose request or resource is no object")
        yield request, resource or {"fullUrl": entry.get("fullUrl")}


def _with(report: OpenReport, resource: Element) -> OpenReport:
    """A resource that is put there; of the report itself, only what has changed need be told."""
    key = key_of(resource)
    if not key:
        return report
    before = report.content.get(key, {}) if key == report.report else {}
    return replace(report, content={**report.content, key: {**before, **resource}})
