"""Storage Commitment Push Model (PS3.4 J), SCU and SCP: to ask, to be asked, to report, and to be reported to."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from queue import Empty, Queue
from types import MappingProxyType
from typing import Final, Protocol, cast

from pydicom import Dataset
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_ACTION_RSP
from pynetdicom.presentation import PresentationContext

from dicom_io.association import Peer, associated
from dicom_io.commitment import Failed, Reference, Request, Result
from dicom_io.elements import DAMAGE
from dicom_io.errors import DicomError, Rejected, Unavailable, Unreadable
from dicom_io.offered import COMMON
from dicom_io.sop_reference import sop_reference

logger = logging.getLogger(__name__)

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_INSTANCE: Final = "1.2.840.10008.1.20.1.1"  # well-known

_REQUEST: Final = 1  # Action Type ID
_ALL_KEPT: Final = 1  # Event Type ID
_SOME_NOT: Final = 2

# PS3.7 C.5
SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
INVALID_ARGUMENT: Final = 0x0115
NO_SUCH_ACTION: Final = 0x0123
NO_SUCH_EVENT: Final = 0x0113
NOT_AUTHORISED: Final = 0x0124
RESOURCES: Final = 0x0213
PASSING: Final = frozenset({PROCESSING_FAILURE, RESOURCES})

MEANINGS: Final[Mapping[int, str]] = MappingProxyType(
    {
        SUCCESS: "the request, or the report, is written down",
        PROCESSING_FAILURE: "it could not be written down; or the report is about a transaction that is not ours",
        INVALID_ARGUMENT: "its data set is damaged or not whole",
        NO_SUCH_ACTION: "another action than a request",
        NO_SUCH_EVENT: "another event than 1 and 2",
        NOT_AUTHORISED: "requests are not answered at this site",
    }
)

# So long a request's association is kept for its report (PS3.4 J.3.3). An SCP that knows no address of ours has no
# other way; it does not say so, and one that calls back costs this wait.
SAME_ASSOCIATION_SECONDS: Final = 1.0


class Desk(Protocol):
    """Who answers, and takes answers, on a listener; each method is called on a thread of an association's."""

    def asked(self, request: Request, calling_ae: str) -> bool | None:
        """Write the request down. Whether its answer goes back on this association; None: such requests are refused."""

    def answer(self, request: Request, calling_ae: str) -> Result: ...
    def answered(self, request: Request, calling_ae: str, failure: str) -> None:
        """What became of an answer on the request's own association; empty: it arrived."""

    def reported(self, result: Result, calling_ae: str) -> bool:
        """Whether we had asked that; it is written down then."""


def greet(peer: Peer, *, calling_ae: str, timeout: float) -> None:
    """Returns if the peer would take requests; raises as `ask` does."""
    with associated(peer, [proposed()], calling_ae=calling_ae, timeout=timeout):
        pass


def ask(peer: Peer, request: Request, *, calling_ae: str, timeout: float) -> Result | None:
    """Asks the peer to keep these for good; its answer if that comes on the same association at once.

    Raises:
        Rejected: the peer does not take such requests, or not this one.
        Unavailable: it may take it later, or does not answer within `timeout` seconds.
    """
    reports: Queue[Result] = Queue()

    def take(event: evt.Event) -> tuple[int, None]:
        def known(result: Result) -> bool:
            ours = result.transaction_uid == request.transaction_uid
            if ours:
                reports.put(result)
            return ours

        return _taken(event, known)

    with associated(
        peer,
        [proposed()],
        calling_ae=calling_ae,
        timeout=timeout,
        handlers=[(evt.EVT_N_EVENT_REPORT, take)],
    ) as association:
        answer, _ = association.send_n_action(_request_set(request), _REQUEST, PUSH_MODEL, PUSH_INSTANCE)
        _require_success(answer, peer)
        with suppress(Empty):
            return reports.get(timeout=SAME_ASSOCIATION_SECONDS)
    return None


def report(peer: Peer, result: Result, *, calling_ae: str, timeout: float) -> None:
    """Tells the peer what is kept, on an association of our own, in which we are the SCP.

    Raises:
        Rejected: the peer does not want to be told.
        Unavailable: it may later, or does not answer within `timeout` seconds.
    """
    with associated(
        peer,
        [proposed()],
        calling_ae=calling_ae,
        timeout=timeout,
        roles=[build_role(PUSH_MODEL, scp_role=True)],
    ) as association:
        _require_success(_report_on(association, result), peer)


def proposed() -> PresentationContext:
    """What is asked of a peer."""
    return build_context(PUSH_MODEL, list(COMMON))


def offered() -> PresentationContext:
    """The listener's context: whoever calls may be in either role."""
    context = proposed()
    context.scu_role = context.scp_role = True
    return context


def handlers(desk: Desk) -> list[evt.EventHandlerType]:
    """What a listener answers with."""
    return [(evt.EVT_N_ACTION, _asked, [desk]), (evt.EVT_N_EVENT_REPORT, _reported, [desk])]


