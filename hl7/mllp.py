"""The connection that carries messages: MLLP release 1, where a message stands between 0x0B and 0x1C 0x0D."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hl7.errors import Malformed, NoTls, Unavailable

START, END = b"\x0b", b"\x1c\r"
MAXIMUM_BYTES = 16 * 2**20
READ_BYTES = 65536

# With TLS 1.3 a receiver looks at our certificate when the handshake is over on our side; so long its alert may take.
_VERDICT_SECONDS = 2.0


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


def exchange(
    message: bytes,
    host: str,
    port: int,
    *,
    timeout: float,
    tls: ssl.SSLContext | None = None,
    server_name: str = "",
    maximum_bytes: int = MAXIMUM_BYTES,
) -> bytes:
    """Send `message` on a connection of its own and return the receiver's answer, within `timeout` seconds.

    Args:
        tls: None for a connection without TLS.
        server_name: for which the receiver's certificate must be; empty: `host`.

    Raises:
        NoTls: the receiver and we cannot agree on TLS.
        Unavailable: no connection, no answer in time, or an answer that is cut off or too long. The receiver may have
            taken the message all the same, so what is sent again must be the same message.
        Malformed: the message cannot be framed.
    """
    deadline = time.monotonic() + timeout
    framed, decoder = frame(message), Decoder(maximum_bytes)
    try:
        with _connected(host, port, timeout, tls, server_name) as connection:
            connection.sendall(framed)
            answers: list[bytes] = []
            while not answers:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                data = connection.recv(READ_BYTES)
                if not data:
                    raise ConnectionResetError
                answers = decoder.feed(data)
            return answers[0]
    except TimeoutError:
        raise Unavailable(f"{host}:{port} gave no acknowledgement within {timeout:g} s") from None
    except OSError as error:
        if tls:  # its alert is lost where it hung up while we were sending
            reach(host, port, timeout=timeout, tls=tls, server_name=server_name)
        text = f"{host}:{port} closed the connection before its acknowledgement was complete"
        raise Unavailable(text) from error
    except Malformed as error:
        raise Unavailable(f"the answer of {host}:{port} cannot be read: {error}") from None


def reach(host: str, port: int, *, timeout: float, tls: ssl.SSLContext | None = None, server_name: str = "") -> None:
    """Connect and say nothing; with TLS, wait a moment for what the receiver says to our certificate.

    Raises:
        NoTls, Unavailable: as for `exchange`.
    """
    with _connected(host, port, timeout, tls, server_name) as connection:
        if tls:
            connection.settimeout(_VERDICT_SECONDS)
            with suppress(TimeoutError, ConnectionError, ssl.SSLEOFError):  # nothing is said against it
                connection.recv(1)


@contextmanager
def _connected(
    host: str, port: int, timeout: float, tls: ssl.SSLContext | None, server_name: str
) -> Iterator[socket.socket]:
    """A connection; whatever TLS fails of on it, sooner or later, is NoTls."""
    try:
        connection = socket.create_connection((host, port), timeout)
    except TimeoutError:
        raise Unavailable(f"{host}:{port} cannot be reached within {timeout:g} s") from None
    except OSError as error:
        raise Unavailable(f"{host}:{port} cannot be reached: {error.strerror or type(error).__name__}") from error
    with connection:
        if tls is None:
            yield connection
            return
        try:
            secured = tls.wrap_socket(connection, server_hostname=server_name or host)
        except OSError as error:
            raise NoTls(f"{host}:{port}", error) from error
        with secured:
            try:
                yield secured
            except ssl.SSLEOFError:  # it hung up
                raise
            except ssl.SSLError as error:
                raise NoTls(f"{host}:{port}", error) from error
