from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7.errors import Malformed, Unavailable
from hl7.listener import Listener
from hl7.mllp import Decoder, exchange, frame

WAIT = 10.0  # seconds after which a test gives up


@contextlib.contextmanager
def peer(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A receiver that is not ours: takes one connection and does with it what the test says."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(ConnectionError):
            behave(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def connected(listener: Listener) -> socket.socket:
    return socket.create_connection((listener.host, listener.port), timeout=WAIT)


def received(connection: socket.socket, count: int) -> list[bytes]:
    """The next `count` messages of a connection, or fewer if it is closed."""
    decoder, messages = Decoder(), list[bytes]()
    while len(messages) < count and (data := connection.recv(65536)):
        messages += decoder.feed(data)
    return messages


def echo(message: bytes) -> bytes:
    return b"ACK " + message


# ── frames ──


def test_frame_puts_the_message_between_the_frame_characters() -> None:
    assert frame(b"MSH|") == b"\x0bMSH|\x1c\x0d"


@pytest.mark.parametrize("message", [b"a\x0bb", b"a\x1cb", b"a\x1c\rb"])
def test_a_message_that_would_end_its_own_frame_is_refused(message: bytes) -> None:
    with pytest.raises(Malformed, match="0x0B or 0x1C"):
        frame(message)


MESSAGE = st.lists(
    st.sampled_from([b"MSH|", b"\r", b"\n", b"\x1c", b"\x0b", b"\x1c\n", "é".encode()]) | st.binary(max_size=5)
).map(b"".join)
NOISE = st.binary(max_size=5).filter(lambda noise: b"\x0b" not in noise)


@given(
    st.lists(st.tuples(NOISE, MESSAGE.filter(lambda m: b"\x1c\r" not in m and b"\x0bMSH" not in b"\x0b" + m[1:]))),
    st.lists(st.integers(1, 7), min_size=1),
)
def test_messages_arrive_whole_however_they_are_cut(sent: list[tuple[bytes, bytes]], sizes: list[int]) -> None:
    stream = b"".join(noise + b"\x0b" + message + b"\x1c\r" for noise, message in sent)
    decoder, messages = Decoder(), list[bytes]()
    while stream:
        size = sizes[len(stream) % len(sizes)]
        messages += decoder.feed(stream[:size])
        stream = stream[size:]
    assert messages == [message for _, message in sent]


def test_a_frame_that_begins_anew_replaces_the_unfinished_one() -> None:
    """Two patients' messages must never become one."""
    assert Decoder().feed(b"\x0bMSH|first PID|...\x0bMSH|second\x1c\r") == [b"MSH|second"]


@pytest.mark.parametrize("size", [1, 100])
def test_a_message_of_the_maximum_passes_and_a_longer_one_does_not(size: int) -> None:
    def feed(message: bytes) -> list[bytes]:
        decoder, framed = Decoder(maximum_bytes=10), frame(message)
        return [m for start in range(0, len(framed), size) for m in decoder.feed(framed[start : start + size])]

    assert feed(b"x" * 10) == [b"x" * 10]
    with pytest.raises(Malformed, match="longer than 10 bytes"):
        feed(b"x" * 11)


def test_what_never_becomes_a_frame_is_not_kept() -> None:
    decoder = Decoder(maximum_bytes=10)
    for _ in range(100):
        assert decoder.feed(b"no frame") == []
    assert decoder.feed(frame(b"MSH|")) == [b"MSH|"]


# ── listener ──


def test_a_connection_carries_many_messages_in_any_pieces() -> None:
    taken: list[bytes] = []

    def handle(message: bytes) -> bytes:
        taken.append(message)
        return b"ACK %d" % len(taken)

    stray = b"MSH|a stray \x1c here, and \x1c\nthere"
    with Listener("127.0.0.1", 0, handle) as listener, connected(listener) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(b"MSH|1"):
            connection.sendall(bytes([byte]))
        assert received(connection, 1) == [b"ACK 1"]
        connection.sendall(b"noise\x0b" + stray + b"\x1c\r" + frame(b"MSH|3"))
        assert received(connection, 2) == [b"ACK 2", b"ACK 3"]
    assert taken == [b"MSH|1", stray, b"MSH|3"]


def test_a_slow_handler_keeps_nobody_else_waiting() -> None:
    go = threading.Event()

    def handle(message: bytes) -> bytes:
        if message == b"slow":
            go.wait(WAIT)
        return message

    with Listener("127.0.0.1", 0, handle) as listener, connected(listener) as slow, connected(listener) as quick:
        slow.sendall(frame(b"slow"))
        quick.sendall(frame(b"quick"))
        assert received(quick, 1) == [b"quick"]
        go.set()
        assert received(slow, 1) == [b"slow"]


def test_a_handler_that_fails_costs_its_connection_only_and_tells_no_values(caplog: pytest.LogCaptureFixture) -> None:
    def handle(message: bytes) -> bytes:
        if message == b"SECRET":
            raise ValueError(message.decode())
        return echo(message)

    with Listener("127.0.0.1", 0, handle) as listener, connected(listener) as first, connected(listener) as second:
        first.sendall(frame(b"SECRET"))
        assert received(first, 1) == []
        second.sendall(frame(b"MSH|"))
        assert received(second, 1) == [b"ACK MSH|"]
    assert "closed without an answer: ValueError" in caplog.text
    assert "SECRET" not in caplog.text


def test_a_message_over_the_maximum_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    with Listener("127.0.0.1", 0, echo, maximum_bytes=1000) as listener, connected(listener) as connection:
        connection.sendall(b"\x0b" + b"x" * 1003)
        assert received(connection, 1) == []
    assert "longer than 1000 bytes" in caplog.text


def test_a_silent_connection_is_closed_after_idle_seconds() -> None:
    with Listener("127.0.0.1", 0, echo, idle_seconds=0.05) as listener, connected(listener) as connection:
        connection.sendall(b"\x0bMSH|half a message")
        assert connection.recv(1) == b""


def test_stopping_lets_a_handler_at_work_answer_and_closes_the_rest() -> None:
    at_work, go = threading.Event(), threading.Event()

    def handle(message: bytes) -> bytes:
        at_work.set()
        go.wait(WAIT)
        return message

    listener = Listener("127.0.0.1", 0, handle)
    listener.start()
    with connected(listener) as busy, connected(listener) as idle:
        busy.sendall(frame(b"MSH|"))
        assert at_work.wait(WAIT)
        stopping = threading.Thread(target=listener.stop)
        stopping.start()
        assert idle.recv(1) == b""
        go.set()
        assert received(busy, 2) == [b"MSH|"]
        stopping.join()
    with pytest.raises(ConnectionRefusedError):
        connected(listener)


def test_connections_beyond_the_most_are_closed_at_once() -> None:
    with Listener("127.0.0.1", 0, echo, maximum_connections=1) as listener:
        with connected(listener) as first:
            first.sendall(frame(b"MSH|1"))
            assert received(first, 1) == [b"ACK MSH|1"]
            with connected(listener) as second:
                assert second.recv(1) == b""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:  # until the first has gone
            with contextlib.suppress(Unavailable):
                assert exchange(b"MSH|2", listener.host, listener.port, timeout=WAIT) == b"ACK MSH|2"
                return
    pytest.fail("a place that has become free is given to nobody")


def test_a_port_in_use_is_said_at_start() -> None:
    with (
        Listener("127.0.0.1", 0, echo) as first,
        pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{first.port}: Address already in use"),
    ):
        Listener("127.0.0.1", first.port, echo).start()


def test_a_peer_that_goes_away_in_the_middle_is_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Listener("127.0.0.1", 0, echo) as listener:
        with connected(listener) as connection:
            connection.sendall(b"\x0bMSH|half a mess")
        assert exchange(b"MSH|", listener.host, listener.port, timeout=WAIT) == b"ACK MSH|"
    assert [record for record in caplog.records if record.name == "hl7.listener"] == []


# ── exchange ──


def test_exchange_returns_the_answer() -> None:
    with Listener("127.0.0.1", 0, echo) as listener:
        assert exchange(b"MSH|" + b"x" * 200_000, listener.host, listener.port, timeout=WAIT)[:9] == b"ACK MSH|x"


def test_an_answer_may_come_in_pieces() -> None:
    def answer(connection: socket.socket) -> None:
        received(connection, 1)
        for byte in b"\r\n" + frame(b"MSH|answer"):
            connection.sendall(bytes([byte]))

    with peer(answer) as port:
        assert exchange(b"MSH|", "127.0.0.1", port, timeout=WAIT) == b"MSH|answer"


def hang_up(connection: socket.socket) -> None:
    received(connection, 1)


def hang_up_in_the_answer(connection: socket.socket) -> None:
    received(connection, 1)
    connection.sendall(b"\x0bMSH|half an ans")


def say_nothing(connection: socket.socket) -> None:
    connection.settimeout(WAIT)
    while connection.recv(65536):
        pass


def chatter(connection: socket.socket) -> None:
    received(connection, 1)
    enough = threading.Event()
    while not enough.wait(0.01):
        connection.sendall(b"never a frame")


def answer_too_long(connection: socket.socket) -> None:
    received(connection, 1)
    connection.sendall(b"\x0b" + b"x" * 2000)
    connection.recv(1)


@pytest.mark.parametrize(
    ("behaviour", "what"),
    [
        (hang_up, "closed the connection before its acknowledgement was complete"),
        (hang_up_in_the_answer, "closed the connection before its acknowledgement was complete"),
        (say_nothing, "gave no acknowledgement within 0.2 s"),
        (chatter, "gave no acknowledgement within 0.2 s"),
        (answer_too_long, "longer than 1000 bytes"),
    ],
)
def test_no_whole_answer_means_unavailable(behaviour: Callable[[socket.socket], None], what: str) -> None:
    with peer(behaviour) as port:
        before = time.monotonic()
        timeout = 0.2 if "0.2 s" in what else WAIT
        with pytest.raises(Unavailable, match=what):
            exchange(b"MSH|", "127.0.0.1", port, timeout=timeout, maximum_bytes=1000)
        assert time.monotonic() - before < timeout + 2


def test_a_closed_port_means_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port} cannot be reached: Connection refused"):
        exchange(b"MSH|", "127.0.0.1", port, timeout=WAIT)


def test_an_unknown_host_means_unavailable() -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        exchange(b"MSH|", "no-such-host.invalid", 2575, timeout=WAIT)
