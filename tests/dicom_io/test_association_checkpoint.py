"""Whoever uses an association has its reactor stand still for certain."""

from __future__ import annotations

import threading
import time
from typing import cast

from pynetdicom.association import Association

from dicom_io.association_checkpoint import Checkpoint


class Reactor(threading.Thread):
    """Goes its rounds as pynetdicom's does, but slowly behind the checkpoint."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.checkpoint = Checkpoint(cast(Association, self))
        self.is_at_work = False
        self.ends = False
        self.rounds = 0

    def run(self) -> None:
        while not self.ends:
            self.checkpoint.wait()
            self.is_at_work = True
            time.sleep(0.005)  # in which it would take what has come
            self.is_at_work = False
            self.rounds += 1


def test_once_it_is_cleared_the_reactor_stands_still() -> None:
    reactor = Reactor()
    reactor.start()
    for _ in range(50):
        reactor.checkpoint.clear()
        assert not reactor.is_at_work
        before = reactor.rounds
        time.sleep(0.001)
        assert reactor.rounds == before
        reactor.checkpoint.set()
    reactor.ends = True
    reactor.join(5)
    assert not reactor.is_alive()


def test_a_reactor_that_has_ended_keeps_nobody_waiting() -> None:
    reactor = Reactor()
    reactor.checkpoint.clear()
    assert not reactor.checkpoint.is_set()
    assert not reactor.checkpoint.wait(0.01)


def test_a_reactor_does_not_wait_for_itself() -> None:
    reactor = Reactor()
    served = threading.Thread(target=reactor.checkpoint.clear, daemon=True)
    reactor.checkpoint._reactor = cast(Association, served)
    served.start()
    served.join(5)
    assert not served.is_alive()
