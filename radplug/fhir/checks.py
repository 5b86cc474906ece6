"""What must hold of a DiagnosticReport before it is sent: it is a draft on one study, nobody can take it for more."""

from __future__ import annotations

from typing import Any

from fhir.resources.R4B.diagnosticreport import DiagnosticReport

from radplug.fhir.errors import Malformed
from radplug.fhir.resources import BANNER, OBSERVED, SR_FORM, STATUS, TEXT_FORM
from radplug.fhir.validated import validated


def check(document: bytes) -> tuple[str, ...]:
    """What forbids sending it as a draft; nothing if it may be sent."""
    try:
        report = validated(DiagnosticReport, document)
    except Malformed as error:
        return (str(error),)
    return tuple(wrong for wrong, so in _rules(report) if so)


def _rules(report: Any) -> tuple[tuple[str, bool], ...]:
    contained = report.contained or []
    observations = [each for each in contained if each.get_resource_type() == "Observation"]
    forms = {form.contentType: form.data for form in report.presentedForm or []}
    first = observations[0] if observations else None
    banner = first.valueString if first and _is_banner(first) else None
    identifiers = report.identifier or []
    return (
        ("status is not partial: a draft is never more", report.status != STATUS),
        ("performer or resultsInterpreter names somebody: nobody has read a draft", _anybody(report)),
        ("conclusion would be shown without the banner", bool(report.conclusion or report.conclusionCode)),
        ("a modifier changes what it says", bool(report.modifierExtension)),
        ("identifier is not there exactly once, with its system", [bool(i.system) for i in identifiers] != [True]),
        ("issued is missing: versions could not be told apart", report.issued is None),
        ("subject is missing", report.subject is None),
        ("imagingStudy is not there exactly once", len(report.imagingStudy or []) != 1),
        ("an Observation is not preliminary", any(each.status != OBSERVED for each in observations)),
        ("an Observation names a performer: nobody has read a draft", any(each.performer for each in observations)),
        ("an Observation has no text", any(not (each.valueString or "").strip() for each in observations)),
        ("the first Observation is not the banner, or there is no other", not banner or len(observations) < 2),
        ("presentedForm is not a text and an SR", list(forms) != [TEXT_FORM, SR_FORM]),
        ("the text does not begin with the banner", not _text(forms.get(TEXT_FORM)).startswith(banner or "\0")),
    )


def _anybody(report: Any) -> bool:
    return bool(report.performer or report.resultsInterpreter)


def _is_banner(observation: Any) -> bool:
    return any(coding.code == BANNER.value for coding in observation.code.coding or [])


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")


def sr_of(document: bytes) -> bytes:
    """The SR within a DiagnosticReport that `check` has found nothing wrong with."""
    forms = validated(DiagnosticReport, document).presentedForm or []
    return next(bytes(form.data or b"") for form in forms if form.contentType == SR_FORM)
