"""UPS-RS as the performer of workitems (PS3.18 11, PS3.4 CC): found, claimed, told of, and brought to an end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import requests
from pydicom import Dataset

from dicom_io.dicomweb.server import Server, refusal, unreached
from dicom_io.errors import Rejected, Unreadable
from dicom_io.scheduled import Scheduled, scheduled_in

MEDIA_TYPE: Final = "application/dicom+json"
_UID: Final = re.compile(r"[0-9.]{1,64}")


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


@dataclass(frozen=True, slots=True)
class Workitem:
    uid: str
    state: str
    stations: tuple[Code, ...]  # for which it is scheduled
    codes: tuple[Code, ...]  # what is to be done
    inputs: tuple[Input, ...]
    requests: tuple[Scheduled, ...]  # the orders behind it, with its patient


class Workitems:
    """A server's workitems."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def search(self, keys: Mapping[str, str], most: int) -> list[Workitem]:
        """Those that match the keys, which are attributes by keyword or tag; nested ones with a dot between.

        Raises:
            Rejected, Unavailable: there is no answer to be had, for good or for now.
            Unreadable: the answer is none.
        """
        answer = self._ask("GET", "/workitems", params={**keys, "limit": str(most)})
        return [_workitem(item) for item in _data_sets(self._server, answer)]

    def retrieve(self, uid: str) -> Workitem:
        """Raises as `search` does."""
        found = _data_sets(self._server, self._ask("GET", f"/workitems/{uid}"))
        if len(found) != 1:
            raise Unreadable(f"{self._server} gave {len(found)} workitems where one was asked for")
        return _workitem(found[0])

    def change(self, uid: str, transaction_uid: str, to: Step) -> None:
        """Put a workitem into another state; IN PROGRESS claims it for whoever knows the transaction's UID.

        Raises:
            Conflict: it is not in a state that allows this, or the transaction is another's.
            Rejected, Unavailable: as with `search`.
        """
        wanted = Dataset()
        wanted.TransactionUID, wanted.ProcedureStepState = transaction_uid, to.value
        self._ask("PUT", f"/workitems/{uid}/state", body=wanted)

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
        """Raises as `change` does."""
        told = Dataset()
        told.update(changes)
        told.TransactionUID = transaction_uid  # some servers look for it here, and not in the address
        self._ask("POST", f"/workitems/{uid}", params={"transaction-uid": transaction_uid}, body=told)

    def _ask(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Dataset | None = None
    ) -> requests.Response:
        server, headers = self._server, {"Accept": MEDIA_TYPE}
        if body is not None:
            headers["Content-Type"] = MEDIA_TYPE
        data = body.to_json().encode() if body is not None else None
        try:
            with server.session() as session:
                answer = session.request(
                    method, server.url + path, params=params, data=data, headers=headers, timeout=server.timeout
                )
        except OSError as error:
            raise unreached(server, error) from None
        if answer.status_code == 409:
            raise Conflict(f"{server} answered 409: the workitem's state does not allow this, or it is another's")
        if not 200 <= answer.status_code < 300:
            raise refusal(server, answer.status_code)
        return answer


def _data_sets(server: Server, answer: requests.Response) -> list[Dataset]:
    if answer.status_code == 204 or not answer.content:
        return []
    try:
        found = answer.json()
        return [Dataset.from_json(item) for item in (found if isinstance(found, list) else [found])]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unreadable(f"{server} gave an answer that is not in DICOM's JSON") from None


def _workitem(item: Dataset) -> Workitem:
    asked_for = [*_items(item, "ReferencedRequestSequence")]
    for request in asked_for:
        for keyword in ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"):
            if keyword in item and keyword not in request:
                request[keyword] = item[keyword]
    return Workitem(
        uid=_uid(item, "SOPInstanceUID"),
        state=str(item.get("ProcedureStepState", "")),
        stations=_codes(item, "ScheduledStationNameCodeSequence"),
        codes=_codes(item, "ScheduledWorkitemCodeSequence"),
        inputs=tuple(_input(one) for one in _items(item, "InputInformationSequence")),
        requests=tuple(map(scheduled_in, asked_for)),
    )


def _input(item: Dataset) -> Input:
    named = (_uid(one, "ReferencedSOPInstanceUID") for one in _items(item, "ReferencedSOPSequence"))
    return Input(_uid(item, "StudyInstanceUID"), _uid(item, "SeriesInstanceUID"), frozenset(filter(None, named)))


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
