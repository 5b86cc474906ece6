"""MLLP over TLS in both directions: who is let in and who is not, with OpenSSL's own tools as peers."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from certificates import HALF_A_HELLO, Authority, client_up_to
from peers import free_port, listens, tool, wait_until

from dicom_io.certificates import Files
from dicom_io.tls import Renewed, accepting, calling, explained
from hl7.errors import NoTls, Unavailable
from hl7.listener import Listener, Secure
from hl7.mllp import Decoder, exchange, frame, reach

WAIT = 10.0


@dataclass
class Heard:
    """A listener with TLS, and what it was told of those that it turned away."""

    listener: Listener
    distrusted: list[str] = field(default_factory=list)

    def only_refusal(self) -> str:
        wait_until(lambda: self.distrusted, WAIT, "somebody is turned away")
        (reason,) = set(self.distrusted)  # who is turned away may look for the reason once more
        return reason


@pytest.fixture
def open_port() -> Iterator[Callable[..., Heard]]:
    running: list[Listener] = []

    def start(files: Files, *, wants_certificate: bool = True, **more: object) -> Heard:
        told: list[str] = []
        contexts = Renewed(files, lambda now: accepting(now, wants_certificate=wants_certificate))
        secure = Secure(contexts, lambda address, error: told.append(f"{address}: {explained(error)}"))
        running.append(Listener("127.0.0.1", 0, lambda message: b"ACK " + message, secure=secure, **more))
        running[-1].start()
        return Heard(running[-1], told)

    yield start
    for listener in running:
        listener.stop()


def said(heard: Heard, files: Files, message: bytes = b"MSH|") -> bytes:
    return exchange(message, "127.0.0.1", heard.listener.port, timeout=WAIT, tls=calling(files))


def turned_away(heard: Heard, files: Files) -> str:
    """What the caller is told."""
    with pytest.raises(NoTls) as caught:
        said(heard, files)
    return explained(caught.value.reason)


class TestListening:
    def test_openssl_sends_and_is_answered(self, open_port: Callable[..., Heard], hospital: Authority) -> None:
        heard, shown = open_port(hospital.vouches("radplug")), hospital.vouches("ris").own
        assert shown
        for version in ("-tls1_2", "-tls1_3"):
            command = [tool("openssl"), "s_client", "-quiet", "-verify_return_error", version]
            command += ["-connect", f"127.0.0.1:{heard.listener.port}", "-CAfile", str(hospital.file)]
            command += ["-cert", str(shown[0]), "-key", str(shown[1])]
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as client:
                assert client.stdin
                assert client.stdout
                client.stdin.write(frame(b"MSH|" + version.encode()))
                client.stdin.flush()
                decoder, answers = Decoder(), list[bytes]()
                while not answers and (data := client.stdout.read1()):
                    answers = decoder.feed(data)
                client.kill()
            assert answers == [b"ACK MSH|" + version.encode()]
        assert not heard.distrusted

    def test_large_messages_go_both_ways(self, open_port: Callable[..., Heard], hospital: Authority) -> None:
        files = hospital.vouches("radplug")
        assert len(said(open_port(files), files, b"MSH|" + b"x" * 3_000_000)) == 3_000_008

    def test_strangers_are_turned_away_and_the_reason_is_told(
        self, open_port: Callable[..., Heard], hospital: Authority, stranger: Authority
    ) -> None:
        for shown, words in (
            (None, "showed no certificate"),
            (stranger.vouches("intruder").own, "signed by nobody in our `ca` file"),
            (hospital.vouches("late", days=-1).own, "has expired"),
        ):
            heard = open_port(hospital.vouches("radplug"))
            context = ssl.create_default_context(cafile=hospital.file)  # ours would not show one that has expired
            if shown:
                context.load_cert_chain(*shown)
            with pytest.raises(NoTls):
                exchange(b"MSH|", "127.0.0.1", heard.listener.port, timeout=WAIT, tls=context)
            assert heard.only_refusal().startswith("127.0.0.1: ")
            assert words in heard.only_refusal()

    def test_without_a_certificate_where_that_is_allowed(
        self, open_port: Callable[..., Heard], hospital: Authority, stranger: Authority
    ) -> None:
        heard = open_port(hospital.vouches("radplug"), wants_certificate=False)
        assert said(heard, Files(hospital.file)) == b"ACK MSH|"
        turned_away(heard, Files(hospital.file, stranger.vouches("intruder").own))
        assert "signed by nobody" in heard.only_refusal()

    def test_who_speaks_no_tls_is_turned_away(self, open_port: Callable[..., Heard], hospital: Authority) -> None:
        heard = open_port(hospital.vouches("radplug"))
        with pytest.raises(Unavailable):
            exchange(b"MSH|", "127.0.0.1", heard.listener.port, timeout=WAIT)
        assert "does not speak TLS" in heard.only_refusal()

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
    def test_nothing_older_than_tls_1_2(self, open_port: Callable[..., Heard], hospital: Authority) -> None:
        heard = open_port(hospital.vouches("radplug"))
        context = client_up_to(ssl.TLSVersion.TLSv1_1)
        with pytest.raises(NoTls):
            exchange(b"MSH|", "127.0.0.1", heard.listener.port, timeout=WAIT, tls=context)
        assert "nothing newer than TLS 1.1" in heard.only_refusal()

    def test_an_address_that_is_not_admitted_is_not_even_greeted(
        self, open_port: Callable[..., Heard], hospital: Authority
    ) -> None:
        files = hospital.vouches("radplug")
        heard = open_port(files, admits=lambda address: False)
        assert "broke the handshake off" in turned_away(heard, files)
        assert not heard.distrusted

    def test_those_who_stop_halfway_hold_up_nobody_and_do_not_keep_it_from_stopping(
        self, open_port: Callable[..., Heard], hospital: Authority
    ) -> None:
        files = hospital.vouches("radplug")
        heard = open_port(files)
        at = ("127.0.0.1", heard.listener.port)
        with socket.create_connection(at), socket.create_connection(at, WAIT) as halfway:
            halfway.sendall(HALF_A_HELLO)
            assert said(heard, files) == b"ACK MSH|"
            heard.listener.stop()
            while halfway.recv(64):  # an alert
                pass
        assert not heard.distrusted

    def test_renewed_certificates_count_from_the_next_connection(
        self, open_port: Callable[..., Heard], hospital: Authority, stranger: Authority
    ) -> None:
        files = hospital.vouches("radplug")
        heard, ris, other = open_port(files), hospital.vouches("ris"), stranger.vouches("other")
        assert said(heard, ris) == b"ACK MSH|"
        for old, new in zip(files, stranger.vouches("radplug-2"), strict=True):
            shutil.copy(new, old)
        assert said(heard, other) == b"ACK MSH|"
        assert "does not take our certificate" in turned_away(heard, ris)


@contextmanager
def openssl_server(files: Files, *options: str) -> Iterator[int]:
    """OpenSSL's server, which wants a certificate and echoes lines backwards; its port."""
    assert files.own
    port = free_port()
    command = [tool("openssl"), "s_server", "-rev", "-accept", str(port), "-cert", str(files.own[0])]
    command += ["-key", str(files.own[1]), "-CAfile", str(files.authorities), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        wait_until(lambda: listens(port), WAIT, "s_server listens")
        yield port
        server.kill()


MUTUAL = ("-Verify", "1", "-verify_return_error")


class TestCalling:
    def refused(self, port: int, files: Files, **more: str) -> str:
        with pytest.raises(NoTls) as caught:
            reach("127.0.0.1", port, timeout=WAIT, tls=calling(files), **more)
        return explained(caught.value.reason)

    @pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
    def test_openssl_takes_our_certificate_or_says_why_not(
        self, hospital: Authority, stranger: Authority, version: str
    ) -> None:
        ours = hospital.vouches("radplug")
        with openssl_server(hospital.vouches("ris"), *MUTUAL, version) as port:
            reach("127.0.0.1", port, timeout=WAIT, tls=calling(ours))
            shown = Files(hospital.file, stranger.vouches("other").own)
            assert "does not take our certificate" in self.refused(port, shown)
            told = self.refused(port, Files(hospital.file))
            assert ("wants a certificate of ours" if version == "-tls1_3" else "nothing it wants") in told

    def test_a_long_message_does_not_drown_the_refusal(self, hospital: Authority, stranger: Authority) -> None:
        context = calling(Files(hospital.file, stranger.vouches("other").own))
        with openssl_server(hospital.vouches("ris"), *MUTUAL) as port, pytest.raises(NoTls) as caught:
            exchange(b"MSH|" + b"x" * 8_000_000, "127.0.0.1", port, timeout=WAIT, tls=context)
        assert "does not take our certificate" in explained(caught.value.reason)

    def test_a_receiver_that_we_should_not_trust_is_not_told_a_word(
        self, hospital: Authority, stranger: Authority
    ) -> None:
        ours = hospital.vouches("radplug")
        for shown, words in (
            (hospital.vouches("late", days=-1).own, "has expired"),
            (stranger.vouches("intruder").own, "signed by nobody in our `ca` file"),
            (hospital.vouches("elsewhere", host="192.0.2.7").own, "for another host"),
        ):
            with openssl_server(Files(hospital.file, shown)) as port:
                assert words in self.refused(port, ours)

    def test_its_certificate_may_be_for_another_name_that_is_given(self, hospital: Authority) -> None:
        ours = hospital.vouches("radplug")
        with openssl_server(hospital.vouches("ris", host="ris.hospital.example")) as port:
            reach("127.0.0.1", port, timeout=WAIT, tls=calling(ours), server_name="ris.hospital.example")
            assert "server_name" in self.refused(port, ours)

    def test_a_receiver_without_tls_is_explained(self, hospital: Authority) -> None:
        context = calling(hospital.vouches("radplug"))
        with Listener("127.0.0.1", 0, lambda message: message) as plain, pytest.raises(NoTls) as caught:
            reach("127.0.0.1", plain.port, timeout=0.2, tls=context)
        assert "does it speak TLS here?" in explained(caught.value.reason)
        with pytest.raises(Unavailable, match="cannot be reached: Connection refused"):
            reach("127.0.0.1", free_port(), timeout=WAIT, tls=context)
