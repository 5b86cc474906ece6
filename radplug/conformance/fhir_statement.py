"""The parts of the HL7 statement on FHIR and FHIRcast."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from dicom_io.report import FINDING, FINDINGS, Device, DraftReport, Paragraph, ReportSection, RequestedProcedure
from dicom_io.study import Patient
from dicom_io.uids import uid_for
from radplug.conformance.markdown import Section, bullets, code, table
from radplug.conformance.statuses import DEAD_LETTER, tried_again
from radplug.fhir import events, open_report, pushing, resources
from radplug.fhir.resources import Drafted, Element
from radplug.settings import Settings


def fhir(settings: Settings) -> Section:
    """FHIR R4: the drafts that are sent."""
    if not settings.fhir:
        return Section("FHIR", ("None: no `[[fhir]]` is set.",))
    servers = [(to.name, to.url, f"{to.timeout_seconds:g} s") for to in settings.fhir]
    behaviour = (
        f"R4, {code(pushing.JSON)}. A draft is one DiagnosticReport; all that it refers to is contained in it. Its "
        f"status is {code(resources.STATUS)}, whatever becomes of the draft, and that of each Observation is "
        f"{code(resources.OBSERVED)}: a person may make more of it at the server, radplug never does.",
        "All versions of a report have one identifier: our device's UID as system, the Study Instance UID as value. A "
        "later version takes the place of the one before, unless the server's is no draft any more, or newer.",
        "No performer, interpreter or conclusion is given: nobody has read a draft.",
    )
    return Section(
        "FHIR",
        (
            table(("Server", "Base", "Longest wait for an answer"), servers),
            bullets(behaviour),
            table(("Resource", "Status", "Elements"), _resources(settings)),
            table(("Request", "When"), _REQUESTS),
            table(("Answer", "What is done"), _on_answers(settings)),
        ),
    )


_REQUESTS: Final = (
    ("`GET DiagnosticReport?identifier={system}|{value}`", "first, each time"),
    ("`POST DiagnosticReport`, with If-None-Exist", "there is none"),
    ("`PUT DiagnosticReport/{id}`, with If-Match where the server tells versions", "there is an earlier version of it"),
)


def _on_answers(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "2xx", "the draft is delivered"
    yield f"{', '.join(map(str, sorted(pushing.LATER)))}, 5xx, no answer", tried_again(settings)
    yield "any other, or a report there that is no draft any more", DEAD_LETTER


def _resources(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Each kind that a draft is made of, read off one that is made of nobody."""
    whole = resources.standalone(_sample(settings), b"SR")
    found: dict[str, Element] = {}
    for each in (whole, *whole["contained"]):
        found.setdefault(each["resourceType"], {}).update(each)
    for kind, elements in found.items():
        named = [name for name in elements if name not in ("resourceType", "id", "contained")]
        yield kind, code(str(elements.get("status", ""))), ", ".join(map(code, named))


def _sample(settings: Settings) -> Drafted:
    ours = settings.device
    device = Device(
        uid_for(ours.identity), ours.station_name, ours.manufacturer, "model", "1", ours.serial_number, "description"
    )
    report = DraftReport(
        (ReportSection(FINDINGS, FINDING, (Paragraph("No pneumothorax."),)),),
        device,
        requested=(RequestedProcedure("0", "0", "0", "0", "0"),),
    )
    patient = Patient(id="0", issuer="NOBODY", name="NOBODY", birth_date="19000101", sex="O")
    return Drafted(report, patient, "1.2.3", "20000101", datetime(2000, 1, 1, tzinfo=UTC))


def fhircast(settings: Settings) -> Section:
    """FHIRcast: what is heard of reporting sessions, and put into them."""
    ours = settings.fhircast
    if ours is None:
        return Section("FHIRcast", ("None: no `[fhircast]` is set.",))
    about = (
        ("Hub", ours.url),
        ("Sessions", ", ".join(map(code, ours.topics))),
        ("Subscriber's name", code(settings.device.station_name)),
        ("Lease that is asked for", f"{ours.lease_seconds} s"),
        ("Events that are subscribed to", ", ".join(map(code, events.WANTED))),
        ("Events that are sent", ", ".join(map(code, (*(("DiagnosticReport-update",) * ours.publish), "syncerror")))),
    )
    unsigned = ", ".join(sorted(code(status) for status in open_report.UNSIGNED if status))
    put = (
        f"Our draft is put into the open report as a DiagnosticReport of its own, {code(resources.STATUS)}, with "
        f"{code(resources.OBSERVED)} Observations, each with an identifier of ours. The report that is open, its "
        "status and its results, are left alone."
    )
    behaviour = (
        "FHIRcast 3.0.0 (STU 3), over WebSocket. What is open is asked for with Get Current Context; a hub that does "
        "not tell is believed to have told all by events.",
        "A report must name its study: the Study Instance UID (system `urn:dicom:uid`) or the accession number (type "
        "`ACSN`). Texts of Observations (`valueString`) and of the report (`conclusion`) in it, R4 or R5, are "
        "dictation on the study; what radplug itself has put there is not.",
        f"Texts are taken while the report's status is {unsigned}, or not told. Once it is more, none is taken, and no "
        "draft is put there.",
        put if ours.publish else "No draft is put there: `fhircast.publish` is off.",
        "What cannot be taken is kept apart, answered with 202, 400 or 409, and told to the session by a syncerror.",
    )
    return Section("FHIRcast", (table(("Parameter", "Value"), about), bullets(behaviour)))
