"""Holds a worker's leases while the worker is busy, and frees the cases with which the work goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import structlog

from radplug.domain import Lease
from radplug.logs import told
from radplug.records.drafting import Drafting

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """Extends the leases of a batch by `length`, three times in that time, from a thread, until the block ends.

    Where the block raises, its cases are given back, to be tried again after `pause`. A process that is killed extends
    nothing: its leases run out and the clock rings for another worker.
    """

    def __init__(
        self,
        drafting: Drafting,
        leases: Sequence[Lease],
        length: timedelta,
        pause: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._drafting = drafting
        self._length, self._pause, self._now = length, pause, now
        self._held = list(leases)
        self._one_at_a_time = threading.Lock()  # a case that was given back is not extended after that
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._extend, name="lease keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        if error is not None:
            for lease in self._held.copy():
                self._give_back(lease, error)

    @contextmanager
    def by_itself(self, lease: Lease) -> Iterator[None]:
        """An entrance of its own for each case: what goes wrong in the block gives this case back, and no other."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - any error costs this case's attempt only
            log.error("drafting failed", case=lease.case_id, **told(error))
            self._give_back(lease, error)

    def _give_back(self, lease: Lease, error: BaseException) -> None:
        reason = f"{type(error).__name__} while drafting; the worker's log tells more"
        with self._one_at_a_time:
            self._held = [other for other in self._held if other != lease]
            self._drafting.release(lease, self._now() + self._pause, reason)

    def _extend(self) -> None:
        while not self._done.wait(self._length.total_seconds() / 3):
            with self._one_at_a_time:
                # what cannot be extended is done with, or lost: its fence will tell
                self._held = [lease for lease in self._held if self._drafting.extend(lease, self._now() + self._length)]
