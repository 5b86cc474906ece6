"""An archive that takes objects by STOW-RS alone, and keeps each as the file that came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from dicom_io.dicomweb.incoming import Incoming, boundary_of
from dicom_io.dicomweb.sent import Sent
from dicom_io.dicomweb.store_answer import MEDIA_TYPE, status_of, write_answer
from radplug.acceptance.filed import Filed
from radplug.acceptance.serving import HOST, SimulatedServer

LARGEST = 64 << 20  # bytes of an object


class SimulatedArchive(SimulatedServer):
    """Files what it is sent under `folder`."""

    def __init__(self, folder: Path, port: int = 0, host: str = HOST) -> None:
        super().__init__(port=port, host=host)
        self._folder = folder  # where bodies are spooled as well
        self._filed = Filed(folder, "dcm")
        self._busy = threading.Event()

    @property
    def received(self) -> tuple[Path, ...]:
        return self._filed.files

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Within the block every request is answered 503."""
        self._busy.set()
        try:
            yield
        finally:
            self._busy.clear()

    def _application(self) -> FastAPI:
        application = FastAPI(openapi_url=None)

        @application.post("/{path:path}")  # below whatever address it was given
        async def store(request: Request) -> Response:
            if self._busy.is_set():
                return Response(status_code=503)
            return await run_in_threadpool(self._take, request.headers.get("Content-Type", ""), await request.body())

        return application

    def _take(self, content_type: str, body: bytes) -> Response:
        self._folder.mkdir(parents=True, exist_ok=True)
        incoming = Incoming(boundary_of(content_type), self._folder, self._keep, largest_instance=LARGEST)
        incoming.take(body)
        incoming.finish()
        return Response(write_answer(incoming.outcomes), status_of(incoming.outcomes), media_type=MEDIA_TYPE)

    def _keep(self, sent: Sent) -> None:
        self._filed.add(sent.header + sent.data_set)
