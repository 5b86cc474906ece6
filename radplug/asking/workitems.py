"""Whose workitems the site has us do: a UPS-RS server's, or by DIMSE those of a peer."""

from __future__ import annotations

from collections.abc import Callable

from dicom_io.dicomweb.workitems import UpsRs
from dicom_io.pulling import UpsPull
from dicom_io.workitems import Workitems
from radplug import certificates, web_services
from radplug.settings import WorkitemsSettings
from radplug.wiring import House


def workitems_of(house: House, settings: WorkitemsSettings) -> Callable[[], Workitems]:
    """As they are to be asked for each time: a renewed secret or certificate counts at once.

    What it gives raises Unavailable or UnusableCertificate where that cannot be read.
    """
    url, scp = settings.url, settings.peer
    if scp:
        peer, ours = certificates.calling(scp), house.settings.listener.ae_title
        return lambda: UpsPull(peer(), calling_ae=ours, timeout=settings.timeout_seconds)
    assert url  # the settings have seen to it
    return lambda: UpsRs(web_services.server_at(url, settings))
