"""A simulated peer that speaks HTTP: an application on a socket of loopback, unless another address is named."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI, Request

from dicom_io.certificates import Files
from radplug.uvicorn_thread import running

HOST = "127.0.0.1"


class SimulatedServer:
    """Listens on `host` (port 0: a free one) while the block runs, by HTTPS with `tls`; wants `token`, where given."""

    def __init__(self, token: str = "", port: int = 0, host: str = HOST, tls: Files | None = None) -> None:
        self._token, self._host, self.port, self._tls = token, host, port, tls
        self._stack = ExitStack()

    @property
    def address(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def __enter__(self) -> Self:
        self.port = self._stack.enter_context(_served(self._application(), self._host, self.port, self._tls))
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._stack.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within the block nobody listens there."""
        self._stack.close()
        try:
            yield
        finally:
            self.__enter__()

    def _application(self) -> FastAPI:
        """What answers, made anew whenever it begins to listen."""
        raise NotImplementedError

    def _lets_in(self, request: Request) -> bool:
        return not self._token or request.headers.get("Authorization") == f"Bearer {self._token}"


@contextmanager
def _served(application: FastAPI, host: str, port: int, tls: Files | None) -> Iterator[int]:
    certificate, key = tls.own if tls and tls.own else (None, None)
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_level="warning",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    with socket.create_server((host, port)) as listening, running(config, listening):
        yield int(listening.getsockname()[1])
