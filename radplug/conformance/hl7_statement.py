"""The HL7 statement: which messages are taken and sent, and what stands in each field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Final

from hl7 import listener, mllp
from hl7.message import CHARACTER_SETS, Message
from hl7.oru import TextStyle
from radplug import __version__
from radplug.conformance.facts import INVESTIGATIONAL
from radplug.conformance.fhir_statement import fhir, fhircast
from radplug.conformance.markdown import Section, code, document, table
from radplug.conformance.messages import HEADER, RECEIVED, Reading, sent
from radplug.settings import ReportingDestination, Settings


def statement(settings: Settings, on: date) -> str:
    """The statement of a site with these settings, as Markdown."""
    cover = (
        table(("", ""), (("Product", f"radplug {__version__}"), ("Date of this document", on.isoformat()))),
        "Written by `radplug conformance` from the settings of this site and from the code, not by hand.",
    )
    received = _received(settings) if settings.hl7.on else ("None: neither `hl7.port` nor `[hl7.tls]` is set.",)
    parts = _messages() if settings.hl7.on else ()
    sections = (
        Section("Overview", (INVESTIGATIONAL, _overview(settings))),
        Section("Messages that are received", tuple(received), tuple(parts)),
        Section("Messages that are sent", _sent(settings), tuple(_to(settings, to) for to in settings.reporting)),
        fhir(settings),
        fhircast(settings),
    )
    return document("HL7 statement of radplug", cover, sections)


def _overview(settings: Settings) -> str:
    rows = [("in", kind, "2.3 to 2.8", one.effect) for one in RECEIVED for kind in one.types if settings.hl7.on]
    rows += [
        ("out", "ORU^R01", to.version, f"a draft report, to {to.name}{', as text and as a PDF' if to.pdf else ''}")
        for to in settings.reporting
    ]
    rows += [("out", "FHIR DiagnosticReport", "R4", f"a draft report, to {to.name}") for to in settings.fhir]
    if settings.fhircast:
        rows.append(("both", "FHIRcast", "3.0.0", "dictation from reporting sessions, and drafts into them"))
    return table(("Direction", "Message", "Version", "What it is"), rows) or "No messages are received or sent."


_TLS: Final = "TLS 1.2 or 1.3 by BCP 195 (ECDHE with AES-GCM or ChaCha20)"


def _transport(to: ReportingDestination) -> str:
    if not to.tls:
        return "MLLP release 1 over TCP, without TLS"
    ours = "ours is shown" if to.tls.certificate else "we show none"
    return f"MLLP release 1 with {_TLS}; its certificate must name {to.tls.server_name or to.host}, {ours}"


def _received(settings: Settings) -> Iterator[str]:
    ours = settings.hl7
    ports = [f"{ours.port}"] if ours.port is not None else []
    transport = ["plain"] if ports else []
    if ours.tls:
        shown = "must show" if ours.tls.require_client_certificate else "may show"
        ports.append(f"{ours.tls.port} with TLS")
        transport.append(f"with {_TLS}; senders {shown} a certificate")
    named = "; ".join(f"{code(sender)}: {charset}" for sender, charset in ours.character_sets.items())
    yield table(
        ("Parameter", "Value"),
        (
            ("Transport", f"MLLP release 1 over TCP, {', or '.join(transport)}; connections may stay open"),
            ("Listens on", f"{ours.host}, port {' and '.join(ports)}"),
            ("Senders that are let in", ", ".join(ours.addresses)),
            ("Longest message", f"{mllp.MAXIMUM_BYTES} bytes; a longer one ends the connection"),
            ("A connection without a byte ends after", f"{listener.IDLE_SECONDS:g} s"),
            ("Versions (MSH-12)", "2.3 to 2.8"),
            ("Character sets (MSH-18)", ", ".join(CHARACTER_SETS)),
            ("Character set without MSH-18", f"{named + '; else ' if named else ''}UTF-8"),
            ("Encoding", "ER7, with the delimiters that MSH-1 and MSH-2 name; segments end with CR, LF or both"),
            ("The same message again is known for", f"{ours.keep_days} days, by MSH-3, MSH-4, MSH-10 and its bytes"),
        ),
    )
    yield (
        "Segments and fields that are not listed, Z segments included, disturb nothing and are not read. Text is put "
        "into a section of the report by OBX-3, or by a heading on a line of its own or before a colon."
    )


def _messages() -> Iterator[Section]:
    yield Section("Header of every message", (_fields(HEADER),))
    for one in RECEIVED:
        yield Section(", ".join(one.types), (f"Effect: {one.effect}.", _fields(one.fields)))
    yield Section(
        "Answers",
        (
            "Original mode (MSH-15 and MSH-16 empty): one answer, AA, AE or AR. Enhanced mode: CA, CE or CR where "
            "MSH-15 wants it, then AA where MSH-16 does, on the same connection; a refusal is told once. An answer "
            "is given once the message is safe on disk. It is in the version, the delimiters and the character set "
            "of the message.",
            table(
                ("What came", "Answer", "ERR"),
                (
                    ("a message that is taken", "AA, CA", ""),
                    ("the same message again", "as the first time; no second effect", ""),
                    ("another message under a control id that was used", "AE, CE", "MSH-10, 205"),
                    ("a field that is missing, or cannot be used", "AE, CE", "the field, 100 to 103"),
                    ("another message type, event or version", "AR, CR", "MSH-9, 200 or 201; MSH-12, 203"),
                    ("no room on the disk, or no database", "none: the connection is closed", ""),
                ),
            ),
        ),
    )


def _fields(fields: Iterable[Reading]) -> str:
    return table(("Field", "What for"), [(field, field.what) for field in fields])


def _sent(settings: Settings) -> tuple[str, ...]:
    if not settings.reporting:
        return ("None: no `[[reporting]]` is set.",)
    return (
        "Each message goes on a connection of its own, in UTF-8, over MLLP; to each system one at a "
        "time, in the order in which they were made. A message sent again is the same to the byte, with the same "
        "MSH-10. A corrected draft is a message with the same order numbers and status. OBR-25 and OBX-11 are R or P "
        "and never final; OBR-32 to OBR-35 and OBX-16 are empty, because nobody has read the draft.",
        table(
            ("Answer (MSA-1)", "What is done"),
            (
                ("AA, CA", "the draft is delivered"),
                ("AE, CE", "a dead letter: listed, and sent again when somebody asks for it"),
                ("AR, CR, no answer, or the answer to another message", "sent again, with pauses that grow"),
            ),
        ),
    )


_STYLES: Final[Mapping[TextStyle, str]] = {
    "repeat": "an OBX for each section, its lines as repetitions",
    "line": "an OBX for each line",
    "ft": "an OBX for each section, in FT with line breaks as escape sequences",
}


def _to(settings: Settings, to: ReportingDestination) -> Section:
    about = table(
        ("Parameter", "Value"),
        (
            ("Address", f"{to.host}:{to.port}"),
            ("Transport", _transport(to)),
            ("Longest wait for an answer", f"{to.timeout_seconds:g} s"),
            ("Version (MSH-12)", to.version),
            ("Text (OBX-5)", _STYLES[to.text_style]),
            ("Fields set by this site", ", ".join(map(code, to.fields)) or "none"),
        ),
    )
    parts = tuple(Section(name, (_MARKS, _content(message))) for name, message in sent(to, settings.device))
    return Section(f"To {to.name}", (about,), parts)


_MARKS = (
    "What stands in braces differs in each message, and so do the times, which here are in the year 2000; birth "
    "date: 1900. Fields that are not listed are empty."
)


def _content(message: Message) -> str:
    """Every field that has a content, in order."""
    rows = [
        (f"{segment[0]}-{number}", code(content))
        for segment in message.segments
        for number, content in enumerate(segment)
        if number and content
    ]
    return table(("Field", "Content"), rows)
