"""The certificates that the settings name: TLS for each way in and out, and until when it will last."""

from __future__ import annotations

import ssl
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
from radplug.settings import (
    ListenerTlsSettings,
    ModalityWorklistSettings,
    PacsDestination,
    PeerTlsSettings,
    Settings,
    UpsPeerSettings,
    WebService,
)

WARNING_TIME = timedelta(days=30)


def accepting(settings: ListenerTlsSettings) -> Contexts:
    """TLS for those who send to us."""
    return Renewed(
        _files(settings), lambda files: tls.accepting(files, wants_certificate=settings.require_client_certificate)
    )


def calling(called: PacsDestination | ModalityWorklistSettings | UpsPeerSettings) -> Callable[[], Peer]:
    """The peer as it is to be called each time. What it gives raises UnusableCertificate."""
    return _called(Peer(called.ae_title, called.host, called.port), called.tls)


def answering(settings: Settings) -> dict[str, Callable[[], Peer]]:
    """Whoever has an address for answers to storage commitment, by AE title.

    That is each PACS, where `listener.commitment_reports` does not name another address. With TLS a PACS is called by
    its own certificates, others (`tls://`) by the listener's.
    """
    listener = settings.listener
    peers = {pacs.ae_title: calling(pacs) for pacs in settings.pacs}
    of_pacs = {pacs.ae_title: pacs.tls for pacs in settings.pacs}
    for ae_title, address in listener.commitment_reports.items():
        with_tls = of_pacs.get(ae_title) or (listener.tls if address.tls else None)
        peers[ae_title] = _called(Peer(ae_title, address.host, address.port), with_tls)
    return peers


def calling_with(settings: PeerTlsSettings | ListenerTlsSettings | None) -> Callable[[], ssl.SSLContext | None]:
    """TLS for each call of a peer; None where it is called without. What it gives raises UnusableCertificate."""
    return Renewed(_files(settings), tls.calling) if settings else lambda: None


def _called(peer: Peer, settings: PeerTlsSettings | ListenerTlsSettings | None) -> Callable[[], Peer]:
    named = replace(peer, server_name=settings.server_name) if isinstance(settings, PeerTlsSettings) else peer
    contexts = calling_with(settings)
    return lambda: replace(named, tls=contexts())


def asking(settings: WebService) -> SSLContext:
    """TLS for those whom we ask by HTTPS. Raises UnusableCertificate."""
    return tls.calling(Files(settings.ca, None)) if settings.ca else create_default_context()


def findings(settings: Settings) -> Iterator[Finding]:
    """What is wrong with the files, or soon will be."""
    for about, port in (("TLS of the listener", settings.listener.tls), ("TLS of HL7 in", settings.hl7.tls)):
        if port:
            yield _finding(about, accepting(port), _files(port))
    worklist, workitems = settings.modality_worklist, settings.workitems
    asked = [("TLS with the modality worklist", worklist.tls)] if worklist else []
    if workitems and workitems.peer:
        asked.append(("TLS with the workitems' peer", workitems.peer.tls))
    pacs = ((f"TLS with PACS {one.name}", one.tls) for one in settings.pacs)
    reporting = ((f"TLS with reporting system {one.name}", one.tls) for one in settings.reporting)
    for about, peer in (*asked, *pacs, *reporting):
        if peer:
            yield _finding(about, calling_with(peer), _files(peer))


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


def _files(settings: ListenerTlsSettings | PeerTlsSettings) -> Files:
    own = (settings.certificate, settings.key) if settings.certificate and settings.key else None
    return Files(settings.ca, own)
