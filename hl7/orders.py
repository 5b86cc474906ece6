"""An imaging order, as far as a report needs it, and the messages that bring one."""

from __future__ import annotations

from dataclasses import dataclass

from hl7.errors import BadField
from hl7.header import Header, header_segment
from hl7.message import Message, carets, segment
from hl7.patient import Identifier, Patient, patient_segment, read_identifiers


@dataclass(frozen=True, slots=True)
class Order:
    """What the ordering side calls a study (HL7 2.5.1 chapter 4; IHE RAD TF-2 4.4); empty is "not given"."""

    accession_number: str  # OBR-18 at most sites, IPC-1 in OMI^O23
    placer_order_number: str = ""  # OBR-2, entity identifier with its namespace, carets between: 4711^HIS
    filler_order_number: str = ""  # OBR-3, likewise
    procedure_code: tuple[str, str, str] = ("", "", "")  # OBR-4: identifier, coding system, text
    requested_procedure_id: str = ""  # OBR-19
    indication: str = ""  # OBR-31 or OBR-13
    study_uid: str = ""  # ZDS-1 or IPC-3
    priority: str = ""  # TQ1-9, OBR-27.6 or ORC-7.6: S (stat), A (as soon as possible), R (routine), … (table 0485)
    patient: tuple[Identifier, ...] = ()  # PID-3: ids of the one patient that it is for


ORDER_MESSAGES = frozenset({("ORM", "O01"), ("OMI", "O23")})


def read_order(message: Message) -> Order:
    """The order in an ORM^O01 or an OMI^O23; what ORC-1 asks to be done with it is for the caller to see.

    Raises:
        Malformed: another message, or one that does not hold exactly one order.
    """
    if (message.get("MSH", 9, 1), message.get("MSH", 9, 2)) not in ORDER_MESSAGES:
        raise BadField("MSH", 9, "200", "is neither ORM^O01 nor OMI^O23, so this is not an imaging order")
    if (found := len(message.all("OBR"))) != 1:
        raise BadField(
            "OBR", 1, "100", f"stands {found} times, wanted is once: each order must be a message of its own"
        )

    def first(*places: tuple[str, int, int]) -> str:
        return next((text for place in places if (text := message.get(*place))), "")

    def number(field: int) -> str:
        return "^".join(message.components("OBR", field)) or "^".join(message.components("ORC", field))

    reasons = (
        message.get("OBR", 31, 2, repetition) or message.get("OBR", 31, 1, repetition)
        for repetition, _ in enumerate(message.repetitions("OBR", 31), 1)
    )
    return Order(
        accession_number=first(("IPC", 1, 1), ("OBR", 18, 1)),
        placer_order_number=number(2),
        filler_order_number=number(3),
        procedure_code=(message.get("OBR", 4, 1), message.get("OBR", 4, 3), message.get("OBR", 4, 2)),
        requested_procedure_id=first(("IPC", 2, 1), ("OBR", 19, 1)),
        indication="; ".join(filter(None, reasons)) or message.get("OBR", 13),
        study_uid=first(("IPC", 3, 1), ("ZDS", 1, 1)),
        priority=first(("TQ1", 9, 1), ("OBR", 27, 6), ("ORC", 7, 6)),
        patient=tuple(one for pid in message.all("PID")[:1] for one in read_identifiers(message, pid, 3)),
    )


def is_cancelled(message: Message) -> bool:
    """Whether ORC-1 takes the order back: asked for (CA), or told of (OC, DC)."""
    return message.get("ORC", 1) in ("CA", "OC", "DC")


def build_order(order: Order, patient: Patient, header: Header) -> bytes:
    """A new order as ORM^O01, the way that an ordering system sends it, its study UID in ZDS (IHE RAD TF-2 4.4).

    Raises:
        Malformed: a text holds a character that HL7 cannot carry.
    """
    numbers = {2: carets(order.placer_order_number), 3: carets(order.filler_order_number)}
    identifier, scheme, text = order.procedure_code
    return Message(
        (
            header_segment(header, ("ORM", "O01", "ORM_O01"), "2.5.1"),
            patient_segment(patient),
            segment("ORC", {1: "NW", **numbers}),
            segment(
                "OBR",
                {
                    1: "1",
                    **numbers,
                    4: (identifier, text, scheme),
                    18: order.accession_number,
                    19: order.requested_procedure_id,
                    27: ("", "", "", "", "", order.priority),
                    31: ("", order.indication),
                },
            ),
            *([segment("ZDS", {1: (order.study_uid, "", "Application", "DICOM")})] if order.study_uid else []),
        )
    ).encode()
