"""An SCP of UPS Pull (PS3.4 CC): a server of workitems by DIMSE, as sites have one."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self, cast

from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from dicom_io.connection import hang_up
from dicom_io.offered import VERIFICATION
from dicom_io.pulling import CHANGE_STATE, UPS_PULL, UPS_PUSH
from dicom_io.tls import Contexts
from dicom_io.workitems import Step
from radplug.acceptance.held_workitems import Asked, HeldWorkitems, Said

SUCCESS: Final = 0x0000
PENDING: Final = 0xFF00
NO_SUCH_CLASS: Final = 0x0118
NO_SUCH_ACTION: Final = 0x0123
STATUSES: Final = {
    Said.DONE: SUCCESS,
    Said.OVER: 0xC300,
    Said.WRONG_TRANSACTION: 0xC301,
    Said.BEGUN: 0xC302,
    Said.UNTOLD: 0xC304,
    Said.NO_SUCH_WORKITEM: 0xC307,
    Said.NOT_BEGUN: 0xC310,
}
ALREADY: Final = {Step.CANCELED.value: 0xB304, Step.COMPLETED.value: 0xB306}


class SimulatedUpsScp(HeldWorkitems):
    """Listens on this machine while the block runs (port 0: a free one), with `tls` with TLS alone.

    What stands in `answers` is answered with that status, and not done.

    Args:
        images_at: AE title from which its workitems say that images are retrieved.
    """

    def __init__(self, images_at: str, port: int = 0, tls: Contexts | None = None, ae_title: str = "WORKFLOW") -> None:
        super().__init__(images_at)
        self.answers: dict[Asked, int] = {}
        self.queries: list[Dataset] = []  # as they came
        self.port, self._tls = port, tls
        self._ae = AE(ae_title)
        self._ae.require_called_aet = True
        for context in (UPS_PULL, VERIFICATION):
            self._ae.add_supported_context(context)
        self._server: ThreadedAssociationServer | None = None

    def let_in(self, *ae_titles: str) -> None:
        """Nobody else is let in from now on; without a name all are."""
        self._ae.require_calling_aet = list(ae_titles)

    def start(self) -> None:
        """At the same port as before."""
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_FIND, self._search),
            (evt.EVT_N_GET, self._retrieve),
            (evt.EVT_N_ACTION, self._change),
            (evt.EVT_N_SET, self._update),
        ]
        server = self._ae.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=handlers,
            ssl_context=self._tls() if self._tls else None,
        )
        self._server = cast(ThreadedAssociationServer, server)
        self.port = self._server.server_address[1]

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()

    def _search(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        self.queries.append(query)
        if (status := self._instead(event, Asked.SEARCH)) is not None:
            yield status, None
            return
        for told in self.matching(lambda told: _matches(query, told)):
            yield PENDING, _of(told, [element.tag for element in query])
        yield SUCCESS, None

    def _retrieve(self, event: evt.Event) -> tuple[int, Dataset | None]:
        if (status := self._instead(event, Asked.RETRIEVE)) is not None:
            return status, None
        if (told := self.told(str(event.request.RequestedSOPInstanceUID))) is None:  # type: ignore[union-attr]
            return STATUSES[Said.NO_SUCH_WORKITEM], None
        return SUCCESS, _of(told, event.attribute_identifiers)

    def _change(self, event: evt.Event) -> tuple[int, None]:
        uid, wanted = str(event.request.RequestedSOPInstanceUID), event.action_information  # type: ignore[union-attr]
        if event.action_type != CHANGE_STATE:
            return NO_SUCH_ACTION, None
        if (status := self._instead(event, Asked.CHANGE)) is not None:
            return status, None
        to = str(wanted.ProcedureStepState)
        told = self.told(uid)
        if told is not None and to in ALREADY and told.ProcedureStepState == to:
            return ALREADY[to], None
        said = self.change(uid, str(wanted.TransactionUID), to)
        return self._sent(event, Asked.CHANGE, STATUSES[said]), None

    def _update(self, event: evt.Event) -> tuple[int, Dataset | None]:
        uid, changes = str(event.request.RequestedSOPInstanceUID), event.modification_list  # type: ignore[union-attr]
        if (status := self._instead(event, Asked.UPDATE)) is not None:
            return status, None
        said = self.update(uid, str(changes.get("TransactionUID", "")), changes)
        return self._sent(event, Asked.UPDATE, STATUSES[said]), None

    def _instead(self, event: evt.Event, asked: Asked) -> int | None:
        """A status other than what the request itself would have."""
        if asked is not Asked.SEARCH and event.request.RequestedSOPClassUID != UPS_PUSH:  # type: ignore[union-attr]
            return NO_SUCH_CLASS
        if asked in (Asked.SEARCH, Asked.RETRIEVE):
            self._sent(event, asked, SUCCESS)
        return self.answers.get(asked)

    def _sent(self, event: evt.Event, asked: Asked, status: int) -> int:
        if self.is_lost(asked):
            hang_up(event.assoc)
        return status


def _matches(query: Dataset, told: Dataset) -> bool:
    """Single value matching of what the query gives a value, in one item of a sequence all of it (PS3.4 C.2.2.2)."""
    return all(_has(element.value, told.get(element.tag)) for element in query if element.tag != 0x00080005)


def _has(wanted: Any, found: Any) -> bool:
    value = None if found is None else found.value
    if isinstance(wanted, Items):
        return all(any(_matches(key, item) for item in value or ()) for key in wanted if any(e.value for e in key))
    return not wanted or str(value) == str(wanted)


def _of(told: Dataset, tags: list[Any]) -> Dataset:
    """What was asked for of a workitem."""
    answer = Dataset()
    for tag in tags:
        if tag in told:
            answer.add(told[tag])
    return answer
