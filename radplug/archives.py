"""What the PACS themselves say that they have of a study: asked by C-FIND, less what we have sent them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicom_io.errors import DicomError
from dicom_io.retrieving import Holdings, find_holdings
from dicom_io.study import NOT_IMAGES
from dicom_io.uids import mint_uid
from radplug import certificates
from radplug.completeness import Counted
from radplug.domain import Case, Delivery, DeliveryState
from radplug.findings import Finding
from radplug.records.viewing import Viewing
from radplug.settings import PacsDestination

LONGEST = 5.0  # seconds for the connection, and for each answer: a study waits meanwhile


class Archives:
    """The PACS that may be asked, in their order; `ae_title` is ours."""

    def __init__(self, viewing: Viewing, ae_title: str, pacs: Sequence[PacsDestination]) -> None:
        self._viewing = viewing
        self._ae_title = ae_title
        self._pacs = [(p, certificates.calling(p)) for p in pacs]

    def count(self, case: Case) -> Counted | str:
        """What the first PACS that can tell has of the study; else why none does."""
        ours = self._viewing.deliveries(case.id)
        reasons = []
        for pacs, peer in self._pacs:
            timeout = min(pacs.timeout_seconds, LONGEST)
            try:
                told = find_holdings(case.study_uid, peer(), calling_ae=self._ae_title, timeout=timeout)
            except DicomError as error:
                reasons.append(str(error))
                continue
            if counted := _counted(pacs.name, told, ours):
                return counted
            reasons.append(f"{pacs.name} does not know the study, or does not tell how much it has of it")
        return "; ".join(reasons)

    def findings(self) -> Iterator[Finding]:
        """Whether each lets us ask, tried with a study that nobody has."""
        for pacs, peer in self._pacs:
            about = f"count at PACS {pacs.name}"
            try:
                find_holdings(mint_uid(), peer(), calling_ae=self._ae_title, timeout=LONGEST)
            except DicomError as error:
                text = f"{error}; let {self._ae_title} query there, or set count_instances = false"
                yield Finding(about, False, text)
            else:
                yield Finding(about, True, f"{pacs.ae_title} takes C-FIND; only a study shows whether it tells a count")


def _counted(pacs: str, told: Holdings, deliveries: Sequence[Delivery]) -> Counted | None:
    """Of series that hold images where each series is counted: a PACS seldom forwards the other objects of a study."""
    sent = [d for d in deliveries if (d.destination, d.state) == (pacs, DeliveryState.DELIVERED)]
    documents = [d.document for d in sent if not d.document.kind.is_hl7]
    our_series = {document.series_uid for document in documents}
    counts = [s.instances for s in told.series if s.modality not in NOT_IMAGES and s.uid not in our_series]
    of_images = [count for count in counts if count is not None]
    if of_images and len(of_images) == len(counts):
        return Counted(pacs, sum(of_images), images_alone=True)
    if told.instances is None:
        return None
    return Counted(pacs, told.instances - len({document.id for document in documents}), images_alone=False)
