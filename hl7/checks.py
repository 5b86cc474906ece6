"""What must hold of a result message before it is sent: it is a draft on one study, a receiver can file it, and nobody
can take it for a final report."""

from __future__ import annotations

import re

from hl7.errors import Malformed
from hl7.escaping import STANDARD, escape, unescape
from hl7.header import LONGEST_CONTROL_ID
from hl7.message import Message, Segment
from hl7.oru import STUDY_UID, VERSIONS, documents_of, label_of, pdf_of, texts_of
from hl7.result import BANNER, STATUSES, Label
from hl7.validation import Finding, validate


def check(raw: bytes) -> tuple[Finding, ...]:
    """What forbids sending this ORU^R01 as a draft; nothing if it may be sent."""
    try:
        message = Message.parse(raw)
    except Malformed as error:
        return (Finding("message", f"cannot be read: {error}"),)
    findings = tuple(Finding(where, what) for where, what, wrong in _rules(message) if wrong)
    return findings or validate(message)


def _rules(m: Message) -> tuple[tuple[str, str, bool], ...]:
    """Place, what is wrong there, and whether it is."""
    observations, texts, documents, status = m.all("OBX"), texts_of(m), documents_of(m), m.raw("OBR", 25)
    drafted = texts + documents
    first = next(iter(observations), ())
    numbers = [m.raw(obx, 1) for obx in observations]
    keys = [(m.get(obx, 3, 1), m.get(obx, 3, 3), m.get(obx, 4)) for obx in observations]
    version = VERSIONS.get(m.get("MSH", 12))
    no_device = any(m.get(obx, 18) == "" for obx in drafted)
    return (
        ("MSH-2", "does not hold the usual delimiters", m.delimiters != STANDARD),
        ("MSH-9", "is not ORU^R01", m.components("MSH", 9)[:2] != ("ORU", "R01")),
        ("MSH-10", "is empty or too long", not 0 < len(m.get("MSH", 10)) <= LONGEST_CONTROL_ID),
        ("MSH-11", "is neither P nor T", m.get("MSH", 11) not in ("P", "T")),
        ("MSH-12", f"is none of {', '.join(VERSIONS)}", version is None),
        ("MSH-18", "is not UNICODE UTF-8", m.get("MSH", 18) != "UNICODE UTF-8"),
        ("PID", "is not there exactly once", len(m.all("PID")) != 1),
        ("PID-3", "holds no patient identifier", m.get("PID", 3) == ""),
        ("OBR", "is not there exactly once", len(m.all("OBR")) != 1),
        ("OBR-3", "and OBR-18 are empty: no order to file under", m.get("OBR", 3) == m.get("OBR", 18) == ""),
        ("OBR-25", "is neither R nor P: a draft is never final", status not in STATUSES),
        ("OBR-32", "to 35 name a person: nobody has read a draft", any(m.raw("OBR", n) for n in (32, 33, 34, 35))),
        ("ORC-5", "says that the order is completed", "CM" in m.components("ORC", 5)),
        ("OBX-1", "does not count from 1", numbers != [str(number) for number, _ in enumerate(numbers, 1)]),
        ("OBX", "of the study UID is not first, as ST with OBX-11 O", not _is_study_uid(m, first)),
        ("OBX", "of the banner is not second", [label_of(m, obx) for obx in observations[1:2]] != [BANNER]),
        ("OBX-2", "of a text is neither TX nor FT, and of a document not ED", len(drafted) != len(observations) - 1),
        ("OBX-3", "occurs twice with the same OBX-4", len(set(keys)) != len(keys)),
        (
            "OBX-5",
            "of the banner or a section is empty, or there is no section",
            not _all_have_text(m, texts, documents),
        ),
        ("OBX-5", "of a document is no PDF, or stands in a message with sections", not _is_pdf(m, texts, documents)),
        ("OBX-5", "holds a bare delimiter or a control character", not _well_escaped(m, texts)),
        ("OBX-11", "of a text is not the status in OBR-25", any(m.raw(obx, 11) != status for obx in drafted)),
        ("OBX-16", "names an observer: nobody has read a draft", any(m.raw(obx, 16) for obx in observations)),
        ("OBX-18", "of a text names no device", version is not None and version.equipment and no_device),
    )


def _is_study_uid(message: Message, obx: Segment) -> bool:
    labels = (message.get(obx, 2), label_of(message, obx), message.get(obx, 11))
    return labels == ("ST", STUDY_UID, "O") and re.fullmatch(r"[0-9.]{1,64}", message.get(obx, 5)) is not None


def _all_have_text(message: Message, texts: list[Segment], documents: list[Segment]) -> bool:
    sections: dict[Label, str] = {}
    for obx in texts:
        label = label_of(message, obx)
        sections[label] = sections.get(label, "") + "".join(message.repetitions(obx, 5))
    return len(sections) + len(documents) > 1 and all(text.strip() for text in sections.values())


def _is_pdf(message: Message, texts: list[Segment], documents: list[Segment]) -> bool:
    """As we send it: one document, and no text but the banner. True where there is none."""
    if not documents:
        return True
    try:
        pdf = pdf_of(message)
    except Malformed:
        return False
    alone = len(documents) == 1 and all(label_of(message, obx) == BANNER for obx in texts)
    return alone and pdf is not None and pdf.startswith(b"%PDF-")


def _well_escaped(message: Message, texts: list[Segment]) -> bool:
    contents = [content for obx in texts for content in message.raw(obx, 5).split(STANDARD.repetition)]
    try:
        return all(escape(unescape(content)) == content for content in contents)
    except Malformed:
        return False
