"""A PACS as radplug meets it: sends studies by C-STORE, takes SRs, keeps each as it came, and vouches for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from dicom_io.arrival import Arrival
from dicom_io.commitment import Request, Result
from dicom_io.errors import DicomError
from dicom_io.listener import Listener, SecurePort
from dicom_io.sending import Peer, send_each
from dicom_io.tls import Contexts
from radplug.acceptance.filed import Filed

HOST = "127.0.0.1"


class ReceivingPacs(Protocol):
    """Whatever takes radplug's SRs."""

    ae_title: str

    @property
    def port(self) -> int: ...
    @property
    def received(self) -> tuple[Path, ...]:
        """A file for each object that came, in that order."""

    def away(self) -> AbstractContextManager[None]:
        """Within the block nobody listens there."""


class SimulatedPacs:
    """Listens as `ae_title` on `host` (port 0: a free one), and files what it is sent under `folder`.

    With `tls` it listens with TLS alone.
    """

    def __init__(
        self, ae_title: str, folder: Path, port: int = 0, host: str = HOST, tls: Contexts | None = None
    ) -> None:
        self.ae_title = ae_title
        self.conscience = Conscience()
        self._host = host
        self._tls = tls
        self._filed = Filed(folder, "dcm")
        self._listener = self._listen(port)

    @property
    def port(self) -> int:
        return self._listener.secure_port if self._tls else self._listener.port

    @property
    def received(self) -> tuple[Path, ...]:
        return self._filed.files

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
        return self._filed.wait_for(count, seconds)

    @contextmanager
    def away(self) -> Iterator[None]:
        port = self.port
        self._listener.stop()
        try:
            yield
        finally:
            self._listener = self._listen(port)
            self._listener.start()

    def _listen(self, port: int) -> Listener:
        secure = SecurePort(port, self._tls, lambda address, reason: None) if self._tls else None
        return Listener(
            self.ae_title,
            self._host,
            None if secure else port,
            self._keep,
            secure=secure,
            calling_ae_titles=None,
            commitment=self.conscience,
        )

    def _keep(self, arrival: Arrival) -> None:
        self._filed.add(arrival.header + arrival.data_set)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._listener.stop()


def _all_kept(request: Request) -> Result:
    return Result(request.transaction_uid, request.references)


class Conscience:
    """What a PACS says to storage commitment, on the association of the request, and what it was told itself."""

    def __init__(self) -> None:
        self._says: Callable[[Request], Result] = _all_kept
        self._told: list[Result] = []
        self._changed = threading.Condition()

    @contextmanager
    def saying(self, says: Callable[[Request], Result]) -> Iterator[None]:
        """Within the block requests are answered so; otherwise all is kept."""
        self._says = says
        try:
            yield
        finally:
            self._says = _all_kept

    def told(self, transaction_uid: str, seconds: float) -> Result | None:
        """The answer to a request of our own, once it has come; None where it did not come within so long."""

        def found() -> Result | None:
            return next((result for result in self._told if result.transaction_uid == transaction_uid), None)

        with self._changed:
            return self._changed.wait_for(found, seconds)

    def asked(self, request: Request, calling_ae: str) -> bool:
        return True

    def answer(self, request: Request, calling_ae: str) -> Result:
        return self._says(request)

    def answered(self, request: Request, calling_ae: str, failure: str) -> None:
        pass  # whoever asked will ask again

    def reported(self, result: Result, calling_ae: str) -> bool:
        with self._changed:
            self._told.append(result)
            self._changed.notify_all()
        return True
