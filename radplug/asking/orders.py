"""Orders of studies that came without one: the site's modality worklist is asked, while the study is still coming in.

Nothing waits for the answer. One that comes before the draft stands in it, as an HL7 order would.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import structlog

from dicom_io.errors import DicomError, Unavailable, UnusableCertificate
from dicom_io.scheduled import find_scheduled
from radplug import certificates
from radplug.asking.choosing import Choice, choose
from radplug.domain import Case
from radplug.logs import told
from radplug.settings import ModalityWorklistSettings
from radplug.wiring import House

LOOK_EVERY = 0.5  # seconds

log = structlog.get_logger(__name__)


class OrderDesk:
    """Asks for a house's cases, each once, and again where the worklist could not answer."""

    def __init__(self, house: House, worklist: ModalityWorklistSettings) -> None:
        self._house, self._worklist = house, worklist
        self._peer = certificates.calling(worklist)

    def run(self, stop: threading.Event) -> None:
        """Ask what is due, until told to stop."""
        while not stop.wait(LOOK_EVERY):
            try:
                self.ask_due()
            except Exception as error:  # noqa: BLE001 - an entrance: the rows stay due
                log.error("orders not asked for", **told(error))

    def ask_due(self) -> None:
        now = self._house.now()
        busy = timedelta(seconds=6 * self._worklist.timeout_seconds)  # two queries: connecting, asking, releasing
        for case, attempts in self._house.order_queries.lease(now, now + busy):
            self._ask(case, attempts)

    def _ask(self, case: Case, attempts: int) -> None:
        house = self._house
        try:
            choice, again = self._answer(case), False
        except DicomError as error:
            passing = isinstance(error, Unavailable | UnusableCertificate)
            choice, again = Choice(None, str(error)), passing and attempts < self._worklist.attempts
        now = house.now()
        retry_at = now + house.policy.pause(attempts) if again else None
        taken = house.order_queries.settle(case.id, choice.order, choice.why, now, retry_at)
        house.audit.note("order asked for", case.id, outcome=choice.why, taken=taken, again=again)

    def _answer(self, case: Case) -> Choice:
        """By accession number, and by patient where that gives none; the images may name but one of them."""
        ask = partial(
            find_scheduled,
            self._peer(),
            calling_ae=self._house.settings.listener.ae_title,
            timeout=self._worklist.timeout_seconds,
        )
        choice = choose(ask(accession_number=case.accession_number), case) if case.accession_number else None
        if case.patient.id and (choice is None or choice.order is None):
            choice = choose(ask(patient_id=case.patient.id), case)
        return choice or Choice(None, "the images name no patient")
