"""One session at the hub: joined again whenever it is lost, followed event by event, never believed to be complete.

Events tell changes alone. Whenever one may have been missed, after joining and where versions do not follow each other,
the hub is asked for the whole (Get Current Context), which takes the place of what was known.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import structlog
from websockets.sync.client import ClientConnection, connect

from radplug.fhir import content, events, open_report
from radplug.fhir.errors import FhirError, Malformed, Refused, Unavailable
from radplug.fhir.events import Event, Notification, Standing
from radplug.fhir.hub import Hub
from radplug.fhir.open_report import OpenReport
from radplug.fhircast.reading_room import ReadingRoom
from radplug.logs import told
from radplug.settings import FhircastSettings
from radplug.wiring import House

LOOK_EVERY = 0.25  # seconds between two looks at whether there is a new draft
LONGEST_EVENT = 16 << 20  # bytes
RENEW_AFTER = 0.75  # of a lease
TAKEN, ACCEPTED, UNREADABLE, CONFLICT, FAILED = 200, 202, 400, 409, 500  # how events are answered

log = structlog.get_logger(__name__)


class Session:
    """`name` is the session's in settings and logs; `hub` gives the hub as settings and files have it now."""

    def __init__(self, house: House, settings: FhircastSettings, name: str, hub: Callable[[], Hub]) -> None:
        self._house = house
        self._lease_seconds = settings.lease_seconds
        self._name = name
        self._hub = hub
        self._room = ReadingRoom(house, settings, name)
        self._open: OpenReport | None = None
        self._in_step = False  # whether what is known of the session is all that there is
        self._refused_at = ""  # the version of the context at which the hub would not have our draft

    def run(self, stop: threading.Event) -> None:
        """Take part until told to stop."""
        failures = 0
        while not stop.is_set():
            try:
                for _ in self._followed(stop):
                    failures = 0
            except Exception as error:  # noqa: BLE001 - an entrance: the session is joined again
                failures += 1
                if failures == 1:
                    about = {"reason": str(error)} if isinstance(error, FhirError) else told(error)
                    self._house.audit.note("FHIRcast session lost", session=self._name, **about)
                    log.warning("session lost; it is tried again", session=self._name, **about)
                stop.wait(self._house.policy.pause(failures).total_seconds())

    def _followed(self, stop: threading.Event) -> Iterator[None]:
        """Join the session and follow it until told to stop; yields whenever all is known of it.

        Raises whatever ends it.
        """
        hub, lease = self._hub(), self._lease_seconds
        endpoint = hub.subscribe(lease)
        tls = hub.tls if endpoint.startswith("wss:") else None
        with connect(endpoint, ssl=tls, open_timeout=hub.timeout, max_size=LONGEST_EVENT) as channel:
            granted = _confirmed(channel.recv(timeout=hub.timeout)) or lease
            renew_at = time.monotonic() + RENEW_AFTER * granted
            self._in_step = False
            self._house.audit.note("FHIRcast session joined", session=self._name)
            while not stop.is_set():
                if not self._in_step:
                    self._catch_up(hub)
                    yield
                if time.monotonic() > renew_at:
                    hub.subscribe(lease, renewing=endpoint)
                    renew_at = time.monotonic() + RENEW_AFTER * granted
                try:
                    message = channel.recv(timeout=LOOK_EVERY)
                except TimeoutError:
                    self._share(hub)
                else:
                    self._take(hub, channel, message)
            hub.unsubscribe(endpoint)

    def _catch_up(self, hub: Hub) -> None:
        """What is open now, as the hub has it; one that does not tell is believed to have told all by events."""
        try:
            answer = hub.current()
        except Malformed as error:
            log.warning("the hub does not tell what is open", session=self._name, reason=str(error))
            answer = None
        if answer is not None:
            try:
                report = open_report.current(answer)
                reasons = self._room.heard(report, self._known(report.report)) if report else []
            except Malformed as error:
                report, reasons = None, [str(error)]
            self._open = report
            if reasons:
                self._room.refused(answer.model_dump_json(by_alias=True), "; ".join(reasons))
        self._in_step = True

    def _known(self, report: str) -> OpenReport | None:
        return self._open if self._open and self._open.report == report else None

    # ── what comes ──

    def _take(self, hub: Hub, channel: ClientConnection, raw: str | bytes) -> None:
        """Follow a message from the hub, and answer it; what cannot be followed is kept, and the session told why."""
        try:
            message = events.read(raw)
        except Malformed as error:
            self._room.refused(raw, str(error))
            if id := events.id_of(raw):
                channel.send(json.dumps({"id": id, "status": UNREADABLE}))
            return
        if isinstance(message, Standing):
            _confirmed(raw)
            return
        status, reason = FAILED, ""
        try:
            status, reason = self._follow(hub, message.event)
            if reason:
                self._room.refused(raw, reason)
        finally:
            channel.send(json.dumps({"id": message.id, "status": status}))
        if reason:
            self._complain(hub, message, reason)

    def _follow(self, hub: Hub, event: Event) -> tuple[int, str]:
        """The answer to an event, and why something of it could not be taken."""
        named = event.item("report")
        report = self._known(named.target) if named else None
        try:
            match event.name:
                case events.OPEN:
                    self._open = None  # whatever comes: the one before is not the current one any more
                    self._open, self._in_step = open_report.opened(event), False
                case events.UPDATE if report:
                    self._update(report, event)
                case events.UPDATE:
                    self._catch_up(hub)
                    if self._known(named.target if named else "") is None:
                        return CONFLICT, "is about a report that is not the one that is open"
                case events.CLOSE if report:
                    self._open, self._in_step = None, False
                case events.SYNC_ERROR:
                    self._note_sync_error(event)
        except Malformed as error:
            return ACCEPTED, str(error)
        return TAKEN, ""

    def _update(self, report: OpenReport, event: Event) -> None:
        """Raises Malformed with what could not be taken; all else is."""
        if event.version and event.version == report.version:
            return  # it was among the whole that the hub has told
        if event.prior not in ("", report.version):
            self._in_step = False  # something was missed: the hub is asked for the whole
            return
        changed = open_report.updated(report, event)
        reasons = self._room.heard(changed, report)
        self._open = changed
        if reasons:
            raise Malformed("; ".join(reasons))

    def _complain(self, hub: Hub, about: Notification, reason: str) -> None:
        try:
            hub.send(events.sync_error(about, hub.subscriber, reason, self._house.now()))
        except (Unavailable, Refused) as error:
            log.warning("syncerror not sent", session=self._name, reason=str(error))

    def _note_sync_error(self, event: Event) -> None:
        codes = events.sync_error_codes(event)
        if codes.get("subscriber") != self._house.settings.device.station_name:
            self._house.audit.note("FHIRcast syncerror", session=self._name, **codes)

    # ── what goes ──

    def _share(self, hub: Hub) -> None:
        """Put the study's draft into the open report, where it is not there yet."""
        report = self._open
        if report is None or not report.version or report.version == self._refused_at:
            return
        if (draft := self._room.draft_for(report)) is None:
            return
        ours = content.update(hub.topic, report, draft.entries, self._house.now())
        try:
            hub.send(ours)
        except Refused as error:
            self._catch_up(hub)
            if self._open and self._open.version == report.version:  # it was not for its version
                self._refused_at = report.version
                self._house.audit.note("draft not shared", session=self._name, reason=str(error))
        else:
            self._room.shared(report, draft)


def _confirmed(message: str | bytes) -> float:
    """For how many seconds the subscription stands; 0 where the hub does not tell. Raises Refused, Malformed."""
    standing = events.read(message)
    if not isinstance(standing, Standing):
        raise Malformed("is no confirmation of the subscription, which must come first")
    if standing.denied:
        raise Refused("the hub has ended the subscription")
    return standing.lease_seconds
