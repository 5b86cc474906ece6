"""What `radplug doctor` says of storage commitment, in both directions."""

from __future__ import annotations

from collections.abc import Iterator

from dicom_io import committing
from dicom_io.errors import DicomError
from radplug import certificates
from radplug.findings import WAIT, Finding
from radplug.settings import PacsDestination, SettingsError
from radplug.wiring import House


def findings(house: House) -> Iterator[Finding]:
    for pacs in house.settings.pacs:
        if pacs.commitment:
            yield _asked(house, pacs)
    if house.settings.listener.commitment:
        known = ", ".join(sorted(certificates.answering(house.settings))) or "nobody"
        text = f"senders are answered; {known} by a call to them, all others on the association on which they ask"
        yield Finding("storage commitment", True, text)
    if house.database.is_current() and (damaged := house.commitment_requests.damages()):
        text = (
            f"{damaged} are gone, or hold other bytes than came; check the disk, then have the senders send them again"
        )
        yield Finding("stored files", False, f"{text}: the audit trail names them (stored file damaged)")


def _asked(house: House, pacs: PacsDestination) -> Finding:
    about = f"storage commitment by PACS {pacs.name}"
    try:
        callers = house.settings.listener.callers
        peer = certificates.calling(pacs)()
        ours = house.settings.listener.ae_title
        committing.greet(peer, calling_ae=ours, timeout=min(WAIT, pacs.timeout_seconds))
    except (SettingsError, DicomError) as error:
        return Finding(about, False, str(error))
    if callers is not None and pacs.ae_title not in callers:
        text = f"listener.calling_ae_titles lacks {pacs.ae_title}, so its confirmations are refused; add it"
        return Finding(about, False, text)
    return Finding(about, True, f"{pacs.ae_title} takes requests; only a document shows whether its answers find us")
