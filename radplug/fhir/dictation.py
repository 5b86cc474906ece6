"""What has been dictated into a report that is open in a FHIRcast session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fhir.resources.diagnosticreport import DiagnosticReport as DiagnosticReportR5
from fhir.resources.observation import Observation as ObservationR5
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.observation import Observation

from radplug.fhir.errors import Malformed
from radplug.fhir.open_report import OpenReport, is_from
from radplug.fhir.resources import Element
from radplug.fhir.validated import validated

_GONE: Final = frozenset({"cancelled", "entered-in-error"})  # such an Observation is not, or no longer, there
_KINDS: Final[Mapping[str, tuple[type[Any], type[Any]]]] = {
    "Observation": (Observation, ObservationR5),
    "DiagnosticReport": (DiagnosticReport, DiagnosticReportR5),
}
_IMPRESSION: Final = ("19005-8", "Impression")


@dataclass(frozen=True, slots=True)
class Passage:
    """A text, and what it is called: codes and names, the best first."""

    resource: str  # type and id
    called: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """A resource that is not valid, and where it is not."""

    resource: str
    reason: str


def dictated(report: OpenReport, ours: str) -> Iterator[Passage | Unusable]:
    """The texts in the report but our own, whose identifiers have the system `ours`, and what is no valid one."""
    for key, resource in report.content.items():
        try:
            if passage := _passage(key, resource, ours):
                yield passage
        except Malformed as error:
            yield Unusable(key, str(error))


def _passage(key: str, resource: Element, ours: str) -> Passage | None:
    """Raises Malformed."""
    if is_from(resource, ours):
        return None
    if resource.get("resourceType") == "Observation" and "valueString" in resource:
        made = _checked("Observation", resource)
        names = [name for coding in made.code.coding or [] for name in (coding.code, coding.display)]
        called = tuple(filter(None, (*names, made.code.text)))
        return Passage(key, called, _lines(made.valueString)) if made.status not in _GONE else None
    if resource.get("resourceType") == "DiagnosticReport" and "conclusion" in resource:
        whole = {"status": "unknown", "code": {"text": "report"}, **resource}
        return Passage(key, _IMPRESSION, _lines(_checked("DiagnosticReport", whole).conclusion))
    return None


def _checked(kind: str, resource: Element) -> Any:
    """As R4 has it, or as R5, which IHE's profile names. Raises Malformed."""
    r4, r5 = _KINDS[kind]
    try:
        return validated(r4, resource)
    except Malformed as error:
        try:
            return validated(r5, resource)
        except Malformed:
            raise error from None


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
