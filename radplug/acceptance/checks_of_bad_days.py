"""What becomes of a draft when those who are to take it do not."""

from __future__ import annotations

import threading

from hl7.acknowledgement import acknowledge
from hl7.message import Message
from radplug.acceptance.check import Check
from radplug.acceptance.expecting import expect
from radplug.acceptance.ward import Ward

GROUP = "bad days"
SLOW = 3.0  # seconds


def _pacs_away(ward: Ward) -> str:
    study = ward.study()
    with ward.pacs.away():
        ward.send(study.files)
        ward.with_delivery(study, lambda one: one["kind"] == "sr" and one["attempts"] > 0, "a first attempt")
    ward.settled(study.order.accession_number)
    expect(len(ward.srs(study)) == 1, f"{len(ward.srs(study))} SRs came")
    return "the SR came once, after the PACS was back"


def _refused(ward: Ward) -> str:
    study = ward.study()
    with ward.ris.answering(lambda message: acknowledge(message, "AE", "the acceptance kit refuses this")):
        ward.send(study.files)
        case = ward.with_delivery(study, lambda one: one["state"] == "dead", "a dead letter")
    ward.api.post(f"/cases/{case['id']}/resend", {})
    ward.settled(study.order.accession_number)
    ids = [oru.control_id for oru in ward.orus(study)]
    expect(len(ids) == 2 and len(set(ids)) == 1, f"MSH-10 of what came: {ids}")
    return "a dead letter; sent again as the same message"


def _no_answer(ward: Ward) -> str:
    study = ward.study()

    def silent(_: Message) -> bytes:
        raise ConnectionAbortedError("the acceptance kit does not answer")

    with ward.ris.answering(silent):
        ward.send(study.files)
        ward.with_delivery(study, lambda one: one["kind"] == "oru" and one["attempts"] > 1, "a second attempt")
    ward.settled(study.order.accession_number)
    ids = {oru.control_id for oru in ward.orus(study)}
    expect(len(ids) == 1, f"{len(ids)} different messages came")
    return f"sent {len(ward.orus(study))} times, as the same message"


def _silent(ward: Ward) -> str:
    study, over = ward.study(), threading.Event()

    def never(_: Message) -> bytes:
        over.wait()
        raise ConnectionAbortedError("the acceptance kit does not answer")

    with ward.ris.answering(never):
        try:
            ward.send(study.files)
            case = ward.with_delivery(
                study, lambda one: one["kind"] == "oru" and bool(one["outcome"]), "the end of radplug's patience"
            )
        finally:
            over.set()
    (outcome,) = (d["outcome"] for d in case["deliveries"] if d["kind"] == "oru")
    ward.settled(study.order.accession_number)
    ids = {oru.control_id for oru in ward.orus(study)}
    expect(len(ids) == 1, f"{len(ids)} different messages came")
    return f"{outcome}; sent {len(ward.orus(study))} times, as the same message"


def _slow(ward: Ward) -> str:
    study = ward.study()

    def late(message: Message) -> bytes:
        threading.Event().wait(SLOW)
        return acknowledge(message, "AA")

    with ward.ris.answering(late):
        ward.send(study.files)
        ward.settled(study.order.accession_number)
    expect(len(ward.orus(study)) == 1, f"{len(ward.orus(study))} messages came")
    return f"waited {SLOW:.0f} s for the answer; sent once"


CHECKS = (
    Check("pacs-away", GROUP, "the PACS is down, then up", "the SR comes, once", _pacs_away),
    Check("refused", GROUP, "the reporting system answers AE (NAK)", "a dead letter; sent again on request", _refused),
    Check(
        "no-answer",
        GROUP,
        "the reporting system hangs up, no ACK",
        "the same message again, until it does",
        _no_answer,
    ),
    Check("silence", GROUP, "the reporting system holds the line, no ACK", "the same message again", _silent),
    Check("slow-answer", GROUP, "the reporting system answers late", "one message", _slow),
)
