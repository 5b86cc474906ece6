"""Modality Worklist SCU (PS3.4 K): what the ordering side has planned, as far as a report needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from dicom_io.association import Peer, associated
from dicom_io.errors import Rejected
from dicom_io.retrieving import ANSWERS, WILDCARDS, is_pending, proposed, text
from dicom_io.study import Patient

WORKLIST: Final = "1.2.840.10008.5.1.4.31"  # Modality Worklist Information Model


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A requested procedure; empty is "not told". Whether it is the one in question is for the caller to compare."""

    accession_number: str
    patient: Patient
    study_uid: str = ""
    modality: str = ""  # of the step that was planned
    placer_order_number: str = ""
    filler_order_number: str = ""
    procedure_code: tuple[str, str, str] = ("", "", "")  # value, scheme, meaning
    requested_procedure_id: str = ""
    indication: str = ""
    priority: str = ""  # STAT, HIGH, ROUTINE, MEDIUM, LOW


def find_scheduled(
    peer: Peer, *, accession_number: str = "", patient_id: str = "", calling_ae: str, timeout: float, most: int = 100
) -> list[Scheduled]:
    """What the peer has planned under an accession number, or for a patient.

    Args:
        timeout: seconds for the association, and then for each answer.
        most: answers to take from the peer; further ones are not waited for.

    Raises:
        Rejected: the peer refuses the query; or neither is given, or one that would ask for others as well.
        Unavailable: the peer cannot be reached, or does not answer in time.
    """
    asked = accession_number or patient_id
    if not asked.strip() or WILDCARDS.intersection(accession_number + patient_id):
        raise Rejected("an accession number or Patient ID without *, ? and backslash is wanted: it asks for one")
    contexts, found = [proposed(WORKLIST)], list[Scheduled]()
    with associated(peer, contexts, calling_ae=calling_ae, timeout=timeout, answers=ANSWERS) as association:
        for answer, identifier in association.send_c_find(_query(accession_number, patient_id), WORKLIST):
            if is_pending(answer, peer) and identifier is not None:
                found.append(scheduled_in(identifier))
            if len(found) >= most:
                association.abort()
                break
    return found


def scheduled_in(item: Dataset) -> Scheduled:
    """A worklist item, or an item of a Referenced Request Sequence, in our words."""
    step = next(iter(item.get("ScheduledProcedureStepSequence") or ()), Dataset())
    code = next(iter(item.get("RequestedProcedureCodeSequence") or ()), Dataset())
    reason = next(iter(item.get("ReasonForRequestedProcedureCodeSequence") or ()), Dataset())
    return Scheduled(
        accession_number=text(item, "AccessionNumber"),
        patient=Patient(
            id=text(item, "PatientID"),
            issuer=text(item, "IssuerOfPatientID"),
            name=text(item, "PatientName"),
            birth_date=text(item, "PatientBirthDate"),
            sex=text(item, "PatientSex"),
        ),
        study_uid=text(item, "StudyInstanceUID"),
        modality=text(step, "Modality"),
        placer_order_number=text(item, "PlacerOrderNumberImagingServiceRequest"),
        filler_order_number=text(item, "FillerOrderNumberImagingServiceRequest"),
        procedure_code=(
            text(code, "CodeValue"),
            text(code, "CodingSchemeDesignator"),
            text(code, "CodeMeaning") or text(item, "RequestedProcedureDescription"),
        ),
        requested_procedure_id=text(item, "RequestedProcedureID"),
        indication=text(item, "ReasonForTheRequestedProcedure") or text(reason, "CodeMeaning"),
        priority=text(item, "RequestedProcedurePriority"),
    )


def _query(accession_number: str, patient_id: str) -> Dataset:
    query = Dataset()
    query.SpecificCharacterSet = "ISO_IR 192"
    query.AccessionNumber, query.PatientID = accession_number, patient_id
    for keyword in ("IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(query, keyword, "")
    for keyword in (
        "StudyInstanceUID",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "RequestedProcedureID",
        "RequestedProcedureDescription",
        "RequestedProcedurePriority",
        "ReasonForTheRequestedProcedure",
    ):
        setattr(query, keyword, "")
    query.RequestedProcedureCodeSequence = Items([_code()])
    query.ReasonForRequestedProcedureCodeSequence = Items([_code()])
    step = Dataset()
    for keyword in ("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate"):
        setattr(step, keyword, "")
    query.ScheduledProcedureStepSequence = Items([step])
    return query


def _code() -> Dataset:
    code = Dataset()
    for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"):
        setattr(code, keyword, "")
    return code
