"""The application at the address that the settings name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from radplug.settings import WebSettings
from radplug.uvicorn_thread import running
from radplug.web.api import Bell
from radplug.web.app import create
from radplug.wiring import House


class CannotServe(Exception):
    """The address is taken, or the certificate cannot be used; the text says which."""


@contextmanager
def serving(house: House, bell: Bell | None = None) -> Iterator[str]:
    """Serve a site's pages while the block runs; gives their address. Raises CannotServe."""
    settings = house.settings.web
    try:
        listening = socket.create_server((settings.host, settings.port))
    except OSError as error:
        reason = f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}; is it taken?"
        raise CannotServe(reason) from error
    with listening, running(_config(house, bell, settings), listening):
        yield f"{'https' if settings.certificate else 'http'}://{settings.host}:{listening.getsockname()[1]}"


def _config(house: House, bell: Bell | None, settings: WebSettings) -> uvicorn.Config:
    config = uvicorn.Config(
        create(house, bell),
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        access_log=False,  # what is searched for may be a patient's name
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,  # open pages listen for changes without end
    )
    try:
        config.load()
    except OSError as error:
        raise CannotServe(f"web.certificate or web.key cannot be used: {error}") from error
    return config
