"""A reporting system as radplug meets it: takes results over MLLP, acknowledges them, and keeps each as it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from hl7.acknowledgement import acknowledge
from hl7.listener import Listener
from hl7.message import Message
from radplug.acceptance.filed import Filed

HOST = "127.0.0.1"


def _yes(message: Message) -> bytes:
    return acknowledge(message, "AA")


class SimulatedRis:
    """Listens on `host` (port 0: a free one); answers AA and files every message under `folder`."""

    def __init__(self, folder: Path, port: int = 0, host: str = HOST) -> None:
        self._filed = Filed(folder, "hl7")
        self._answer: Callable[[Message], bytes] = _yes
        self._listener = Listener(host, port, self._take)

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def received(self) -> tuple[Path, ...]:
        return self._filed.files

    def _take(self, message: bytes) -> bytes:
        self._filed.add(message)
        return self._answer(Message.parse(message))

    @contextmanager
    def answering(self, answer: Callable[[Message], bytes]) -> Iterator[None]:
        """Within the block messages are answered so; where `answer` raises, the connection is closed instead."""
        self._answer = answer
        try:
            yield
        finally:
            self._answer = _yes

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._listener.stop()
