"""An archive that takes objects by STOW-RS alone, and keeps each as the file that came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from dicom_io.dicomweb.incoming import Incoming, boundary_of
from dicom_io.dicomweb.sent import Sent
from dicom_io.dicomweb.store_answer import MEDIA_TYPE, status_of, write_answer

LARGEST = 64 << 20  # bytes of an object
TIMEOUT = 30.0  # seconds for a request to come whole


class SimulatedArchive:
    """Listens on `host` (port 0: a free one) while the block runs, and files what it is sent under `folder`."""

    def __init__(self, folder: Path, port: int = 0, host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._received: list[Path] = []
        self._busy = threading.Event()
        self._one = threading.Lock()
        self._server = ThreadingHTTPServer((host, port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.port = self._server.server_port

    @property
    def received(self) -> tuple[Path, ...]:
        with self._one:
            return tuple(self._received)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Within the block every request is answered 503."""
        self._busy.set()
        try:
            yield
        finally:
            self._busy.clear()

    def take(self, content_type: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        if self._busy.is_set():
            return 503, b""
        self._folder.mkdir(parents=True, exist_ok=True)
        incoming = Incoming(boundary_of(content_type), self._folder, self._keep, largest_instance=LARGEST)
        incoming.take(body)
        incoming.finish()
        return status_of(incoming.outcomes), write_answer(incoming.outcomes)

    def _keep(self, sent: Sent) -> None:
        with self._one:
            path = self._folder / f"received-{len(self._received) + 1}.dcm"
            path.write_bytes(sent.header + sent.data_set)
            self._received.append(path)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(archive: SimulatedArchive) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = archive.take(self.headers.get("Content-Type", ""), body)
            self.send_response(status)
            self.send_header("Content-Type", MEDIA_TYPE)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
