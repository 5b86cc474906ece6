"""An interface engine as sites have one: takes messages over MLLP, and passes them on in its own name."""

from __future__ import annotations

from types import TracebackType
from typing import Self
from uuid import uuid4

from hl7.acknowledgement import acknowledge
from hl7.listener import Listener
from hl7.message import Message, Segment
from hl7.mllp import exchange

HOST = "127.0.0.1"
TIMEOUT = 30.0  # seconds


class SimulatedEngine:
    """Passes what it takes on to `port` of this machine, from ENGINE and under a control id of its own."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = Listener(HOST, 0, self._take)

    @property
    def port(self) -> int:
        return self._listener.port

    def passed_on(self, message: Message) -> Message:
        """What becomes of a message here."""
        head, *rest = message.segments
        return Message((_of_the_engine(head), *rest), message.delimiters, message.charset)

    def _take(self, raw: bytes) -> bytes:
        message = Message.parse(raw)
        exchange(self.passed_on(message).encode(), HOST, self._to, timeout=TIMEOUT)
        return acknowledge(message, "AA")

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._listener.stop()


def _of_the_engine(head: Segment) -> Segment:
    return (*head[:3], "ENGINE", *head[4:10], uuid4().hex[:20], *head[11:])
