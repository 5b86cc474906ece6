"""The certificates that the settings name: TLS for each way in and out, and until when it will last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ssl import SSLContext, create_default_context

from dicom_io import tls
from dicom_io.certificates import Files, ends
from dicom_io.errors import UnusableCertificate
from dicom_io.sending import Peer
from dicom_io.tls import Contexts, Renewed
from radplug.findings import Finding
from radplug.settings import ListenerTlsSettings, PacsDestination, PacsTlsSettings, Settings, Trusted

WARNING_TIME = timedelta(days=30)


def accepting(settings: ListenerTlsSettings) -> Contexts:
    """TLS for those who send to us."""
    return Renewed(
        _files(settings), lambda files: tls.accepting(files, wants_certificate=settings.require_client_certificate)
    )


def calling(pacs: PacsDestination) -> Callable[[], Peer]:
    """The PACS as it is to be called each time. What it gives raises UnusableCertificate."""
    plain = Peer(pacs.ae_title, pacs.host, pacs.port)
    if pacs.tls is None:
        return lambda: plain
    named, contexts = replace(plain, server_name=pacs.tls.server_name), Renewed(_files(pacs.tls), tls.calling)
    return lambda: replace(named, tls=contexts())


def asking(settings: Trusted) -> SSLContext:
    """TLS for those whom we ask by HTTPS. Raises UnusableCertificate."""
    return tls.calling(Files(settings.ca, None)) if settings.ca else create_default_context()


def findings(settings: Settings) -> Iterator[Finding]:
    """What is wrong with the files, or soon will be."""
    if settings.listener.tls:
        yield _finding("TLS of the listener", accepting(settings.listener.tls), _files(settings.listener.tls))
    for pacs in settings.pacs:
        if pacs.tls:
            yield _finding(f"TLS with PACS {pacs.name}", calling(pacs), _files(pacs.tls))


def _finding(about: str, usable: Callable[[], object], files: Files) -> Finding:
    try:
        usable()
        now = datetime.now(UTC)
        end, file = min((ends(file, now), file) for file in files.certificates)
    except UnusableCertificate as error:
        return Finding(about, False, f"{error}; a station that is at work goes on with what it has read before")
    if end - now < WARNING_TIME:
        text = f"{file} expires on {end:%Y-%m-%d}, in {(end - now).days} days; have it renewed, no restart is needed"
        return Finding(about, False, text)
    return Finding(about, True, f"certificates are valid until {end:%Y-%m-%d}")


def _files(settings: ListenerTlsSettings | PacsTlsSettings) -> Files:
    own = (settings.certificate, settings.key) if settings.certificate and settings.key else None
    return Files(settings.ca, own)
