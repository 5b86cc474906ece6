"""The Celery app and its tasks. A message is a case id and nothing else: the database is the truth."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import structlog
from celery import Celery
from celery.signals import worker_ready
from kombu.exceptions import OperationalError

from radplug import pipeline
from radplug.clock import BellBroken
from radplug.logs import told
from radplug.wiring import House

DRAFT, DELIVERY, INTERACTIVE = "draft", "delivery", "interactive"  # queues, and what is rung for on them
REDRAFT = "redraft"  # on the queue `interactive`
LONGEST_JOB = 4 * 3600  # seconds; a message unacknowledged for longer is delivered again
BROKER_SECONDS = 3  # a broker that does not answer for so long is away

log = structlog.get_logger(__name__)


def make_app(broker_url: str) -> Celery:
    """A Celery app that loses nothing it has taken: acknowledged late, one message at a time, JSON only."""
    app = Celery("radplug", broker=broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_default_queue=DRAFT,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": LONGEST_JOB,
            # kombu's defaults look for unacknowledged messages only every 100 s
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": BROKER_SECONDS,
            "socket_timeout": BROKER_SECONDS,  # else the clock would stand still with a broker that hangs
            "queue_order_strategy": "priority",  # in the order in which a worker names its queues
        },
    )
    return app


class CeleryDoorbell:
    """Rings by sending the case id to the station's queue."""

    def __init__(self, broker_url: str) -> None:
        self._app = make_app(broker_url)

    def draft(self, case_id: str, *, awaited: bool) -> None:
        self._ring(INTERACTIVE if awaited else DRAFT, case_id)

    def redraft(self, case_id: str) -> None:
        self._ring(INTERACTIVE, case_id, REDRAFT)

    def deliver(self, case_id: str) -> None:
        self._ring(DELIVERY, case_id)

    def _ring(self, queue: str, case_id: str, task: str = "") -> None:
        try:
            self._app.send_task(f"radplug.{task or queue}", [case_id], queue=queue, retry=False)
        except OperationalError as error:
            raise BellBroken(type(error.__cause__ or error).__name__) from error


def run(house: House, broker_url: str, queue: str, ready: Callable[[], None]) -> None:
    """Work through a queue until told to stop; `ready` is called once messages are taken."""
    app = make_app(broker_url)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    app.task(name=f"radplug.{DRAFT}")(_entrance(lambda case_id: pipeline.draft(house, case_id, owner)))
    app.task(name=f"radplug.{INTERACTIVE}")(_entrance(lambda case_id: pipeline.draft_at_once(house, case_id, owner)))
    app.task(name=f"radplug.{REDRAFT}")(_entrance(lambda case_id: pipeline.redraft(house, case_id)))
    app.task(name=f"radplug.{DELIVERY}")(_entrance(lambda case_id: _call_out(house, case_id)))
    worker_ready.connect(lambda **_: ready(), weak=False)
    if queue == DRAFT:  # one batch at a time in the process that holds the model; who waits at a screen goes first
        taking = ["--pool=solo", f"--queues={INTERACTIVE},{DRAFT}"]
    else:
        taking = ["--pool=threads", f"--concurrency={house.settings.delivery.workers}", f"--queues={DELIVERY}"]
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["--quiet", "worker", f"--hostname={queue}@%h", *taking, *alone, "--loglevel=WARNING"])


def _call_out(house: House, case_id: str) -> None:
    """All that a case wants of other systems."""
    pipeline.deliver(house, case_id)
    pipeline.compare(house, case_id)


def _entrance(stage: Callable[[str], None]) -> Callable[[str], None]:
    """An entrance of the house: what a stage raises ends here; rows say what is due, and the clock rings again."""

    def task(case_id: str) -> None:
        with structlog.contextvars.bound_contextvars(case=case_id):
            try:
                stage(case_id)
            except Exception as error:  # noqa: BLE001 - any error costs this attempt only
                log.error("stage failed", **told(error))

    return task
