"""Whom we call: PACS, servers and reporting systems."""

from __future__ import annotations

from collections.abc import Iterator

from dicom_io.errors import DicomError, UnusableCertificate
from dicom_io.sending import echo
from dicom_io.tls import explained
from hl7 import mllp
from hl7.errors import NoTls, Unavailable
from radplug import certificates, web_services
from radplug.doctor import fhir
from radplug.findings import WAIT, Finding
from radplug.settings import ModalityWorklistSettings, PacsDestination, UpsPeerSettings
from radplug.wiring import House


def every_pacs(house: House) -> Iterator[Finding]:
    if not house.settings.destinations:
        text = "no [[pacs]], [[dicomweb]], [[reporting]] or [[fhir]] is set, so drafts go nowhere; name one"
        yield Finding("destinations", False, text)
    for pacs in house.settings.pacs:
        yield _echo(f"PACS {pacs.name}", pacs, pacs.timeout_seconds, house)


def _echo(
    about: str, peer: PacsDestination | ModalityWorklistSettings | UpsPeerSettings, timeout: float, house: House
) -> Finding:
    try:
        to, ours = certificates.calling(peer)(), house.settings.listener.ae_title
        echo(to, calling_ae=ours, timeout=min(WAIT, timeout))
    except DicomError as error:
        return Finding(about, False, str(error))
    with_tls = " with TLS" if peer.tls else ""
    return Finding(about, True, f"{peer.ae_title} answers C-ECHO on {peer.host}:{peer.port}{with_tls}")


def asked(house: House) -> Iterator[Finding]:
    if worklist := house.settings.modality_worklist:
        yield _echo("modality worklist", worklist, worklist.timeout_seconds, house)
    if (workitems := house.settings.workitems) and workitems.peer:
        yield _echo("workitems' peer", workitems.peer, workitems.timeout_seconds, house)
        if not (workitems.images_url or house.settings.pacs):
            text = "no [[pacs]] is set from which their images could be had; name one, or set workitems.retrieve_url"
            yield Finding("workitems' images", False, text)
    yield from web_services.findings(house.settings, WAIT)
    yield from fhir.findings(house.settings)


def counts(house: House) -> Iterator[Finding]:
    if house.archives:
        yield from house.archives.findings()


def reporting_systems(house: House) -> Iterator[Finding]:
    for reporting in house.settings.reporting:
        about, where = f"reporting system {reporting.name}", f"{reporting.host}:{reporting.port}"
        try:
            mllp.reach(
                reporting.host,
                reporting.port,
                timeout=min(WAIT, reporting.timeout_seconds),
                tls=certificates.calling_with(reporting.tls)(),
                server_name=reporting.tls.server_name if reporting.tls else "",
            )
        except UnusableCertificate as error:
            yield Finding(about, False, str(error))
        except NoTls as error:
            yield Finding(about, False, f"{error}: {explained(error.reason)}")
        except Unavailable as error:
            yield Finding(about, False, f"{error}; check host, port and firewall")
        else:
            with_tls = " with TLS" if reporting.tls else ""
            text = f"{where} accepts connections{with_tls}; only a message shows whether it takes results"
            yield Finding(about, True, text)
