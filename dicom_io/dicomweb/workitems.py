"""UPS-RS as the performer of workitems (PS3.18 11): found, claimed, told of, and brought to an end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import requests
from pydicom import Dataset

from dicom_io.dicomweb.server import Server, refusal, unreached
from dicom_io.errors import Unreadable
from dicom_io.workitems import READY, Code, Conflict, Step, Workitem, workitem_in

MEDIA_TYPE: Final = "application/dicom+json"
# Input Readiness State, Procedure Step State, and the code values of the two sequences.
_READINESS, _STATE, _STATION, _CODE = "00404041", "00741000", "00404025.00080100", "00404018.00080100"


class UpsRs:
    """A server's workitems (`dicom_io.workitems.Workitems`)."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def search(self, station: Code, code: Code | None, most: int) -> list[Workitem]:
        """By code values alone: keys in one sequence count together, and not every server knows that."""
        keys = {_READINESS: READY, _STATE: Step.SCHEDULED.value, _STATION: station.value}
        if code:
            keys[_CODE] = code.value
        answer = self._ask("GET", "/workitems", params={**keys, "limit": str(most)})
        return [workitem_in(item) for item in _data_sets(self._server, answer)]

    def retrieve(self, uid: str) -> Workitem:
        found = _data_sets(self._server, self._ask("GET", f"/workitems/{uid}"))
        if len(found) != 1:
            raise Unreadable(f"{self._server} gave {len(found)} workitems where one was asked for")
        return workitem_in(found[0])

    def change(self, uid: str, transaction_uid: str, to: Step) -> None:
        wanted = Dataset()
        wanted.TransactionUID, wanted.ProcedureStepState = transaction_uid, to.value
        self._ask("PUT", f"/workitems/{uid}/state", body=wanted)

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
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
