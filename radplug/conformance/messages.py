"""The HL7 messages of this radplug: the one place where a new one is entered.

What is sent is read off messages that are built for it, of nobody. What is received is listed, field by field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hl7 import oru
from hl7.adt import MERGES, UPDATES
from hl7.header import Application, Header
from hl7.message import Message
from hl7.narrative import NARRATIVE_MESSAGES
from hl7.orders import ORDER_MESSAGES, Order
from hl7.overrides import overrides
from hl7.patient import Patient
from hl7.result import Device, Result, ResultSection
from radplug.settings import DeviceSettings, ReportingDestination

Place = tuple[str, int]  # segment and field


@dataclass(frozen=True, slots=True)
class Reading:
    """A field that is read, and what for."""

    place: Place
    what: str

    def __str__(self) -> str:
        return f"{self.place[0]}-{self.place[1]}"


@dataclass(frozen=True, slots=True)
class Received:
    """Messages that say one kind of thing."""

    types: tuple[str, ...]  # MSH-9
    fields: tuple[Reading, ...]
    effect: str


HEADER: Final = (
    Reading(("MSH", 3), "sending application; with MSH-4 and MSH-10 it tells messages apart"),
    Reading(("MSH", 4), "sending facility"),
    Reading(("MSH", 5), "receiving application: goes back in the answer"),
    Reading(("MSH", 6), "receiving facility: likewise"),
    Reading(("MSH", 9), "message type and event"),
    Reading(("MSH", 10), "control id: must not be empty, and be used once"),
    Reading(("MSH", 11), "processing id: goes back in the answer, and changes nothing"),
    Reading(("MSH", 12), "version"),
    Reading(("MSH", 15), "accept acknowledgement: AL, NE, ER or SU asks for enhanced mode"),
    Reading(("MSH", 16), "application acknowledgement: likewise"),
    Reading(("MSH", 18), "character set"),
)
_PATIENT: Final = (
    Reading(("PID", 3), "patient identifier: of type MR or PI, else the first"),
    Reading(("PID", 5), "name, in each alphabet"),
    Reading(("PID", 7), "birth date"),
    Reading(("PID", 8), "sex"),
)
_TEXT: Final = (
    Reading(("OBX", 2), "TX or FT: narrative; anything else is passed over"),
    Reading(("OBX", 3), "section, by code or text; 113014 (DCM): the Study Instance UID is in OBX-5"),
    Reading(("OBX", 5), "the text"),
    Reading(("OBX", 11), "D, N, W and X: the observation is not there; F, C and U: it is signed"),
    Reading(("OBX", 18), "equipment: our own device tells our own drafts, which are left alone"),
    # of signed text alone
    Reading(("MSH", 7), "when the report came to say what it says, where nothing else tells"),
    *_PATIENT,
    Reading(("IPC", 3), "Study Instance UID, where no observation tells it"),
    Reading(("ZDS", 1), "Study Instance UID, where IPC-3 has none"),
)


def _types(messages: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{kind}^{event}" for kind, event in sorted(messages))


RECEIVED: Final = (
    Received(
        _types(ORDER_MESSAGES),
        (
            Reading(("ORC", 1), "CA, OC and DC take the order back; anything else brings it"),
            Reading(("ORC", 2), "placer order number, where OBR-2 has none"),
            Reading(("ORC", 3), "filler order number, where OBR-3 has none"),
            Reading(("ORC", 7), "priority (component 6), where TQ1-9 and OBR-27 have none"),
            Reading(("TQ1", 9), "priority"),
            Reading(("OBR", 2), "placer order number"),
            Reading(("OBR", 3), "filler order number"),
            Reading(("OBR", 4), "procedure code"),
            Reading(("OBR", 13), "indication, where OBR-31 has none"),
            Reading(("OBR", 18), "accession number, where IPC-1 has none"),
            Reading(("OBR", 19), "requested procedure id, where IPC-2 has none"),
            Reading(("OBR", 27), "priority (component 6), where TQ1-9 has none"),
            Reading(("OBR", 31), "indication"),
            Reading(("IPC", 1), "accession number"),
            Reading(("IPC", 2), "requested procedure id"),
            Reading(("IPC", 3), "Study Instance UID"),
            Reading(("ZDS", 1), "Study Instance UID, where IPC-3 has none"),
            Reading(("PID", 3), "ids of the patient; an order that names another than the images is not used"),
        ),
        "the order of the study with that accession number, which may have come or not; or its cancellation",
    ),
    Received(
        tuple(f"ADT^{event}" for event in sorted(UPDATES)),
        _PATIENT,
        "name, birth date and sex of the patient's cases; what is empty stays as it was",
    ),
    Received(
        tuple(f"ADT^{event}" for event in sorted(MERGES)),
        (*_PATIENT, Reading(("MRG", 1), "the identifier that is no longer used")),
        "cases under MRG-1 go over to PID-3, and so do images that come later",
    ),
    Received(
        _types(message for message in NARRATIVE_MESSAGES if message[0] == "ORU"),
        (
            Reading(("OBR", 3), "accession number, where OBR-18 has none"),
            Reading(("OBR", 18), "accession number"),
            Reading(("OBR", 22), "when the status changed: the later version of a signed report counts"),
            Reading(("OBR", 25), "status: P, R, A, I, S is preliminary, F and C signed, X withdrawn; empty: as OBX-11"),
            Reading(("TXA", 15), "accession number, where OBR-18 has none"),
            *_TEXT,
        ),
        "preliminary text becomes phrases that stand in the draft byte for byte; signed text is kept as the report of "
        "its study, for drafts of later studies of the same patient, where a rule wants earlier studies, and is left "
        "alone where none does",
    ),
    Received(
        _types(message for message in NARRATIVE_MESSAGES if message[0] == "MDM"),
        (
            Reading(("OBR", 3), "accession number, where OBR-18 and TXA-15 have none"),
            Reading(("OBR", 18), "accession number"),
            Reading(("TXA", 15), "accession number, where OBR-18 has none"),
            Reading(("TXA", 8), "when it was edited, where TXA-22 does not tell when it was signed"),
            Reading(("TXA", 17), "completion status: DI, DO, IN, IP is preliminary, AU and LA signed"),
            Reading(("TXA", 19), "availability: AV or empty; CA and OB: it is withdrawn"),
            Reading(("TXA", 22), "when it was signed (component 15)"),
            *_TEXT,
        ),
        "as for ORU^R01",
    ),
)


# ── what is sent ──

_SECTION: Final = ResultSection("59776-5", "LN", "Findings", "{first line}\n{second line}")
_PDF: Final = b"%PDF-"


def sent(to: ReportingDestination, device: DeviceSettings) -> Iterator[tuple[str, Message]]:
    """Each message that a reporting system is sent for a draft, named, with braces around what differs in each."""
    result = _result(to, device)
    fields, version = overrides(to.fields), to.version
    data = oru.build(result, version=version, text_style=to.text_style, overrides=fields)
    yield "The draft as text", Message.parse(data)
    if to.pdf:
        data = oru.build_pdf(result, ("18748-4", "LN", "{title}"), _PDF, version=version, overrides=fields)
        yield "The draft as a PDF", Message.parse(data)


def _result(to: ReportingDestination, device: DeviceSettings) -> Result:
    return Result(
        header=Header(
            Application(device.station_name, to.sending_facility),
            Application(to.receiving_application, to.receiving_facility),
            "{id of the message}",
            datetime(2000, 1, 1, tzinfo=UTC),
            to.processing_id,
        ),
        patient=Patient("{id}", "{family}^{given}", "19000101", "{sex}", to.assigning_authority or "{issuer}"),
        order=Order("{accession}", "{placer}", "{filler}", ("{code}", "{scheme}", "{procedure}"), "{requested}"),
        study_uid="{Study UID}",
        sections=(_SECTION,),
        banner="{banner}",
        device=Device("{model}", device.manufacturer.upper(), "{device UID}"),
        study_datetime="20000101",
        status=to.status,
    )
