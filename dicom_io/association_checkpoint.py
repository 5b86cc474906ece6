"""Where pynetdicom's reactor waits while somebody else uses its association."""

from __future__ import annotations

import threading

from pynetdicom.association import Association

_LOOK_EVERY = 0.05  # seconds, whether the reactor still lives


class Checkpoint(threading.Event):
    """Takes the place of an association's checkpoint: once it is cleared, the reactor does stand still.

    pynetdicom asks a flag whether the reactor has stopped. On a busy machine the flag may still be up from the round
    before: the reactor then takes the peer's answer away from whoever asked, who waits for it in vain, or still sends
    when the association is being released.
    """

    def __init__(self, reactor: Association) -> None:
        super().__init__()
        self._reactor = reactor
        self._changed = threading.Condition()
        self._open = True
        self._waiting = False

    def wait(self, timeout: float | None = None) -> bool:
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            passed = self._changed.wait_for(lambda: self._open, timeout)
            self._waiting = False
            return passed

    def set(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._open = False
            if threading.current_thread() is not self._reactor:  # which would wait for itself
                while not self._waiting and self._reactor.is_alive():
                    self._changed.wait(_LOOK_EVERY)
                self._reactor._is_paused = True  # lowered meanwhile where a request came before an answer

    def is_set(self) -> bool:
        return self._open
