"""MPPS (PS3.4 F.7) and Instance Availability Notification (PS3.4 R), SCP: what comes is kept, and then answered."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar, cast

from pydicom import Dataset
from pynetdicom import build_context, evt
from pynetdicom.dimse_primitives import N_CREATE, N_SET
from pynetdicom.presentation import PresentationContext

from dicom_io.elements import DAMAGE
from dicom_io.offered import COMMON, IMAGES
from dicom_io.signals import Change, Kind, Outcome, Progress, Signal
from dicom_io.uids import mint_uid

logger = logging.getLogger(__name__)

T = TypeVar("T")

MPPS: Final = "1.2.840.10008.3.1.2.3.3"
IAN: Final = "1.2.840.10008.5.1.4.33"
_KIND: Final = {MPPS: Kind.MPPS, IAN: Kind.IAN}

# PS3.7 C.5
_SUCCESS: Final = 0x0000
_INVALID_VALUE: Final = 0x0106
_PROCESSING_FAILURE: Final = 0x0110
_DUPLICATE: Final = 0x0111
_NO_SUCH_INSTANCE: Final = 0x0112
_MISSING_ATTRIBUTE: Final = 0x0120
_MISSING_VALUE: Final = 0x0121

_STATUS: Final = {
    Outcome.KEPT: _SUCCESS,
    Outcome.DUPLICATE: _DUPLICATE,
    Outcome.UNKNOWN: _NO_SUCH_INSTANCE,
    Outcome.ENDED: _PROCESSING_FAILURE,
}
_MAY_NOT_BE_UPDATED: Final = 0xA710  # Error ID (PS3.4 table F.7.2-2)

MEANINGS: Final[Mapping[int, str]] = MappingProxyType(
    {
        _SUCCESS: "it is written down",
        _INVALID_VALUE: "an attribute has a value that it cannot have",
        _PROCESSING_FAILURE: "it could not be written down; or the step has ended, and may not be updated",
        _DUPLICATE: "an instance with that UID is there",
        _NO_SUCH_INSTANCE: "no instance has that UID",
        _MISSING_ATTRIBUTE: "an attribute that is needed is not there",
        _MISSING_VALUE: "an attribute that is needed is empty",
    }
)

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_TO_BE_HAD: Final = {"ONLINE": True, "NEARLINE": True, "OFFLINE": False, "UNAVAILABLE": False}  # PS3.3 C.4.23.1.1


class Desk(Protocol):
    """Who takes signals on a listener; its methods are called on threads of associations, and keep before they return.

    Images are those of SOP Classes that the listener takes: others are named in vain, and not waited for.
    """

    @property
    def kinds(self) -> frozenset[Kind]:
        """Those that are offered."""

    def created(self, signal: Signal, calling_ae: str) -> Outcome: ...
    def changed(self, uid: str, change: Change, calling_ae: str) -> Outcome: ...


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def offered(kinds: Collection[Kind]) -> list[PresentationContext]:
    """The listener's contexts."""
    return [build_context(sop_class, list(COMMON)) for sop_class, kind in _KIND.items() if kind in kinds]


def handlers(desk: Desk) -> list[evt.EventHandlerType]:
    """What a listener answers with."""
    return [(evt.EVT_N_CREATE, _created, [desk]), (evt.EVT_N_SET, _set, [desk])]


def _created(event: evt.Event, desk: Desk) -> tuple[Dataset, Dataset | None]:
    calling_ae, kind = event.assoc.requestor.ae_title, _KIND[str(event.context.abstract_syntax)]
    asked = cast(N_CREATE, event.request).AffectedSOPInstanceUID
    uid, read = str(asked or mint_uid()), _step if kind is Kind.MPPS else _notification
    given = Dataset()
    given.AffectedSOPInstanceUID = uid
    answer = _answer(kind, calling_ae, lambda: desk.created(_read(lambda: read(uid, event.attribute_list)), calling_ae))
    return answer, None if asked else given


def _set(event: evt.Event, desk: Desk) -> tuple[Dataset, None]:
    calling_ae, uid = event.assoc.requestor.ae_title, str(cast(N_SET, event.request).RequestedSOPInstanceUID)
    return _answer(
        Kind.MPPS,
        calling_ae,
        lambda: desk.changed(uid, _read(lambda: _change(event.modification_list)), calling_ae),
    ), None


