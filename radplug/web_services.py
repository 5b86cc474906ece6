"""The servers that the settings have us ask over HTTP: what lets us in, and whether they answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from dicom_io.dicomweb.server import Server
from dicom_io.errors import Unavailable
from radplug.findings import Finding
from radplug.settings import Settings, SettingsError, WebService


def server(service: WebService, at: str | None = None) -> Server:
    """As it is to be asked this time, elsewhere than at its `url` where that is given: a renewed secret counts at once.

    Raises:
        Unavailable: a secret cannot be read.
    """
    try:
        return Server(
            url=(at or service.url).rstrip("/"),
            timeout=service.timeout_seconds,
            authorization=service.authorization(),
            ca=service.ca,
        )
    except SettingsError as error:
        raise Unavailable(str(error)) from None


def findings(settings: Settings, wait: float) -> Iterator[Finding]:
    """Whether each can be reached, and its secret be read."""
    for service in settings.dicomweb:
        yield _finding(f"DICOMweb server {service.name}", service, wait)
    for pacs in settings.pacs:
        if pacs.dicomweb:
            yield _finding(f"DICOMweb server of PACS {pacs.name}", pacs.dicomweb, wait)
    if settings.workitems:
        yield _finding("UPS-RS server", settings.workitems, wait)


def _finding(about: str, service: WebService, wait: float) -> Finding:
    parts = urlsplit(service.url)
    where = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    try:
        server(service)
        socket.create_connection(where, min(wait, service.timeout_seconds)).close()
    except Unavailable as error:
        return Finding(about, False, str(error))
    except OSError as error:
        text = f"{service.url} cannot be reached ({error.strerror or 'time-out'}); check url and firewall"
        return Finding(about, False, text)
    return Finding(about, True, f"{service.url} accepts connections; only a request shows whether it lets us in")
