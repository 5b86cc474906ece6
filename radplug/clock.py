"""The clock: closes studies that are due, and rings the doorbell for cases and deliveries that wait.

Deadlines are rows. Whatever the queue loses, a worker drops or a restart forgets is rung for again from here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Protocol

import structlog

from radplug import pipeline
from radplug.wiring import House

TICK = 0.25  # seconds
TIDY_AGAIN = timedelta(hours=1)
SIGNALS_LAST = timedelta(days=30)  # what was announced of a study is kept for so long
COMMITMENTS_KEPT = timedelta(days=30)  # that are settled; the audit trail keeps what came of them
CLOSINGS = 16  # at a time
RING_AGAIN = timedelta(seconds=60)  # for work that was rung for and that nobody has taken up since

log = structlog.get_logger(__name__)


class Doorbell(Protocol):
    """The queue. Raises BellBroken where it cannot be reached."""

    def draft(self, case_id: str, *, awaited: bool) -> None: ...
    def redraft(self, case_id: str) -> None: ...
    def deliver(self, case_id: str) -> None: ...


class BellBroken(Exception):
    """The queue's broker does not answer."""


class Closings:
    """Closes studies on threads of their own, since a PACS that is asked what it has may take its time to answer."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._threads = ThreadPoolExecutor(CLOSINGS, "closing")
        self._under_way: dict[str, Future[None]] = {}

    def __call__(self, case_id: str) -> None:
        """Begin with a study, unless it is being closed already. Raises what went wrong with another one."""
        for done in [each for each, closing in self._under_way.items() if closing.done()]:
            self._under_way.pop(done).result()
        if case_id not in self._under_way:
            self._under_way[case_id] = self._threads.submit(pipeline.close, self._house, case_id)

    def stop(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def tick(house: House, doorbell: Doorbell, close: Callable[[str], None] | None = None) -> None:
    """Do once what is due now; `close` a study otherwise than here and now.

    Raises:
        BellBroken: the rest stays due.
    """
    now = house.now()
    for case_id in house.drafting.due_to_close(now):
        close(case_id) if close else pipeline.close(house, case_id)
    now = house.now()  # what was just closed is due
    for due in house.drafting.due_to_draft(now):
        doorbell.draft(due.case_id, awaited=due.awaited)
        house.drafting.ring_again_at(due.case_id, now, now + RING_AGAIN)
    for case_id in house.desks.due(now):
        doorbell.redraft(case_id)
        house.desks.ring_again_at(case_id, now + RING_AGAIN)
    for outdated in house.revising.due():
        pipeline.revise(house, outdated)
    for case_id in {*house.comparing.due(now), *house.delivering.due(now), *house.committing.due(now)}:
        doorbell.deliver(case_id)
        house.comparing.ring_again_at(case_id, now + RING_AGAIN)
        house.delivering.ring_again_at(case_id, now, now + RING_AGAIN)
        house.committing.ring_again_at(case_id, now, now + RING_AGAIN)


def ring_for_everything(house: House) -> None:
    """To be done whenever the queue may have lost its messages."""
    house.drafting.ring_all_again(house.now())
    house.desks.ring_all_again(house.now())
    house.delivering.ring_all_again(house.now())


def tidy(house: House) -> None:
    """Drop what is kept for a while and no longer."""
    house.notices.forget(house.now() - timedelta(days=house.settings.hl7.keep_days))
    house.signals.forget(house.now() - SIGNALS_LAST)
    house.committing.forget(house.now() - COMMITMENTS_KEPT)
    house.commitment_requests.forget(house.now() - COMMITMENTS_KEPT)


def run(house: House, doorbell: Doorbell, stop: threading.Event) -> None:
    """Tick until `stop` is set; at first ring for everything, since the queue may be a new one."""
    ring_for_everything(house)
    bell_works = True
    tidy_at = house.now()
    closings = Closings(house) if house.archives else None
    while not stop.wait(TICK):
        if house.now() >= tidy_at:
            tidy(house)
            tidy_at = house.now() + TIDY_AGAIN
        try:
            tick(house, doorbell, closings)
        except BellBroken as broken:
            if bell_works:
                log.warning("the queue cannot be reached; the clock goes on trying", reason=str(broken))
            bell_works = False
        else:
            if not bell_works:
                log.info("the queue can be reached again")
            bell_works = True
    if closings:
        closings.stop()
