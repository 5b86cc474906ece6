"""Query/Retrieve SCU, Study Root (PS3.4 C): which studies a patient has at a peer, how much it has of one, and having
it send one to us, or getting it on the association that asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.status import STATUS_PENDING, STATUS_SUCCESS, code_to_category

from dicom_io.arrival import OUT_OF_RESOURCES, SUCCESS, Arrival, arrival_of
from dicom_io.association import Peer, associated
from dicom_io.errors import DicomError, Rejected, Unavailable
from dicom_io.offered import COMMON, storage
from dicom_io.study import Patient

FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"  # Study Root Query/Retrieve Information Model
MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"

# Failures that pass: out of resources (PS3.4 C.4.1.1.4, C.4.2.1.5).
PASSING: Final = frozenset({0xA700, 0xA701, 0xA702})
ANSWERS: Final = 10_000  # that may wait for us; a peer that sends faster is hung up on
WILDCARDS: Final = frozenset("*?\\")
_LARGEST: Final = 2 << 30  # bytes of an instance


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study as the peer describes it: whether its patient is the one asked for is for the caller to compare."""

    uid: str
    patient: Patient
    date: str  # DA, empty where it is not told
    modalities: frozenset[str]
    description: str
    accession_number: str  # empty where it is not told


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series as the peer describes it."""

    uid: str
    modality: str
    body_part: str  # Body Part Examined, upper case; empty where it is not told
    instances: int | None  # None: not told


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the peer says that it has of a study."""

    instances: int | None  # None: it does not know the study, or does not tell
    series: tuple[FoundSeries, ...]


def proposed(model: str) -> PresentationContext:
    """What is asked of a peer, for an information model."""
    return build_context(model, list(COMMON))


def find_studies(patient_id: str, peer: Peer, *, calling_ae: str, timeout: float, most: int = 500) -> list[FoundStudy]:
    """What the peer names when it is asked for a Patient ID.

    Args:
        timeout: seconds for the association, and then for each answer.
        most: studies to take from the peer; further ones are not waited for.

    Raises:
        Rejected: the peer refuses the query, or the ID is empty or would ask for other patients as well.
        Unavailable: the peer cannot be reached, or does not answer in time.
    """
    require_one(patient_id)
    contexts = [proposed(FIND)]
    found: list[FoundStudy] = []
    with associated(peer, contexts, calling_ae=calling_ae, timeout=timeout, answers=ANSWERS) as association:
        answers = association.send_c_find(_query(patient_id), FIND)
        for answer, identifier in answers:
            if is_pending(answer, peer) and identifier is not None:
                found += studies_of(identifier)
            if len(found) >= most:
                association.abort()
                break
    return found


def find_holdings(study_uid: str, peer: Peer, *, calling_ae: str, timeout: float) -> Holdings:
    """How many instances the peer has of a study, and of each of its series; both are optional for it to tell.

    Raises:
        Rejected: the peer refuses the query.
        Unavailable: the peer cannot be reached, or says nothing for `timeout` seconds.
    """
    of_study = _wanted(study_uid, "STUDY")
    of_study.NumberOfStudyRelatedInstances = None
    of_series = _wanted(study_uid, "SERIES")
    of_series.SeriesInstanceUID, of_series.Modality, of_series.NumberOfSeriesRelatedInstances = "", "", None
    contexts = [proposed(FIND)]
    with associated(peer, contexts, calling_ae=calling_ae, timeout=timeout, answers=ANSWERS) as association:
        studies = [
            _count(found, "NumberOfStudyRelatedInstances")
            for found in _found(association, of_study, peer)
            if text(found, "StudyInstanceUID") == study_uid
        ]
        series = _found(association, of_series, peer) if studies else ()
        return Holdings(next(iter(studies), None), tuple(found for each in series if (found := series_of(each)).uid))


def find_series(study_uid: str, peer: Peer, *, calling_ae: str, timeout: float) -> list[FoundSeries]:
    """The series of a study as the peer describes them. Otherwise as `find_studies`."""
    query = _wanted(study_uid, "SERIES")
    for keyword in ("SeriesInstanceUID", "Modality", "BodyPartExamined"):
        setattr(query, keyword, "")
    contexts = [proposed(FIND)]
    with associated(peer, contexts, calling_ae=calling_ae, timeout=timeout, answers=ANSWERS) as association:
        return [series_of(found) for found in _found(association, query, peer)]


def require_one(patient_id: str) -> None:
    """Raises Rejected for an ID that is empty, or that would ask for other patients as well."""
    if not patient_id.strip() or WILDCARDS.intersection(patient_id):
        raise Rejected("a Patient ID is wanted that is not empty and has none of *, ? and backslash: it asks for one")


def move_study(
    study_uid: str,
    to: str,
    peer: Peer,
    *,
    series_uid: str = "",
    instance_uids: Collection[str] = (),
    calling_ae: str,
    timeout: float,
    seconds: float,
) -> int:
    """Has the peer send a study to the AE title `to`, which it must know; how many instances it says that it sent.

    Args:
        series_uid: of one series, which alone is wanted; empty: all of the study.
        instance_uids: those that are wanted of the series; none: all of it. Without `series_uid` they cannot be named.
        timeout: seconds for the association, and then for each answer.
        seconds: for all of it; what has come by then has come.

    Raises:
        Rejected: the peer refuses, say because it does not know `to`, or could not send them all.
        Unavailable: the peer cannot be reached, or took too long.
    """
    contexts, deadline = [proposed(MOVE)], time.monotonic() + seconds
    with associated(peer, contexts, calling_ae=calling_ae, timeout=timeout, answers=ANSWERS) as association:
        wanted = _part(study_uid, series_uid, instance_uids)
        return _sent(association.send_c_move(wanted, to, MOVE), association, peer, deadline)


