"""Workitems, Unified Procedure Steps (PS3.4 CC): their words, and what a performer asks of whoever holds them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from pydicom import Dataset

from dicom_io.errors import Rejected
from dicom_io.retrieving import text
from dicom_io.scheduled import Scheduled, scheduled_in

READY: Final = "READY"  # Input Readiness State (0040,4041)
_UID: Final = re.compile(r"[0-9.]{1,64}")
_AE_TITLE: Final = re.compile(r"[ -\[\]-~]{1,16}")
_PATIENT: Final = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")


class Step(StrEnum):
    """Procedure Step State (0074,1000)."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class Conflict(Rejected):
    """The workitem is not in a state that allows this, or it is another's."""


@dataclass(frozen=True, slots=True)
class Code:
    value: str
    scheme: str
    meaning: str = ""

    def is_same(self, other: Code) -> bool:
        """Whatever either's meaning is called."""
        return (self.value, self.scheme) == (other.value, other.scheme)


@dataclass(frozen=True, slots=True)
class Input:
    """Instances that a workitem is about; without series all of the study, without instances all of the series."""

    study_uid: str
    series_uid: str = ""
    instances: frozenset[str] = frozenset()  # their SOP Instance UIDs
    ae_titles: tuple[str, ...] = ()  # from which they can be retrieved, as the workitem says


@dataclass(frozen=True, slots=True)
class Workitem:
    uid: str
    state: str
    stations: tuple[Code, ...]  # for which it is scheduled
    codes: tuple[Code, ...]  # what is to be done
    inputs: tuple[Input, ...]
    requests: tuple[Scheduled, ...]  # the orders behind it, with its patient


class Workitems(Protocol):
    """Whoever holds the workitems, by whichever service they are asked.

    Raises, in each method:
        Rejected: it refuses for good, say because it has no such workitem.
        Unavailable: it cannot be reached, does not let us in for now, or may do it later.
        Unreadable: the answer is none.
    """

    def search(self, station: Code, code: Code | None, most: int) -> list[Workitem]:
        """Those that are scheduled for a station and ready, of one task or (None) of any; others may be among them, and
        what was not told of one is empty."""

    def retrieve(self, uid: str) -> Workitem: ...

    def change(self, uid: str, transaction_uid: str, to: Step) -> None:
        """Put a workitem into another state; IN PROGRESS claims it for whoever knows the transaction's UID.

        Raises:
            Conflict: it is not in a state that allows this, or the transaction is another's.
        """

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
        """Raises as `change` does."""


def workitem_in(item: Dataset) -> Workitem:
    """A data set of an answer, in our words."""
    asked_for = [*_items(item, "ReferencedRequestSequence")]
    for request in asked_for:
        for keyword in _PATIENT:
            if keyword in item and keyword not in request:
                request[keyword] = item[keyword]
    return Workitem(
        uid=_uid(item, "SOPInstanceUID"),
        state=str(item.get("ProcedureStepState") or ""),
        stations=_codes(item, "ScheduledStationNameCodeSequence"),
        codes=_codes(item, "ScheduledWorkitemCodeSequence"),
        inputs=tuple(_input(one) for one in _items(item, "InputInformationSequence")),
        requests=tuple(map(scheduled_in, asked_for)),
    )


def _input(item: Dataset) -> Input:
    named = (_uid(one, "ReferencedSOPInstanceUID") for one in _items(item, "ReferencedSOPSequence"))
    places = (text(one, "RetrieveAETitle").split("\\") for one in _items(item, "DICOMRetrievalSequence"))
    return Input(
        _uid(item, "StudyInstanceUID"),
        _uid(item, "SeriesInstanceUID"),
        frozenset(filter(None, named)),
        tuple(filter(_AE_TITLE.fullmatch, (title.strip() for each in places for title in each))),
    )


def _uid(item: Dataset, keyword: str) -> str:
    """Empty where it is none: it will stand in addresses."""
    uid = str(item.get(keyword) or "")
    return uid if _UID.fullmatch(uid) else ""


def _codes(item: Dataset, keyword: str) -> tuple[Code, ...]:
    return tuple(
        Code(*(str(one.get(part) or "") for part in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")))
        for one in _items(item, keyword)
    )


def _items(item: Dataset, keyword: str) -> Iterable[Any]:
    return item.get(keyword) or ()
