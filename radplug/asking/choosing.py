"""The order of a study among those that a worklist names. Pure: nothing is known of how they were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicom_io.scheduled import Scheduled
from hl7.orders import Order
from hl7.patient import Identifier
from radplug.domain import Case

LONGEST_ACCESSION = 16  # characters; VR SH
PRIORITIES = {"STAT": "S", "HIGH": "A", "ROUTINE": "R", "MEDIUM": "R", "LOW": "R"}  # (0040,1003) in HL7 table 0485


@dataclass(frozen=True, slots=True)
class Choice:
    """The order, or in words why there is none; the words hold no patient data."""

    order: Order | None
    why: str


def choose(found: Sequence[Scheduled], case: Case) -> Choice:
    """The one order that is certainly this study's.

    The patient must be the same, and then the Study Instance UID, which a modality takes from its worklist, or the
    accession number.
    """
    if not found:
        return Choice(None, "the worklist has none")
    theirs = [one for one in found if _same_patient(one, case)]
    if not theirs:
        return Choice(None, "the worklist has only orders of other patients")
    by_study = [one for one in theirs if one.study_uid == case.study_uid]
    by_accession = [one for one in theirs if one.accession_number and one.accession_number == case.accession_number]
    certain = by_study or by_accession
    same_modality = [one for one in certain if one.modality == case.modality]
    orders = list(dict.fromkeys(order_of(one) for one in same_modality or certain))
    if not orders:
        return Choice(None, "the worklist has only other orders of the patient")
    if len(orders) > 1:
        return Choice(None, f"the worklist has {len(orders)} orders that may be meant")
    number = orders[0].accession_number
    if not number or len(number) > LONGEST_ACCESSION or "\\" in number:
        return Choice(None, "the worklist's order has no accession number that can be used")
    if case.accession_number not in ("", number):
        return Choice(None, "the worklist's order has another accession number than the images")
    return Choice(orders[0], "found")


def order_of(one: Scheduled) -> Order:
    """In the words in which an HL7 order comes."""
    return Order(
        accession_number=one.accession_number,
        placer_order_number=one.placer_order_number,
        filler_order_number=one.filler_order_number,
        procedure_code=one.procedure_code,
        requested_procedure_id=one.requested_procedure_id,
        indication=one.indication,
        study_uid=one.study_uid,
        priority=PRIORITIES.get(one.priority.upper(), ""),
        patient=(Identifier(one.patient.id, one.patient.issuer),) if one.patient.id else (),
    )


def _same_patient(one: Scheduled, case: Case) -> bool:
    """By their id, and its issuer as far as both sides name one."""
    ours, theirs = case.patient, one.patient
    issued_alike = not ours.issuer or not theirs.issuer or ours.issuer == theirs.issuer
    return bool(ours.id) and ours.id == theirs.id and issued_alike
