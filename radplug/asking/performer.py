"""The site's workitems (IHE AIW-I): found, claimed, their images fetched, and told what came of them.

A row says what the next step of each is, and holds the transaction before the claim is made: whatever is broken off
is taken up again, and a claim of which we do not know whether it was heard is still ours.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import structlog
from pydicom import Dataset

from dicom_io import performed
from dicom_io.commitment import Reference
from dicom_io.errors import DicomError, NoSpace, Unavailable, UnusableCertificate
from dicom_io.performed import Output
from dicom_io.reading import read_instance
from dicom_io.workitems import Code, Conflict, Step, Workitem, Workitems
from radplug.asking.choosing import choose
from radplug.asking.inputs import CannotBeDone, Inputs
from radplug.asking.workitems import workitems_of
from radplug.domain import Case, CaseState, DeliveryState
from radplug.logs import told
from radplug.records.workitems import Claim, WorkitemState
from radplug.settings import WorkitemsSettings
from radplug.wiring import House

TICK = 0.25  # seconds
MOST = 100  # workitems of an answer, in which a server that heeds no key may name others' as well
NOT_DRAFTED = (CaseState.NOT_DRAFTED, CaseState.FAILED)

log = structlog.get_logger(__name__)


class Performer:
    """Does a house's workitems."""

    def __init__(self, house: House, settings: WorkitemsSettings) -> None:
        self._house, self._settings = house, settings
        self._station = Code(*settings.station.split("^"))
        self._code = Code(*settings.code.split("^")) if settings.code else None
        self._pause = timedelta(seconds=settings.poll_seconds)
        self._workitems, self._inputs = workitems_of(house, settings), Inputs(house, settings)

    def run(self, stop: threading.Event) -> None:
        """Look for workitems, and take each a step further, until told to stop."""
        search_at = self._house.now()
        while not stop.wait(TICK):
            try:
                if self._house.now() >= search_at:
                    search_at = self._house.now() + self._pause
                    self.search()
                self.go_on()
            except DicomError as error:
                log.warning("workitems cannot be looked for", reason=str(error))
            except Exception as error:  # noqa: BLE001 - an entrance: the rows stay due
                log.error("workitems not worked on", **told(error))

    def search(self) -> None:
        """Set out to claim what is ready for us. Raises DicomError."""
        house = self._house
        room = self._settings.at_once - house.claims.open()
        if room <= 0:
            return
        for workitem in self._server.search(self._station, self._code, MOST):
            if room > 0 and self._is_ours(workitem):
                room -= house.claims.set_out(workitem.uid, house.now())

    def go_on(self) -> None:
        """Every step that is due."""
        for claim in self._house.claims.due(self._house.now()):
            try:
                self._step(claim)
            except (Unavailable, UnusableCertificate, NoSpace) as error:
                self._postpone(claim, str(error))
                log.warning("workitem postponed", workitem=claim.uid, reason=str(error))
            except Conflict as error:
                self._end(claim, WorkitemState.LOST, str(error))
            except (DicomError, CannotBeDone) as error:
                self._give_up(claim, str(error))
            except Exception as error:  # noqa: BLE001 - an entrance: what is wrong with one holds up no other
                self._postpone(claim, "an error of radplug's own; its log says which")
                log.error("workitem not worked on", workitem=claim.uid, **told(error))

    def _postpone(self, claim: Claim, reason: str) -> None:
        again = self._house.now() + self._house.policy.pause(claim.attempts + 1)
        self._house.claims.postpone(claim, again, reason)

    @property
    def _server(self) -> Workitems:
        return self._workitems()

    def _is_ours(self, workitem: Workitem) -> bool:
        """Whatever a server makes of the keys that it was asked with."""
        ours = any(self._station.is_same(one) for one in workitem.stations)
        wanted = self._code is None or any(self._code.is_same(one) for one in workitem.codes)
        return bool(workitem.uid) and ours and wanted and workitem.state in ("", Step.SCHEDULED)

    def _step(self, claim: Claim) -> None:
        match claim.state:
            case WorkitemState.CLAIMING:
                self._claim(claim)
            case WorkitemState.CLAIMED:
                self._fetch(claim)
            case WorkitemState.FETCHED:
                self._finish(claim)
            case WorkitemState.CANCELING:
                self._cancel(claim, claim.outcome)

    def _claim(self, claim: Claim) -> None:
        server, now = self._server, self._house.now()
        try:
            server.change(claim.uid, claim.transaction_uid, Step.IN_PROGRESS)
        except Conflict:  # another's; or ours, and we were not there any more to hear so: who may update it owns it
            server.update(claim.uid, claim.transaction_uid, performed.begun())
        self._house.claims.move(claim, WorkitemState.CLAIMED, now, claimed_at=now)
        self._house.audit.note("workitem claimed", workitem=claim.uid, transaction=claim.transaction_uid)

    def _fetch(self, claim: Claim) -> None:
        house, workitem = self._house, self._server.retrieve(claim.uid)
        study_uid, count = _study_of(workitem), 0
        for each in (each for each in workitem.inputs if each.study_uid == study_uid):
            count += self._inputs.fetch(each)
        case = house.viewing.case_of_study(study_uid)
        if not count or case is None:
            raise CannotBeDone("none of the workitem's inputs is of a kind that is taken")
        taken = self._take_order(workitem, case)
        house.claims.move(claim, WorkitemState.FETCHED, house.now(), study_uid=study_uid)
        house.audit.note("workitem's inputs fetched", case.id, workitem=claim.uid, instances=count, order=taken)

    def _take_order(self, workitem: Workitem, case: Case) -> bool:
        """What the workitem says of the order counts where none has come."""
        house = self._house
        if house.drafting.order(case) is not None:
            return False
        choice = choose(workitem.requests, case)
        return house.order_queries.settle(case.id, choice.order, choice.why, house.now(), None)

    def _finish(self, claim: Claim) -> None:
        house, now = self._house, self._house.now()
        case = house.viewing.case_of_study(claim.study_uid)
        if case is not None and case.state == CaseState.DELIVERED:
            did = self._code or next(iter(self._server.retrieve(claim.uid).codes), performed.REPORTING)
            changes = performed.results(self._station, did, claim.claimed_at or now, now, self._outputs(case))
            self._tell(claim, changes, Step.COMPLETED)
            self._end(claim, WorkitemState.COMPLETED, "", case.id)
        elif case is not None and case.state in NOT_DRAFTED:
            self._cancel(claim, f"{case.state}: {case.reason}", case.id)
        else:
            house.claims.postpone(claim, now + self._pause)

    def _tell(self, claim: Claim, changes: Dataset, end: Step) -> None:
        """The end of a workitem; when it was told before, and our note of that was lost, it is not told again."""
        server = self._server
        try:
            server.update(claim.uid, claim.transaction_uid, changes)
            server.change(claim.uid, claim.transaction_uid, end)
        except Conflict:
            if server.retrieve(claim.uid).state != end:
                raise

    def _outputs(self, case: Case) -> Iterator[Output]:
        """Where the objects of the case's latest draft can be had."""
        pacs = {one.name: one.ae_title for one in self._house.settings.pacs}
        servers = {one.name: one.url.rstrip("/") for one in self._house.settings.dicomweb}
        for delivery in self._house.viewing.deliveries(case.id):
            document, to = delivery.document, delivery.destination
            latest = delivery.version == case.version and delivery.state == DeliveryState.DELIVERED
            if latest and not document.kind.is_hl7 and (to in pacs or to in servers):
                sop_class = read_instance(self._house.store.path(document.file)).sop_class_uid
                reference = Reference(sop_class, document.id)
                ae_title, url = pacs.get(to, ""), servers.get(to, "")
                yield Output(reference, case.study_uid, document.series_uid, ae_title, url)

    def _give_up(self, claim: Claim, why: str) -> None:
        if claim.state in (WorkitemState.CLAIMED, WorkitemState.FETCHED):
            self._house.claims.move(claim, WorkitemState.CANCELING, self._house.now(), outcome=why)
        else:
            self._end(claim, WorkitemState.LOST, why)

    def _cancel(self, claim: Claim, why: str, case_id: str = "") -> None:
        self._tell(claim, performed.reason(why, self._house.now()), Step.CANCELED)
        self._end(claim, WorkitemState.CANCELED, why, case_id)

    def _end(self, claim: Claim, state: WorkitemState, why: str, case_id: str = "") -> None:
        self._house.claims.move(claim, state, self._house.now(), outcome=why)
        self._house.audit.note(f"workitem {state}", case_id, workitem=claim.uid, reason=why)


def _study_of(workitem: Workitem) -> str:
    """The study that is to be reported: other inputs are there for comparison. Raises CannotBeDone."""
    studies = [each.study_uid for each in workitem.inputs if each.study_uid]
    asked_for = {request.study_uid for request in workitem.requests}
    if not studies:
        raise CannotBeDone("the workitem names no study among its inputs")
    return next((study for study in studies if study in asked_for), studies[0])
