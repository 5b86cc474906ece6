"""The connection that carries messages: MLLP release 1, where a message stands between 0x0B and 0x1C 0x0D."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Self

from hl7.errors import Malformed, Unavailable

START, END = b"\x0b", b"\x1c\r"
MAXIMUM_BYTES = 16 * 2**20
IDLE_SECONDS = 3600.0
_READ_BYTES = 65536
_GRACE_SECONDS = 10.0  # for handlers at work when the listener stops

logger = logging.getLogger(__name__)


def frame(message: bytes) -> bytes:
    """`message` between its frame characters.

    Raises:
        Malformed: it holds a frame character itself.
    """
    if START in message or END[:1] in message:
        raise Malformed("the message holds 0x0B or 0x1C, which would end its frame: remove them")
    return START + message + END


class Decoder:
    """Takes what arrives, in whatever pieces, and gives whole messages; no sockets.

    A stray 0x1C or 0x0B within a message is content. What stands outside a frame is skipped, and a frame that begins
    anew (0x0B and MSH) replaces one that was never finished.
    """

    def __init__(self, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        self._maximum = maximum_bytes
        self._pending = bytearray()
        self._searched = 0  # bytes of _pending in which no END begins

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes.

        Raises:
            Malformed: a message is longer than the maximum; the connection cannot be used further.
        """
        self._pending += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        start = self._pending.find(START)
        del self._pending[: start if start >= 0 else None]
        end = self._pending.find(END, self._searched)
        if (end if end >= 0 else len(self._pending) - 1) > self._maximum + len(START):
            raise Malformed(f"a message is longer than {self._maximum} bytes: raise the limit if that is right")
        if end < 0:
            self._searched = max(len(self._pending) - 1, 0)
            return None
        message = bytes(self._pending[1:end])
        del self._pending[: end + len(END)]
        self._searched = 0
        return message[message.rfind(START + b"MSH") + 1 :]


def exchange(message: bytes, host: str, port: int, *, timeout: float, maximum_bytes: int = MAXIMUM_BYTES) -> bytes:
    """Send `message` on a connection of its own and return the receiver's answer, within `timeout` seconds.

    Raises:
        Unavailable: no connection, no answer in time, or an answer that is cut off or too long. The receiver may have
            taken the message all the same, so what is sent again must be the same message.
        Malformed: the message cannot be framed.
    """
    deadline = time.monotonic() + timeout
    framed, decoder = frame(message), Decoder(maximum_bytes)
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.sendall(framed)
            answers: list[bytes] = []
            while not answers:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                data = connection.recv(_READ_BYTES)
                if not data:
                    raise Unavailable(f"{host}:{port} closed the connection before its acknowledgement was complete")
                answers = decoder.feed(data)
            return answers[0]
    except TimeoutError:
        raise Unavailable(f"{host}:{port} gave no acknowledgement within {timeout:g} s") from None
    except OSError as error:
        raise Unavailable(f"{host}:{port} cannot be reached: {error.strerror or type(error).__name__}") from error
    except Malformed as error:
        raise Unavailable(f"the answer of {host}:{port} cannot be read: {error}") from None


class Listener:
    """Receives messages and answers each with what `handle` returns for it: one answer, several in a row, or none.

        with Listener("0.0.0.0", 2575, handle) as listener: ...

    It runs on threads of its own. `handle` gets the messages of one connection one after the other, those of different
    connections at the same time, and must return only when its message is safely stored. If it raises, the connection
    is closed without an answer, so that the sender sends again. A connection is also closed by a message longer than
    `maximum_bytes` and by `idle_seconds` without a byte, and at once where `admits` says no to the sender's address.
    """

    def __init__(
        self,
        host: str,
        port: int,
        handle: Callable[[bytes], bytes | tuple[bytes, ...]],
        *,
        admits: Callable[[str], bool] = lambda address: True,
        maximum_bytes: int = MAXIMUM_BYTES,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.host, self.port = host, port  # port 0 is any free one: start() puts the one in use in its place
        self._handle = handle
        self._admits = admits
        self._maximum_bytes = maximum_bytes
        self._idle_seconds = idle_seconds
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Future[None]
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Accept connections from now on.

        Raises:
            Unavailable: the address cannot be listened on.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            listening = socket.create_server((self.host, self.port), family=family)
        except OSError as error:
            raise Unavailable(f"cannot listen on {self.host}:{self.port}: {error.strerror}") from error
        self.port = listening.getsockname()[1]
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = runner.get_loop()
        self._stopping = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(runner, listening), name=f"mllp-{self.port}")
        self._thread.start()

    def stop(self) -> None:
        """Accept nothing more, give the handlers at work ten seconds to answer, and close every connection."""
        if self._thread:
            self._loop.call_soon_threadsafe(self._stopping.set_result, None)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, runner: asyncio.Runner, listening: socket.socket) -> None:
        with runner:
            runner.run(self._serve(listening))

    async def _serve(self, listening: socket.socket) -> None:
        server = await asyncio.start_server(self._connected, sock=listening)
        await self._stopping
        server.close()
        if connections := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(connections, timeout=_GRACE_SECONDS)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder(self._maximum_bytes)
        try:
            if not await self._loop.run_in_executor(None, self._admits, writer.get_extra_info("peername")[0]):
                return
            while data := await self._arrived(reader):
                for message in decoder.feed(data):
                    answers = await self._loop.run_in_executor(None, self._handle, message)
                    for answer in answers if isinstance(answers, tuple) else (answers,):
                        writer.write(frame(answer))
                    await writer.drain()
        except Exception as error:  # noqa: BLE001  an entrance: what goes wrong costs this connection and no other
            reason = error if isinstance(error, Malformed) else type(error).__name__  # a text might hold patient data
            logger.warning("MLLP connection on port %d closed without an answer: %s", self.port, reason)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _arrived(self, reader: asyncio.StreamReader) -> bytes:
        """The next bytes; none once the sender has closed, has been silent for too long, or the listener stops."""
        reading = asyncio.ensure_future(reader.read(_READ_BYTES))
        await asyncio.wait((reading, self._stopping), timeout=self._idle_seconds, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return reading.result()
        reading.cancel()
        return b""
