"""Where others call us: the DICOM listener and the worklist."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from dicom_io.errors import DicomError
from dicom_io.sending import Peer, echo
from radplug import certificates
from radplug.findings import WAIT, Finding
from radplug.settings import SettingsError
from radplug.web.provider import Provider
from radplug.web.provider_answers import BadAnswer, ProviderAway
from radplug.wiring import House


def callers(house: House) -> Iterator[Finding]:
    try:
        callers = house.settings.listener.callers
    except SettingsError as error:
        yield Finding("who may send", False, str(error))
        return
    if callers is None:
        yield Finding("who may send", True, "any AE title (accept_any_calling_ae): right for a test bench only")
    else:
        yield Finding("who may send", True, ", ".join(sorted(callers)))


def listener(house: House) -> Iterator[Finding]:
    s = house.settings.listener
    host = "127.0.0.1" if s.host in ("0.0.0.0", "::") else s.host
    ports = ([s.port] if s.plain else []) + ([s.tls.port] if s.tls else [])
    if closed := [port for port in ports if not _answers(host, port)]:
        where = " and ".join(f"{host}:{port}" for port in closed)
        text = f"nothing listens on {where}; start `radplug up`, and open the port in the firewall for the PACS"
        yield Finding("listener", False, text)
        return
    if s.tls:
        yield Finding("listener with TLS", True, f"{host}:{s.tls.port} accepts connections; only a sender shows more")
    if not s.plain:
        return
    caller = next(iter(sorted(s.calling_ae_titles)), s.ae_title)
    try:
        echo(Peer(s.ae_title, host, s.port), calling_ae=caller, timeout=WAIT)
    except DicomError as error:
        yield Finding("listener", False, f"{host}:{s.port} answers, but not as {s.ae_title} should: {error}")
    else:
        yield Finding("listener", True, f"{s.ae_title} answers C-ECHO on {host}:{s.port}")


def _answers(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(WAIT)
        return probe.connect_ex((host, port)) == 0


def certificates_of_ports(house: House) -> Iterator[Finding]:
    yield from certificates.findings(house.settings)


def worklist(house: House) -> Iterator[Finding]:
    s = house.settings.web
    address = f"{'https' if s.certificate else 'http'}://{s.host}:{s.port}"
    if not s.https and s.host not in ("127.0.0.1", "::1", "localhost"):
        text = (
            f"{address} sends passwords and patients' data unencrypted; give web.certificate and web.key, or listen on "
        )
        yield Finding("worklist", False, f"{text}127.0.0.1 behind a proxy that speaks HTTPS, and set web.behind_https")
    elif not house.database.is_current():
        return  # said already
    elif not s.openid and not house.people.all():
        yield Finding("worklist", False, f"nobody can sign in at {address}; `radplug account NAME` makes an account")
    else:
        yield Finding("worklist", True, address)


def openid(house: House) -> Iterator[Finding]:
    settings = house.settings.web.openid
    if settings is None:
        return
    try:
        Provider(settings).discovery()
    except SettingsError as error:
        yield Finding("hospital's sign-in", False, str(error))
    except ProviderAway as error:
        text = f"web.openid.issuer does not answer ({error}); check it, the firewall and the certificate"
        yield Finding("hospital's sign-in", False, text)
    except BadAnswer as error:
        yield Finding("hospital's sign-in", False, f"web.openid.issuer answers, but {error}")
    else:
        yield Finding("hospital's sign-in", True, f"{settings.issuer} answers; only a person shows whether it lets in")