def get_study(
    study_uid: str,
    take: Callable[[Arrival], None],
    peer: Peer,
    *,
    series_uid: str = "",
    instance_uids: Collection[str] = (),
    calling_ae: str,
    timeout: float,
    seconds: float,
) -> int:
    """Gets a study, each instance handed to `take`; how many the peer says that it sent. Otherwise as `move_study`.

    What `take` raises of a DicomError is the peer's failure to send that instance.
    """
    deadline = time.monotonic() + seconds

    def stored(event: evt.Event) -> int:
        if time.monotonic() > deadline:
            event.assoc.abort()
            return OUT_OF_RESOURCES
        try:
            take(arrival_of(event))
        except DicomError:
            return OUT_OF_RESOURCES
        return SUCCESS

    kinds = storage()
    with associated(
        peer,
        [proposed(GET), *kinds],
        calling_ae=calling_ae,
        timeout=timeout,
        answers=ANSWERS,
        largest=_LARGEST,
        handlers=[(evt.EVT_C_STORE, stored)],
        roles=[build_role(kind.abstract_syntax or "", scp_role=True) for kind in kinds],
    ) as association:
        wanted = _part(study_uid, series_uid, instance_uids)
        return _sent(association.send_c_get(wanted, GET), association, peer, deadline)


def _wanted(study_uid: str, level: str = "STUDY") -> Dataset:
    wanted = Dataset()
    wanted.QueryRetrieveLevel = level
    wanted.StudyInstanceUID = study_uid
    return wanted


def _part(study_uid: str, series_uid: str, instance_uids: Collection[str]) -> Dataset:
    if not series_uid:
        return _wanted(study_uid)
    wanted = _wanted(study_uid, "IMAGE" if instance_uids else "SERIES")
    wanted.SeriesInstanceUID = series_uid
    if instance_uids:
        wanted.SOPInstanceUID = sorted(instance_uids)
    return wanted


def _sent(
    answers: Iterable[tuple[Dataset, Dataset | None]], association: Association, peer: Peer, deadline: float
) -> int:
    """How many instances the peer has sent in the end."""
    sent = 0
    for answer, _ in answers:
        if time.monotonic() > deadline:
            association.abort()
            raise Unavailable(f"{peer} was not done with the study in the time that there was for it")
        is_pending(answer, peer)
        sent = int(answer.get("NumberOfCompletedSuboperations") or sent)
    return sent


def _found(association: Association, query: Dataset, peer: Peer) -> Iterator[Dataset]:
    for answer, identifier in association.send_c_find(query, FIND):
        if is_pending(answer, peer) and identifier is not None:
            yield identifier


def _query(patient_id: str) -> Dataset:
    query = Dataset()
    query.SpecificCharacterSet = "ISO_IR 192"
    query.QueryRetrieveLevel = "STUDY"
    query.PatientID = patient_id
    for keyword in ("IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(query, keyword, "")
    for keyword in ("StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "StudyDescription", "AccessionNumber"):
        setattr(query, keyword, "")
    return query


def studies_of(identifier: Dataset) -> Iterator[FoundStudy]:
    """The study of an answer; none where it does not say which one it is."""
    if not (uid := text(identifier, "StudyInstanceUID")):
        return
    yield FoundStudy(
        uid,
        Patient(
            id=text(identifier, "PatientID"),
            issuer=text(identifier, "IssuerOfPatientID"),
            name=text(identifier, "PatientName"),
            birth_date=text(identifier, "PatientBirthDate"),
            sex=text(identifier, "PatientSex"),
        ),
        text(identifier, "StudyDate"),
        frozenset(filter(None, text(identifier, "ModalitiesInStudy").split("\\"))),
        text(identifier, "StudyDescription"),
        text(identifier, "AccessionNumber"),
    )


def series_of(identifier: Dataset) -> FoundSeries:
    """The series of an answer."""
    return FoundSeries(
        text(identifier, "SeriesInstanceUID"),
        text(identifier, "Modality"),
        text(identifier, "BodyPartExamined").upper(),
        _count(identifier, "NumberOfSeriesRelatedInstances"),
    )


def text(identifier: Dataset, keyword: str) -> str:
    value = identifier.get(keyword)
    if value is None:
        return ""
    return "\\".join(map(str, value)) if hasattr(value, "append") else str(value).strip()


def _count(identifier: Dataset, keyword: str) -> int | None:
    told = text(identifier, keyword)
    return int(told) if told.isdecimal() else None


def is_pending(answer: Dataset, peer: Peer) -> bool:
    """Whether more follows; False at the end that was wished for."""
    if "Status" not in answer:
        raise Unavailable(f"{peer} broke the association off, or did not answer in time")
    status = answer.Status
    category = code_to_category(status)
    if category in (STATUS_SUCCESS, STATUS_PENDING):
        return category == STATUS_PENDING
    kind: type[DicomError] = Unavailable if status in PASSING else Rejected
    raise kind(f"{peer} answered 0x{status:04X}", comment=str(answer.get("ErrorComment", "")))
