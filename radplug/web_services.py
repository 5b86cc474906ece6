"""The servers that the settings have us ask over HTTP: what lets us in, and whether they answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from dicom_io.dicomweb.server import Server
from dicom_io.errors import Unavailable
from radplug.findings import Finding
from radplug.settings import Settings, SettingsError, WebAccess, WebService


def server(service: WebService) -> Server:
    """As it is to be asked this time: a renewed secret counts at once. Raises as `server_at` does."""
    return server_at(service.url, service)


def server_at(url: str, access: WebAccess) -> Server:
    """The one at an address, with what lets us in there as it is now.

    Raises:
        Unavailable: a secret cannot be read.
    """
    try:
        return Server(
            url=url.rstrip("/"),
            timeout=access.timeout_seconds,
            authorization=access.authorization(),
            ca=access.ca,
        )
    except SettingsError as error:
        raise Unavailable(str(error)) from None


def findings(settings: Settings, wait: float) -> Iterator[Finding]:
    """Whether each can be reached, and its secret be read."""
    for service in settings.dicomweb:
        yield _finding(f"DICOMweb server {service.name}", service.url, service, wait)
    for pacs in settings.pacs:
        if pacs.dicomweb:
            yield _finding(f"DICOMweb server of PACS {pacs.name}", pacs.dicomweb.url, pacs.dicomweb, wait)
    if (workitems := settings.workitems) and workitems.url:
        yield _finding("UPS-RS server", workitems.url, workitems, wait)
    if workitems and workitems.retrieve_url:
        yield _finding("server of workitems' images", workitems.retrieve_url, workitems, wait)


def _finding(about: str, url: str, access: WebAccess, wait: float) -> Finding:
    parts = urlsplit(url)
    where = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    try:
        server_at(url, access)
        socket.create_connection(where, min(wait, access.timeout_seconds)).close()
    except Unavailable as error:
        return Finding(about, False, str(error))
    except OSError as error:
        text = f"{url} cannot be reached ({error.strerror or 'time-out'}); check url and firewall"
        return Finding(about, False, text)
    return Finding(about, True, f"{url} accepts connections; only a request shows whether it lets us in")
