"""Storage commitment at the listener: answers about what we were sent, and takes answers about what we have sent.

A request is a row before it is accepted. Its answer goes back on an association of ours, as often as it takes, to
senders whose address is known; to others on theirs, which is tried once.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import structlog

from dicom_io import committing
from dicom_io.commitment import Failed, FailureReason, Reference, Request, Result
from dicom_io.errors import DicomError
from radplug import certificates, pipeline
from radplug.logs import told
from radplug.records.commitment_requests import Asked, Copy
from radplug.wiring import House

LOOK_EVERY = 0.5  # seconds
SAME_ASSOCIATION = timedelta(minutes=10)  # an answer there that has not gone after so long never will
SECONDS = 30.0  # that a sender has to take an answer

log = structlog.get_logger(__name__)


class CommitmentDesk:
    """What `dicom_io.committing.Desk` wants, on the rows and files of a house."""

    def __init__(self, house: House) -> None:
        self._house = house
        s = house.settings
        self._answers = s.listener.commitment
        self._addresses = certificates.answering(s)

    def asked(self, request: Request, calling_ae: str) -> bool | None:
        house = self._house
        if not self._answers:
            log.warning("storage commitment refused: listener.commitment is false", calling_ae=calling_ae)
            return None
        known, now = calling_ae in self._addresses, house.now()
        house.commitment_requests.add(request, calling_ae, now, now if known else now + SAME_ASSOCIATION)
        house.audit.note(
            "commitment requested",
            calling_ae=calling_ae,
            instances=len(request.references),
            transaction=request.transaction_uid,
        )
        return not known

    def answer(self, request: Request, calling_ae: str) -> Result:
        return self._result(self._house.commitment_requests.find(request, calling_ae))

    def answered(self, request: Request, calling_ae: str, failure: str) -> None:
        self._settle(self._house.commitment_requests.find(request, calling_ae), failure)

    def reported(self, result: Result, calling_ae: str) -> bool:
        known = pipeline.take_commitment(self._house, result, calling_ae)
        if not known:
            log.warning("storage commitment reported that was not asked for", calling_ae=calling_ae)
        return known

    def run(self, stop: threading.Event) -> None:
        """Answer what is due, until told to stop."""
        while not stop.wait(LOOK_EVERY):
            try:
                self.answer_due()
            except Exception as error:  # noqa: BLE001 - an entrance: the row stays due
                log.error("storage commitment not answered", **told(error))

    def answer_due(self) -> None:
        house = self._house
        for asked in house.commitment_requests.due(house.now(), house.policy.delivery_lease):
            peer = self._addresses.get(asked.calling_ae)
            if peer is None:
                self._settle(asked, "the association of the request is gone, and no address is set for the sender")
                continue
            try:
                ours = house.settings.listener.ae_title
                committing.report(peer(), self._result(asked), calling_ae=ours, timeout=SECONDS)
            except DicomError as error:  # no answer, no TLS with it, or no certificate that could be used
                self._settle(asked, str(error), again=asked.attempts < house.policy.delivery_attempts)
            else:
                self._settle(asked, "")

    def _settle(self, asked: Asked, failure: str, *, again: bool = False) -> None:
        house = self._house
        retry_at = house.now() + house.policy.pause(asked.attempts) if again else None
        house.commitment_requests.settle(asked, failure or "told", retry_at)
        about = {"calling_ae": asked.calling_ae, "transaction": asked.request.transaction_uid}
        house.audit.note("commitment not told" if failure else "commitment told", reason=failure, again=again, **about)

    def _result(self, asked: Asked) -> Result:
        committed: list[Reference] = []
        failed: list[Failed] = []
        for reference in asked.request.references:
            reason = FailureReason.DUPLICATE_TRANSACTION if asked.duplicate else self._why_not(reference)
            if reason is None:
                committed.append(reference)
            else:
                failed.append(Failed(reference, reason))
        return Result(asked.request.transaction_uid, tuple(committed), tuple(failed))

    def _why_not(self, reference: Reference) -> FailureReason | None:
        """None where an instance is here, byte for byte as it came."""
        copies = self._house.commitment_requests.copies(reference.sop_instance_uid)
        if copies and all(copy.sop_class_uid != reference.sop_class_uid for copy in copies):
            return FailureReason.CLASS_CONFLICT
        if any(self._holds(copy) for copy in copies):
            return None
        return FailureReason.NO_SUCH_INSTANCE

    def _holds(self, copy: Copy) -> bool:
        """Whether its file is as it came; one that is not is noted, so that the same instance, sent again, mends it."""
        if self._house.store.holds(copy.file, copy.sha256):
            return True
        if self._house.commitment_requests.damaged(copy.id, copy.file):
            log.error("a stored file is gone, or holds other bytes than came", file=copy.file)
            self._house.audit.note("stored file damaged", alarm=True, file=copy.file)
        return False
