"""Holds a worker's lease on a case while the worker is busy, and frees the case should the work go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog

from radplug.domain import Lease
from radplug.records.drafting import Drafting

log = structlog.get_logger(__name__)


@contextmanager
def holding(
    drafting: Drafting, lease: Lease, length: timedelta, pause: timedelta, now: Callable[[], datetime]
) -> Iterator[None]:
    """Extend `lease` by `length` three times in that time, from a thread, until the block ends.

    Where the block raises, the case is given back, to be tried again after `pause`. A process that is killed extends
    nothing: its lease runs out and the clock rings for another worker.
    """
    done = threading.Event()

    def extend() -> None:
        while not done.wait(length.total_seconds() / 3):
            if not drafting.extend(lease, now() + length):
                log.warning("lease lost", case=lease.case_id, fence=lease.fence)
                return

    keeper = threading.Thread(target=extend, name="lease keeper", daemon=True)
    keeper.start()
    try:
        yield
    except BaseException as error:
        drafting.release(lease, now() + pause, f"{type(error).__name__} while drafting; the worker's log tells more")
        raise
    finally:
        done.set()
        keeper.join()
