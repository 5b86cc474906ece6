"""Receives messages over MLLP: each goes to a handler, whose answer goes back; with TLS or without it."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from hl7.errors import Malformed, Unavailable
from hl7.mllp import MAXIMUM_BYTES, READ_BYTES, Decoder, frame

IDLE_SECONDS = 3600.0
_GRACE_SECONDS = 10.0  # for handlers at work when the listener stops
_HANDSHAKE_SECONDS = 30.0
_PAUSE_SECONDS = 1.0  # after a connection that could not be accepted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Secure:
    """TLS of a port."""

    contexts: Callable[[], ssl.SSLContext]  # the one for the next connection
    distrusted: Callable[[str, ssl.SSLError], None]  # is told the address of a sender with which TLS failed, and why


class Listener:
    """Receives messages and answers each with what `handle` returns for it: one answer, several in a row, or none.

        with Listener("0.0.0.0", 2575, handle) as listener: ...

    Each connection has a thread of its own, on which `handle` gets its messages one after the other, and must return
    only when one is safely stored. If it raises, the connection is closed without an answer, so that the sender sends
    again. A connection is also closed by a message longer than `maximum_bytes` and by `idle_seconds` without a byte,
    and at once where `admits` says no to the sender's address, or `maximum_connections` are open.
    """

    def __init__(
        self,
        host: str,
        port: int,
        handle: Callable[[bytes], bytes | tuple[bytes, ...]],
        *,
        secure: Secure | None = None,
        admits: Callable[[str], bool] = lambda address: True,
        maximum_bytes: int = MAXIMUM_BYTES,
        maximum_connections: int = 256,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.host, self.port = host, port  # port 0 is any free one: start() puts the one in use in its place
        self._handle = handle
        self._secure = secure
        self._admits = admits
        self._maximum_bytes = maximum_bytes
        self._maximum_connections = maximum_connections
        self._idle_seconds = idle_seconds
        self._stopping = threading.Event()
        self._listening: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}  # each connection with the thread that serves it

    def start(self) -> None:
        """Accept connections from now on.

        Raises:
            Unavailable: the address cannot be listened on.
            Exception: what the first of the contexts raises.
        """
        if self._secure:
            self._secure.contexts()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            listening = socket.create_server((self.host, self.port), family=family)
        except OSError as error:
            raise Unavailable(f"cannot listen on {self.host}:{self.port}: {error.strerror}") from error
        self.port = listening.getsockname()[1]
        self._stopping.clear()
        self._listening = listening
        self._accepting = threading.Thread(target=self._accept, args=(listening,), name=f"mllp-{self.port}")
        self._accepting.start()

    def stop(self) -> None:
        """Accept nothing more, give the handlers at work ten seconds to answer, and close every connection."""
        if not self._listening or not self._accepting:
            return
        self._stopping.set()
        self._listening.shutdown(socket.SHUT_RDWR)  # which ends its accept()
        self._accepting.join()
        self._listening.close()
        self._listening = self._accepting = None
        deadline = time.monotonic() + _GRACE_SECONDS
        for thread in self._hang_up(socket.SHUT_RD):  # nothing more is read, what is being answered is still written
            thread.join(max(0.0, deadline - time.monotonic()))
        self._hang_up(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _hang_up(self, how: int) -> list[threading.Thread]:
        with self._lock:
            for connection in self._open.values():
                with suppress(OSError):  # the sender was quicker
                    socket.socket.shutdown(connection, how)  # an SSLSocket's own would take TLS away
            return list(self._open)

    def _accept(self, listening: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, (address, *_) = listening.accept()
            except OSError as error:  # we stop, the sender was gone at once, or there are no file descriptors left
                if not self._stopping.wait(_PAUSE_SECONDS):
                    logger.warning("MLLP connection on port %d not accepted: %s", self.port, error.strerror)
                continue
            if len(self._open) >= self._maximum_connections:
                logger.warning("MLLP connection on port %d closed: %d others are open", self.port, len(self._open))
                connection.close()
                continue
            thread = threading.Thread(target=self._serve, args=(connection, address), daemon=True)
            with self._lock:
                self._open[thread] = connection
            thread.start()

    def _serve(self, connection: socket.socket, address: str) -> None:
        """A connection from its first byte to its last."""
        try:
            if self._admits(address) and (opened := self._opened(connection, address)):
                self._converse(opened)
        except Exception as error:  # noqa: BLE001  an entrance: what goes wrong costs this connection and no other
            reason = error if isinstance(error, Malformed) else type(error).__name__  # a text might hold patient data
            logger.warning("MLLP connection on port %d closed without an answer: %s", self.port, reason)
        finally:
            with self._lock:
                self._open.pop(threading.current_thread()).close()

    def _opened(self, connection: socket.socket, address: str) -> socket.socket | None:
        """The connection, after its handshake where there is TLS; None where that failed."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._secure is None:
            return connection
        context = self._secure.contexts()
        with self._lock:
            secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            self._open[threading.current_thread()] = secured
        secured.settimeout(_HANDSHAKE_SECONDS)
        try:
            secured.do_handshake()
        except (ConnectionError, TimeoutError, ssl.SSLEOFError):  # whoever hangs up has not been refused
            return None
        except ssl.SSLError as error:
            self._secure.distrusted(address, error)
            return None
        return secured

    def _converse(self, connection: socket.socket) -> None:
        """Until the sender has closed, has been silent for too long, or the listener stops."""
        connection.settimeout(self._idle_seconds)
        decoder = Decoder(self._maximum_bytes)
        while not self._stopping.is_set() and (data := _arrived(connection)):
            for message in decoder.feed(data):
                answers = self._handle(message)
                for answer in answers if isinstance(answers, tuple) else (answers,):
                    connection.sendall(frame(answer))


def _arrived(connection: socket.socket) -> bytes:
    """The next bytes; none once the sender is gone, or has been silent for too long."""
    try:
        return connection.recv(READ_BYTES)
    except (ConnectionError, TimeoutError):
        return b""
