"""A PACS as radplug meets it: sends studies by C-STORE, takes SRs, and keeps each as the file that came."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from dicom_io.errors import DicomError
from dicom_io.listener import Arrival, Listener
from dicom_io.sending import Peer, send_each

HOST = "127.0.0.1"


class SimulatedPacs:
    """Listens as `ae_title` on `host` (port 0: a free one), and files what it is sent under `folder`."""

    def __init__(self, ae_title: str, folder: Path, port: int = 0, host: str = HOST) -> None:
        self.ae_title = ae_title
        self._host = host
        self._folder = folder
        self._received: list[Path] = []
        self._changed = threading.Condition()
        self._listener = self._listen(port)

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def received(self) -> tuple[Path, ...]:
        with self._changed:
            return tuple(self._received)

    def send_study(self, files: Sequence[Path], to: Peer, progress: Callable[[int], None]) -> tuple[str, ...]:
        """C-STORE the files on one association; `progress` hears how many are done.

        Returns, for each file that was not taken, its name and why.
        """
        refused = []
        outcomes = send_each(files, to, calling_ae=self.ae_title, timeout=60)
        for number, (file, outcome) in enumerate(zip(files, outcomes, strict=True), start=1):
            if isinstance(outcome, DicomError):
                refused.append(f"{file.name}: {outcome}")
            progress(number)
        return tuple(refused)

    def wait_for(self, count: int, seconds: float) -> bool:
        """Whether so many objects have come, within so long."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._received) >= count, seconds)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within the block nobody listens there."""
        port = self.port
        self._listener.stop()
        try:
            yield
        finally:
            self._listener = self._listen(port)
            self._listener.start()

    def _listen(self, port: int) -> Listener:
        return Listener(self.ae_title, self._host, port, self._keep, calling_ae_titles=None)

    def _keep(self, arrival: Arrival) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._changed:
            path = self._folder / f"received-{len(self._received) + 1}.dcm"
            path.write_bytes(arrival.header + arrival.dataset)
            self._received.append(path)
            self._changed.notify_all()

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._listener.stop()
