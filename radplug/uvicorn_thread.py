"""An application that uvicorn serves, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn


@contextmanager
def running(config: uvicorn.Config, listening: socket.socket) -> Iterator[None]:
    """Serve it on a socket while the block runs, which begins once requests are answered."""
    server = _Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="web")
    thread.start()
    try:
        server.answers.wait()
        yield
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
