"""A PACS that has images, gives them by C-GET and C-MOVE, and takes drafts by C-STORE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from dicom_io.arrival import arrival_of
from dicom_io.offered import VERIFICATION, storage
from dicom_io.retrieving import GET, MOVE

PENDING: Final = 0xFF00
_LEVELS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


class SimulatedImageArchive:
    """Listens as `ae_title` on this machine while the block runs, and files what it is sent under `folder`.

    Args:
        files: instances that it has; the list may grow.
    """

    def __init__(self, ae_title: str, folder: Path, files: list[Path]) -> None:
        self.ae_title, self._folder, self._files = ae_title, folder, files
        self.received: list[Path] = []
        self.asked: list[tuple[str, Dataset]] = []  # C-GET or C-MOVE, and its keys
        self.knows: dict[str, tuple[str, int]] = {}  # where a C-MOVE may go to, by AE title
        self._ae = AE(ae_title)
        for context in storage():
            self._ae.add_supported_context(str(context.abstract_syntax), context.transfer_syntax, True, True)
        for model in (GET, MOVE, VERIFICATION):
            self._ae.add_supported_context(model)
        self._ae.requested_contexts = storage()

    def __enter__(self) -> Self:
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_STORE, self._keep),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_C_MOVE, self._move),
        ]
        server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self._server = cast(ThreadedAssociationServer, server)
        self.port = self._server.server_address[1]
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._server.shutdown()

    def _keep(self, event: evt.Event) -> int:
        arrival = arrival_of(event)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"received-{len(self.received) + 1}.dcm"
        path.write_bytes(arrival.header + arrival.data_set)
        self.received.append(path)
        return 0x0000

    def _get(self, event: evt.Event) -> Iterator[Any]:
        found = self._found("C-GET", event.identifier)
        yield len(found)
        for image in found:
            yield PENDING, image

    def _move(self, event: evt.Event) -> Iterator[Any]:
        found = self._found("C-MOVE", event.identifier)
        if (to := self.knows.get((event.move_destination or "").strip())) is None:
            yield None, None
            return
        yield to
        yield len(found)
        for image in found:
            yield PENDING, image

    def _found(self, asked: str, keys: Dataset) -> list[Dataset]:
        self.asked.append((asked, keys))
        images = (dcmread(file) for file in dict.fromkeys(self._files))
        return [image for image in images if all(_is_among(keys.get(level), image[level].value) for level in _LEVELS)]


def _is_among(wanted: Any, uid: str) -> bool:
    return not wanted or uid in (wanted if isinstance(wanted, MultiValue) else [wanted])