def _asked(event: evt.Event, desk: Desk) -> tuple[int, None]:
    calling_ae = event.assoc.requestor.ae_title
    if event.action_type != _REQUEST:
        return NO_SUCH_ACTION, None
    try:
        request = _request(event.action_information)
        same_association = desk.asked(request, calling_ae)
    except Unreadable as error:
        logger.warning("storage commitment asked for by %r in vain: %s", calling_ae, error)
        return INVALID_ARGUMENT, None
    except Exception as error:  # noqa: BLE001 - an entrance: all that fails becomes an answer
        logger.error("storage commitment asked for by %r in vain: %s", calling_ae, type(error).__name__)
        return PROCESSING_FAILURE, None
    if same_association is None:
        return NOT_AUTHORISED, None
    if same_association:
        event.assoc.bind(evt.EVT_DIMSE_SENT, _answer_behind, [desk, request, calling_ae])
    return SUCCESS, None


def _answer_behind(event: evt.Event, desk: Desk, request: Request, calling_ae: str) -> None:
    """For EVT_DIMSE_SENT: once the request itself is answered, its result follows from a thread of its own."""
    if isinstance(event.message, N_ACTION_RSP):
        event.assoc.unbind(evt.EVT_DIMSE_SENT, _answer_behind)
        arguments = (event.assoc, desk, request, calling_ae)
        threading.Thread(target=_answer_on, args=arguments, name="commitment", daemon=True).start()


def _answer_on(association: Association, desk: Desk, request: Request, calling_ae: str) -> None:
    result = desk.answer(request, calling_ae)
    failure = "the sender had ended the association"
    with suppress(RuntimeError):  # it ended just now
        if association.is_established:
            answer = _report_on(association, result)
            failure = "" if answer.get("Status") == SUCCESS else "the sender did not take it on its association"
    desk.answered(request, calling_ae, failure)


def _reported(event: evt.Event, desk: Desk) -> tuple[int, None]:
    return _taken(event, lambda result: desk.reported(result, event.assoc.requestor.ae_title))


def _taken(event: evt.Event, take: Callable[[Result], bool]) -> tuple[int, None]:
    if event.event_type not in (_ALL_KEPT, _SOME_NOT):
        return NO_SUCH_EVENT, None
    try:
        known = take(_result(event.event_information))
    except Unreadable as error:
        logger.warning("a storage commitment report makes no sense: %s", error)
        return INVALID_ARGUMENT, None
    except Exception as error:  # noqa: BLE001 - an entrance: all that fails becomes an answer
        logger.error("a storage commitment report was not kept: %s", type(error).__name__)
        return PROCESSING_FAILURE, None
    return SUCCESS if known else PROCESSING_FAILURE, None


def _report_on(association: Association, result: Result) -> Dataset:
    answer, _ = association.send_n_event_report(
        _result_set(result),
        _SOME_NOT if result.failed else _ALL_KEPT,
        PUSH_MODEL,
        PUSH_INSTANCE,
    )
    return answer


def _require_success(answer: Dataset, peer: Peer) -> None:
    if "Status" not in answer:
        raise Unavailable(f"{peer} broke the association off, or did not answer in time")
    if answer.Status != SUCCESS:
        kind: type[DicomError] = Unavailable if answer.Status in PASSING else Rejected
        comment = str(answer.get("ErrorComment", ""))
        raise kind(f"{peer} answered 0x{answer.Status:04X} to storage commitment", comment=comment)


# ── data sets (PS3.4 tables J.3-1 and J.3-2) ──


def _request_set(request: Request) -> Dataset:
    data_set = Dataset()
    data_set.TransactionUID = request.transaction_uid
    data_set.ReferencedSOPSequence = [sop_reference(reference) for reference in request.references]
    return data_set


def _result_set(result: Result) -> Dataset:
    data_set = Dataset()
    data_set.TransactionUID = result.transaction_uid
    if result.committed:
        data_set.ReferencedSOPSequence = [sop_reference(reference) for reference in result.committed]
    if result.failed:
        data_set.FailedSOPSequence = [sop_reference(failed.reference) for failed in result.failed]
        for item, failed in zip(data_set.FailedSOPSequence, result.failed, strict=True):
            item.FailureReason = failed.reason
    return data_set


def _request(data_set: Dataset) -> Request:
    try:
        references = tuple(_reference(item) for item in data_set.ReferencedSOPSequence)
        return Request(_uid(data_set, "TransactionUID"), references)
    except DAMAGE as damage:
        raise Unreadable(f"the request is damaged or not whole ({type(damage).__name__})") from None


def _result(data_set: Dataset) -> Result:
    try:
        committed = tuple(_reference(item) for item in data_set.get("ReferencedSOPSequence") or ())
        return Result(_uid(data_set, "TransactionUID"), committed, tuple(_failed(data_set)))
    except DAMAGE as damage:
        raise Unreadable(f"the report is damaged or not whole ({type(damage).__name__})") from None


def _failed(data_set: Dataset) -> Iterator[Failed]:
    for item in data_set.get("FailedSOPSequence") or ():
        yield Failed(_reference(item), int(item.FailureReason))


def _reference(item: Dataset) -> Reference:
    return Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID"))


def _uid(data_set: Dataset, keyword: str) -> str:
    uid = cast(str, data_set[keyword].value)
    if not uid or len(uid) > 64:
        raise Unreadable(f"{keyword} is not a UID")
    return str(uid)
