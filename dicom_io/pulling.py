"""Unified Procedure Step - Pull SCU (PS3.4 CC): workitems found, claimed, told of and brought to an end by DIMSE."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag, Tag
from pynetdicom.association import Association
from pynetdicom.status import STATUS_SUCCESS, STATUS_WARNING, code_to_category

from dicom_io.association import Peer, associated
from dicom_io.elements import DAMAGE
from dicom_io.errors import Rejected, Unavailable, Unreadable
from dicom_io.retrieving import ANSWERS, is_pending, proposed
from dicom_io.workitems import READY, Code, Conflict, Step, Workitem, workitem_in

logger = logging.getLogger(__name__)

UPS_PULL: Final = "1.2.840.10008.5.1.4.34.6.3"
UPS_PUSH: Final = (
    "1.2.840.10008.5.1.4.34.6.1"  # every workitem is one of its instances, however it is asked for (CC.3.1)
)
CHANGE_STATE: Final = 1  # Action Type ID

_LARGEST: Final = 16 << 20  # bytes of an answer: a workitem may name each instance of a study
_WANTED: Final = (
    *("SpecificCharacterSet", "SOPInstanceUID", "ProcedureStepState", "ScheduledStationNameCodeSequence"),
    *("ScheduledWorkitemCodeSequence", "InputInformationSequence", "ReferencedRequestSequence"),
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"),
)

# PS3.4 CC.2.1.4, CC.2.6.4, CC.2.7.4. Of these the workitem's state, or its claim, is the reason:
CONFLICTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0xC300: "it is COMPLETED or CANCELED, and may no longer be updated",
        0xC301: "the transaction is not the one that claimed it",
        0xC302: "it is IN PROGRESS already",
        0xC310: "it is not IN PROGRESS",
        0xC311: "it is COMPLETED already",
    }
)
# These stay as they are, whoever asks again; the general ones are of PS3.7 C.
REFUSALS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0xC303: "a workitem is made SCHEDULED only when it is created",
        0xC304: "what a workitem must tell at its end has not been told",
        0xC307: "there is no such workitem any more",
        0x0112: "there is no such workitem any more",
        0x0105: "an attribute of the update is not known there",
        0x0106: "a value of the update is not valid there",
        0x0114: "the state that was asked for has an argument that is not known there",
        0x0115: "the state that was asked for is not valid there",
        0x0117: "the workitem's UID is not valid there",
        0x0118: "workitems are of another SOP Class there",
        0x0119: "the workitem is of another SOP Class there",
        0x0120: "an attribute of the update is missing",
        0x0121: "a value of the update is missing",
        0x0122: "workitems are of another SOP Class there",
        0x0123: "it does not let states be changed",
        0x0211: "it does not know the operation",
        0x0212: "an argument of the request is of another type there",
    }
)
# These may be otherwise when it is asked again, and so may whatever is not known.
PASSING: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x0110: "it could not process the request",
        0x0124: "it does not let us do this; enter our AE title there",
        0x0213: "it lacks resources",
    }
)
ALREADY: Final = frozenset({0xB304, 0xB306})  # warnings: it is CANCELED or COMPLETED, as was asked for


class UpsPull:
    """A peer's workitems (`dicom_io.workitems.Workitems`), each question on an association of its own.

    Args:
        calling_ae: our AE title.
        timeout: seconds for the association, and then for each answer.
    """

    def __init__(self, peer: Peer, *, calling_ae: str, timeout: float) -> None:
        self._peer, self._calling_ae, self._timeout = peer, calling_ae, timeout

    def search(self, station: Code, code: Code | None, most: int) -> list[Workitem]:
        found: list[Workitem] = []
        with self._associated() as association:
            for answer, identifier in association.send_c_find(_query(station, code), UPS_PULL):
                if is_pending(answer, self._peer) and identifier is not None:
                    found += self._read(identifier)
                if len(found) >= most:
                    association.abort()
                    break
        return found

    def retrieve(self, uid: str) -> Workitem:
        tags: list[BaseTag] = [Tag(tag_for_keyword(keyword) or 0) for keyword in _WANTED]
        with self._associated() as association:
            answer, told = association.send_n_get(tags, UPS_PUSH, uid, meta_uid=UPS_PULL)
            self._require_done(answer)
        found = self._read(told) if told is not None else []
        if not found:
            raise Unreadable(f"{self._peer} gave no workitem where one was asked for")
        return replace(found[0], uid=uid)  # which its answer need not repeat

    def change(self, uid: str, transaction_uid: str, to: Step) -> None:
        wanted = Dataset()
        wanted.TransactionUID, wanted.ProcedureStepState = transaction_uid, to.value
        with self._associated() as association:
            answer, _ = association.send_n_action(wanted, CHANGE_STATE, UPS_PUSH, uid, meta_uid=UPS_PULL)
            self._require_done(answer)

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
        told = Dataset()
        if not all(str(element.value).isascii() for element in changes.iterall()):
            told.SpecificCharacterSet = "ISO_IR 192"
        told.update(changes)
        told.TransactionUID = transaction_uid
        with self._associated() as association:
            answer, _ = association.send_n_set(told, UPS_PUSH, uid, meta_uid=UPS_PULL)
            self._require_done(answer)

    @contextmanager
    def _associated(self) -> Iterator[Association]:
        """A peer that turns us away is no refusal of the workitem: somebody will have mended that one day."""
        with ExitStack() as stack:
            try:
                association = stack.enter_context(
                    associated(
                        self._peer,
                        [proposed(UPS_PULL)],
                        calling_ae=self._calling_ae,
                        timeout=self._timeout,
                        answers=ANSWERS,
                        largest=_LARGEST,
                    )
                )
            except Rejected as error:
                raise Unavailable(str(error)) from None
            yield association

    def _require_done(self, answer: Dataset) -> None:
        """Raises what a status means that is none of success."""
        if "Status" not in answer:
            raise Unavailable(f"{self._peer} broke the association off, or did not answer in time")
        status = int(answer.Status)
        said, comment = f"{self._peer} answered 0x{status:04X}", str(answer.get("ErrorComment") or "")
        if status in CONFLICTS:
            raise Conflict(f"{said}: {CONFLICTS[status]}", comment=comment)
        if status in REFUSALS:
            raise Rejected(f"{said}: {REFUSALS[status]}", comment=comment)
        if code_to_category(status) not in (STATUS_SUCCESS, STATUS_WARNING):
            why = PASSING.get(status, "a status that is not foreseen for workitems; it is asked again")
            raise Unavailable(f"{said}: {why}", comment=comment)

    def _read(self, item: Dataset) -> list[Workitem]:
        """None where it cannot be read: one that is damaged stands in no other's way."""
        try:
            return [workitem_in(item)]
        except DAMAGE as damage:
            logger.warning("%s gave a workitem that cannot be read (%s)", self._peer, type(damage).__name__)
            return []


def _query(station: Code, code: Code | None) -> Dataset:
    """Keys of PS3.4 table CC.2.5-3; what the performer compares is asked for, and nothing of the patient."""
    query = Dataset()
    query.SOPInstanceUID = ""
    query.InputReadinessState = READY
    query.ProcedureStepState = Step.SCHEDULED.value
    query.ScheduledStationNameCodeSequence = Items([_key(station)])
    query.ScheduledWorkitemCodeSequence = Items([_key(code or Code("", ""))])
    if not all(str(element.value).isascii() for element in query.iterall()):
        query.SpecificCharacterSet = "ISO_IR 192"
    return query


def _key(code: Code) -> Dataset:
    key = Dataset()
    key.CodeValue, key.CodingSchemeDesignator, key.CodeMeaning = code.value, code.scheme, ""
    return key
