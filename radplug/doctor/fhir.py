"""Whether the FHIR servers and the FHIRcast hub of the settings answer as such."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
from pydantic import BaseModel, ValidationError

from dicom_io.errors import UnusableCertificate
from radplug import certificates
from radplug.findings import WAIT, Finding
from radplug.settings import FhircastSettings, Settings, SettingsError, WebService

OURS = ("4.0", "4.3")  # versions of FHIR whose DiagnosticReport is the one that we send


class _Capabilities(BaseModel):
    fhirVersion: str  # noqa: N815 - as FHIR spells it


class _Silent(Exception):
    """No answer can be had; the text says why."""


def findings(settings: Settings) -> Iterator[Finding]:
    """What is wrong with each, or that nothing is."""
    for server in settings.fhir:
        about = f"FHIR server {server.name}"
        try:
            yield Finding(about, *_server(_asked(server, f"{server.url.rstrip('/')}/metadata"), server.url))
        except _Silent as reason:
            yield Finding(about, False, str(reason))
    if settings.fhircast:
        yield Finding("FHIRcast hub", *_hub(settings.fhircast))


def _server(answer: httpx2.Response, url: str) -> tuple[bool, str]:
    try:
        version = _Capabilities.model_validate_json(answer.content).fhirVersion
    except ValidationError:
        return False, f"{url}/metadata answers {answer.status_code} and tells no fhirVersion; is it the server's base?"
    if not version.startswith(OURS):
        return False, f"{url} speaks FHIR {version}; wanted is R4 (4.0.1)"
    return True, f"{url} answers, FHIR {version}; only a draft shows whether it takes one"


def _hub(hub: FhircastSettings) -> tuple[bool, str]:
    try:
        _asked(hub, f"{hub.url.rstrip('/')}/.well-known/fhircast-configuration")
    except _Silent as reason:
        return False, str(reason)
    return True, f"{hub.url} answers; the log of the station fhircast tells whether it lets us in"


def _asked(whom: WebService, url: str) -> httpx2.Response:
    """Raises _Silent."""
    try:
        shown, tls = whom.authorization(), certificates.asking(whom)
        headers = {"Accept": "application/fhir+json"} | ({"Authorization": shown} if shown else {})
        return httpx2.get(url, headers=headers, verify=tls, timeout=WAIT)
    except (SettingsError, UnusableCertificate) as error:
        raise _Silent(str(error)) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _Silent(f"{url} cannot be asked ({type(error).__name__}); check it, the firewall and ca") from error