def _answer(kind: Kind, calling_ae: str, keep: Callable[[], Outcome]) -> Dataset:
    """The status with which a request is answered: whatever happens here, the sender hears of it."""
    answer = Dataset()
    try:
        outcome = keep()
    except _Refused as refused:
        answer.Status, answer.ErrorComment = refused.status, str(refused)[:64]
    except Exception as error:  # noqa: BLE001 - an entrance: all that fails becomes an answer
        logger.error("%s from %r not kept: %s", kind, calling_ae, type(error).__name__)
        answer.Status, answer.ErrorComment = _PROCESSING_FAILURE, "it could not be kept; our log says why"
        return answer
    else:
        answer.Status = _STATUS[outcome]
        if outcome is Outcome.ENDED:
            answer.ErrorID = _MAY_NOT_BE_UPDATED
        if outcome is not Outcome.KEPT:
            answer.ErrorComment = outcome.value
    if answer.Status != _SUCCESS:
        logger.warning("%s from %r refused: %s", kind, calling_ae, answer.ErrorComment)
    return answer


# ── data sets (PS3.4 tables F.7.2-1 and R.3.2-1) ──


def _step(uid: str, data_set: Dataset) -> Signal:
    progress = _progress(data_set)
    if progress is not Progress.IN_PROGRESS:
        raise _Refused(_INVALID_VALUE, "a new procedure step is IN PROGRESS")
    studies = frozenset(_uid(item, "StudyInstanceUID") for item in _value(data_set, "ScheduledStepAttributesSequence"))
    return Signal(uid, Kind.MPPS, progress, studies, _performed(data_set) or frozenset())


def _change(data_set: Dataset) -> Change:
    progress = _progress(data_set) if "PerformedProcedureStepStatus" in data_set else None
    return Change(progress, _performed(data_set))


def _notification(uid: str, data_set: Dataset) -> Signal:
    images: dict[bool, set[str]] = {True: set(), False: set()}
    study = _uid(data_set, "StudyInstanceUID")
    for series in _value(data_set, "ReferencedSeriesSequence"):
        for item in _value(series, "ReferencedSOPSequence"):
            availability = str(_value(item, "InstanceAvailability"))
            if availability not in _TO_BE_HAD:
                raise _Refused(_INVALID_VALUE, "InstanceAvailability is not a defined one")
            images[_TO_BE_HAD[availability]].update(_images([item]))
    return Signal(
        uid,
        Kind.IAN,
        Progress.COMPLETED,
        frozenset({study}),
        frozenset(images[True]),
        frozenset(images[False]),
    )


def _performed(data_set: Dataset) -> frozenset[str] | None:
    """The images of all performed series; None where these are not told."""
    if "PerformedSeriesSequence" not in data_set:
        return None
    series = data_set.PerformedSeriesSequence or ()
    return frozenset(uid for one in series for uid in _images(one.get("ReferencedImageSequence") or ()))


def _images(items: Iterable[Dataset]) -> Iterator[str]:
    for item in items:
        uid = _uid(item, "ReferencedSOPInstanceUID")
        if _uid(item, "ReferencedSOPClassUID") in IMAGES:
            yield uid


def _progress(data_set: Dataset) -> Progress:
    try:
        return Progress(str(_value(data_set, "PerformedProcedureStepStatus")))
    except ValueError:
        raise _Refused(_INVALID_VALUE, "PerformedProcedureStepStatus is not a defined one") from None


def _uid(data_set: Dataset, keyword: str) -> str:
    uid = str(_value(data_set, keyword))
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise _Refused(_INVALID_VALUE, f"{keyword} is not a UID")
    return uid


def _value(data_set: Dataset, keyword: str) -> Any:
    if keyword not in data_set:
        raise _Refused(_MISSING_ATTRIBUTE, f"{keyword} is missing")
    value = data_set[keyword].value
    if not value:
        raise _Refused(_MISSING_VALUE, f"{keyword} is empty")
    return value


def _read(read: Callable[[], T]) -> T:
    try:
        return read()
    except DAMAGE as damage:
        raise _Refused(_INVALID_VALUE, f"it is damaged ({type(damage).__name__})") from None
