"""Where messages arrive: each is acted upon once, in one transaction with its answer, and only then answered."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from pathlib import Path

import structlog

from dicom_io.uids import uid_for
from hl7.acknowledgement import answers
from hl7.errors import BadField, Malformed
from hl7.message import Message, header_of
from radplug.hl7_in.reading import NO_DRAFT, Reader
from radplug.notices import (
    Cancelled,
    Dictated,
    Identities,
    Kept,
    Key,
    Nothing,
    Notice,
    Ordered,
    Signed,
    Touched,
    Withdrawn,
)
from radplug.passages import sections_by_name
from radplug.study_store import write_durably
from radplug.wiring import House

QUARANTINE = Path("hl7-quarantine")
EVENTS: Mapping[type[Notice], str] = {
    Ordered: "order taken",
    Cancelled: "order cancelled",
    Dictated: "dictated",
    Withdrawn: "dictation withdrawn",
    Signed: "signed report taken",
    Identities: "patients' data taken",
    Nothing: "message left alone",
}
_NOBODY = header_of(rb"MSH|^~\&||||||||||2.5.1")  # whom a message is from that does not say so

log = structlog.get_logger(__name__)


def take(house: House, raw: bytes) -> tuple[bytes, ...]:
    """Act upon a message, and all that its sender is to be told.

    It is taken whole, or refused and put into quarantine: either is safe on disk once this returns.

    Raises:
        NoSpace: what is refused cannot be kept, so that nothing may be answered.
    """
    header = _NOBODY
    try:
        header = header_of(raw)
        return _take(house, raw, header)
    except Malformed as error:
        return _refuse(house, raw, header, error)


def _take(house: House, raw: bytes, header: Message) -> tuple[bytes, ...]:
    key = Key(*(header.raw("MSH", number) for number in (3, 4, 10)))
    if not key.control_id:
        raise BadField("MSH", 10, "101", "is empty, wanted is an id that no other message has")
    sha256 = hashlib.sha256(raw).hexdigest()
    if before := house.notices.kept(key):
        return _again(house, key, before, sha256)
    charset = house.settings.hl7.character_set(header.get("MSH", 3), header.get("MSH", 4))
    message, now = Message.parse(raw, charset), house.now()
    notice = _wanted(house, _reader(house).read(message, now))
    kept = Kept(sha256, answers(message))
    touched = house.notices.take(key, kept, notice, now)
    if touched is None:  # it came twice at the same time
        return _again(house, key, house.notices.kept(key) or kept, sha256)
    _note(house, key, message, notice, touched)
    return kept.answers


def _again(house: House, key: Key, before: Kept, sha256: str) -> tuple[bytes, ...]:
    """The answer that the message had when it came first.

    Raises:
        BadField: it is another message that bears the same id.
    """
    if before.sha256 != sha256:
        house.audit.note("another message under a used id", alarm=True, message=key.control_id, sender=key.application)
        raise BadField("MSH", 10, "205", "is the id of another message that was taken: each must have its own")
    house.audit.note("message repeated", message=key.control_id, sender=key.application)
    return before.answers


def _wanted(house: House, notice: Notice) -> Notice:
    """Reports of patients are kept only where studies are compared with earlier ones.

    Raises:
        UnusableText: whether they are cannot be told, because no rules could be used yet.
    """
    return Nothing(NO_DRAFT) if isinstance(notice, Signed) and not house.router.compares() else notice


def _reader(house: House) -> Reader:
    sections = (section for one in house.templates for section in one.template.sections)
    return Reader(
        sections_by_name(sections, house.settings.hl7.sections), own_device=uid_for(house.settings.device.identity)
    )


def _refuse(house: House, raw: bytes, header: Message, error: Malformed) -> tuple[bytes, ...]:
    now = house.now()
    file = QUARANTINE / now.strftime("%Y-%m-%d") / f"{uuid.uuid4().hex}.hl7"
    write_durably(house.store.path(str(file)), raw)
    house.audit.note("message refused", reason=str(error), file=str(file), sender=header.get("MSH", 3))
    log.warning("message refused", reason=str(error), file=str(file))
    return answers(header, error)


def _note(house: House, key: Key, message: Message, notice: Notice, touched: list[Touched]) -> None:
    about = {"message": key.control_id, "sender": key.application, "type": "^".join(message.components("MSH", 9)[:2])}
    match notice:
        case Nothing(reason):
            house.audit.note(EVENTS[Nothing], reason=reason, **about)
        case Dictated(phrases):
            house.audit.note(EVENTS[Dictated], phrases=len(phrases), **about)
        case Signed(report):
            house.audit.note(EVENTS[Signed], withdrawn=not report.sections, **about)
        case _:
            house.audit.note(EVENTS[type(notice)], **about)
    for case in touched:
        house.audit.note("patient changed", case.case_id, report=case.report, **about)
    log.info("message taken", type=about["type"])
