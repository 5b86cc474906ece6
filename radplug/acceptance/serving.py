"""A simulated peer that speaks HTTP: an application on a socket of loopback, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from dicom_io.certificates import Files


@contextmanager
def served(application: FastAPI, host: str, port: int, tls: Files | None) -> Iterator[int]:
    """Serve it while the block runs (port 0: a free one), by HTTPS with `tls`; gives the port."""
    certificate, key = tls.own if tls and tls.own else (None, None)
    with socket.create_server((host, port)) as listening:
        server = _Server(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                log_level="warning",
                ws="websockets-sansio",
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            server.answers.wait()
            yield int(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answers.set()
