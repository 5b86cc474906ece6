"""QIDO-RS and WADO-RS (PS3.18 10): which studies a patient has at a DICOMweb server, and getting one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Final

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmwrite
from pydicom.errors import InvalidDicomError

from dicom_io.dicomweb.server import Server
from dicom_io.elements import DAMAGE
from dicom_io.errors import Rejected, Unavailable
from dicom_io.listener import Arrival
from dicom_io.part10 import file_header, read_transfer_syntax
from dicom_io.reading import identify
from dicom_io.retrieving import FoundSeries, FoundStudy, require_one, series_of, studies_of

_FIELDS: Final = (
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "StudyDescription", "AccessionNumber"),
)
_AS_KEPT: Final = (("application/dicom", "*"),)  # in whatever transfer syntax the server keeps it
_OURS_TO_FIX: Final = range(400, 500)
_LATER: Final = (408, 429)
_NONSENSE: Final = (requests.JSONDecodeError, InvalidDicomError, *(kind for kind in DAMAGE if kind is not OSError))


def find_studies(patient_id: str, server: Server, *, most: int = 500) -> list[FoundStudy]:
    """What the server names when it is asked for a Patient ID.

    Raises:
        Rejected: the server refuses the query, or the ID is empty or would ask for other patients as well.
        Unavailable: the server cannot be reached, or does not answer in time.
    """
    require_one(patient_id)
    with _asked(server) as client:
        answers = client.search_for_studies(
            search_filters={"PatientID": patient_id}, fields=[*_FIELDS], limit=most, fuzzymatching=False
        )
        return [study for answer in answers for study in studies_of(Dataset.from_json(answer))]


def find_series(study_uid: str, server: Server) -> list[FoundSeries]:
    """The series of a study as the server describes them. Otherwise as `find_studies`."""
    with _asked(server) as client:
        answers = client.search_for_series(study_uid, fields=["Modality", "BodyPartExamined"])
        return [series_of(Dataset.from_json(answer)) for answer in answers]


def fetch_study(study_uid: str, take: Callable[[Arrival], None], server: Server, *, seconds: float) -> int:
    """Gets a study, each instance handed to `take`; how many came. `seconds` are for all of it.

    Raises:
        Rejected: the server refuses, or has no such study.
        Unavailable: the server cannot be reached, or took too long.
    """
    count, deadline = 0, time.monotonic() + seconds
    with _asked(server) as client:
        for instance in client.iter_study(study_uid, media_types=_AS_KEPT):
            if time.monotonic() > deadline:
                raise Unavailable(f"{server} was not done with the study in the time that there was for it")
            take(_arrival(instance))
            count += 1
    return count


@contextmanager
def _asked(server: Server) -> Iterator[DICOMwebClient]:
    """What goes wrong is said without the request's URL, which names the patient."""
    with server.session() as session:
        client = DICOMwebClient(server.url, session=session, timeout=server.timeout)
        client.set_http_retry_params(retry=False)
        try:
            yield client
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            kind = Rejected if status in _OURS_TO_FIX and status not in _LATER else Unavailable
            raise kind(f"{server} answered {status}") from None
        except _NONSENSE as error:
            raise Rejected(f"{server} gave an answer that makes no sense ({type(error).__name__})") from None
        except OSError as error:  # of which all errors of requests are
            why = type(error).__name__
            raise Unavailable(f"{server}: no answer ({why}); is it running, and its URL right?") from None


def _arrival(instance: Dataset) -> Arrival:
    stream = BytesIO()
    dcmwrite(stream, instance, enforce_file_format=True)
    stream.seek(0)
    syntax = read_transfer_syntax(stream)
    data_set = stream.read()
    facts = identify(data_set, syntax)
    header = file_header(
        sop_class_uid=facts.sop_class_uid, sop_instance_uid=facts.sop_instance_uid, transfer_syntax_uid=syntax
    )
    return Arrival(facts, header, data_set, "", "")
