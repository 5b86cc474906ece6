"""QIDO-RS as its user (PS3.18 10.6): which studies a patient has at a DICOMweb server."""

from __future__ import annotations

from typing import Final

from pydicom import Dataset

from dicom_io.dicomweb.server import Server, asking
from dicom_io.retrieving import FoundSeries, FoundStudy, require_one, series_of, studies_of

_FIELDS: Final = (
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "StudyDescription", "AccessionNumber"),
)


def find_studies(patient_id: str, server: Server, *, most: int = 500) -> list[FoundStudy]:
    """What the server names when it is asked for a Patient ID.

    Raises:
        Rejected: the server refuses the query, or the ID is empty or would ask for other patients as well.
        Unavailable: the server cannot be reached, does not answer in time, or does not let us in.
        Unreadable: its answer makes no sense.
    """
    require_one(patient_id)
    with asking(server) as client:
        answers = client.search_for_studies(
            search_filters={"PatientID": patient_id}, fields=[*_FIELDS], limit=most, fuzzymatching=False
        )
        return [study for answer in answers for study in studies_of(Dataset.from_json(answer))]


def find_series(study_uid: str, server: Server) -> list[FoundSeries]:
    """The series of a study as the server describes them. Otherwise as `find_studies`."""
    with asking(server) as client:
        answers = client.search_for_series(study_uid, fields=["Modality", "BodyPartExamined"])
        return [series_of(Dataset.from_json(answer)) for answer in answers]
