"""DICOM over TLS in both directions, with DCMTK's tools as peers: who is let in, who is not, and what is said of it."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from certificates import HALF_A_HELLO, Authority, authority, client_up_to, dcmtk_options
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from dimse_peers import bundled, dcmtk, storescp
from peers import free_port, wait_until
from pydicom import dcmread

from dicom_io.arrival import Arrival
from dicom_io.certificates import Files, ends
from dicom_io.errors import Unavailable, UnusableCertificate
from dicom_io.listener import Listener, SecurePort
from dicom_io.sending import Peer, echo, send
from dicom_io.tls import Renewed, accepting, calling

CT = "CT_small.dcm"


@dataclass
class Heard:
    """A listener with TLS beside its plain port, and what it was told."""

    listener: Listener
    arrived: list[Arrival] = field(default_factory=list)
    distrusted: list[str] = field(default_factory=list)

    def only_refusal(self) -> str:
        wait_until(lambda: self.distrusted)
        (reason,) = self.distrusted
        return reason


@pytest.fixture
def open_port() -> Iterator[Callable[..., Heard]]:
    running: list[Listener] = []

    def start(files: Files, *, port: int | None = None, wants_certificate: bool = True) -> Heard:
        arrived: list[Arrival] = []
        distrusted: list[str] = []
        contexts = Renewed(files, lambda now: accepting(now, wants_certificate=wants_certificate))
        secure = SecurePort(0, contexts, lambda address, reason: distrusted.append(reason))
        listener = Listener("RADPLUG", "127.0.0.1", port, arrived.append, secure=secure, calling_ae_titles=None)
        listener.start()
        running.append(listener)
        return Heard(listener, arrived, distrusted)

    yield start
    for listener in running:
        listener.stop(1)


def echoed(heard: Heard, files: Files) -> bool:
    answer = dcmtk("echoscu", *dcmtk_options(files), "-aec", "RADPLUG", "127.0.0.1", heard.listener.secure_port)
    return answer.returncode == 0


def greet(heard: Heard, newest: ssl.TLSVersion, files: Files) -> str | None:
    """The TLS version agreed on with a client that knows nothing newer."""
    context = client_up_to(newest)
    context.load_verify_locations(files.authorities)
    context.load_cert_chain(*files.own)
    with (
        socket.create_connection(("127.0.0.1", heard.listener.secure_port), 10) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1") as secured,
    ):
        return secured.version()


class TestListening:
    def test_dcmtk_sends_with_tls_and_without_it(self, open_port: Callable[..., Heard], hospital: Authority) -> None:
        heard = open_port(hospital.vouches("radplug"), port=0)
        with_tls = [*dcmtk_options(hospital.vouches("modality")), "-aec", "RADPLUG"]
        for extra, port in ((with_tls, heard.listener.secure_port), (["-aec", "RADPLUG"], heard.listener.port)):
            answer = dcmtk("storescu", *extra, "127.0.0.1", port, bundled(CT))
            assert answer.returncode == 0, answer.stdout
        with_it, without = heard.arrived
        assert with_it.data_set == without.data_set
        assert not heard.distrusted

    def test_there_may_be_no_port_without_tls(self, open_port: Callable[..., Heard], hospital: Authority) -> None:
        files = hospital.vouches("radplug")
        heard = open_port(files)
        assert echoed(heard, files)
        plain = dcmtk("echoscu", "-aec", "RADPLUG", "127.0.0.1", heard.listener.secure_port)
        assert plain.returncode
        assert "does not speak TLS" in heard.only_refusal()
        with pytest.raises(RuntimeError):
            _ = heard.listener.port

    @pytest.mark.parametrize(("days", "words"), [(-1, "has expired"), (1, "")])
    def test_a_certificate_counts_until_its_last_day(
        self, open_port: Callable[..., Heard], hospital: Authority, days: int, words: str
    ) -> None:
        heard = open_port(hospital.vouches("radplug"))
        assert echoed(heard, hospital.vouches("modality", days=days)) is not words
        if words:
            assert words in heard.only_refusal()

    def test_a_certificate_of_another_authority_is_refused(
        self, open_port: Callable[..., Heard], hospital: Authority, stranger: Authority
    ) -> None:
        heard = open_port(hospital.vouches("radplug"))
        shown = stranger.vouches("intruder")
        assert not echoed(heard, Files(hospital.file, shown.own))
        assert "signed by nobody in our `ca` file" in heard.only_refusal()

    def test_a_self_signed_certificate_is_refused(
        self, open_port: Callable[..., Heard], hospital: Authority, stranger: Authority
    ) -> None:
        heard = open_port(hospital.vouches("radplug"))
        own = stranger.file, stranger.file.with_suffix(".key")
        assert not echoed(heard, Files(hospital.file, own))
        assert "signed by nobody in our `ca` file" in heard.only_refusal()

    def test_whoever_shows_none_is_refused_unless_that_is_allowed(
        self, open_port: Callable[..., Heard], hospital: Authority, stranger: Authority
    ) -> None:
        files, anonymous = hospital.vouches("radplug"), Files(hospital.file)
        mutual, lenient = open_port(files), open_port(files, wants_certificate=False)
        assert not echoed(mutual, anonymous)
        assert "showed no certificate" in mutual.only_refusal()
        assert echoed(lenient, anonymous)
        assert not echoed(lenient, Files(hospital.file, stranger.vouches("intruder").own))
        assert "signed by nobody" in lenient.only_refusal()

    def test_a_peer_that_does_not_trust_us_is_explained(
        self, open_port: Callable[..., Heard], hospital: Authority, stranger: Authority
    ) -> None:
        heard = open_port(hospital.vouches("radplug"))
        assert not echoed(heard, Files(stranger.file, hospital.vouches("modality").own))
        assert "does not take our certificate" in heard.only_refusal()

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
    def test_tls_1_2_and_1_3_and_nothing_older(self, open_port: Callable[..., Heard], hospital: Authority) -> None:
        files = hospital.vouches("radplug")
        heard = open_port(files)
        assert greet(heard, ssl.TLSVersion.TLSv1_3, files) == "TLSv1.3"
        assert greet(heard, ssl.TLSVersion.TLSv1_2, files) == "TLSv1.2"
        assert not heard.distrusted
        with pytest.raises(ssl.SSLError):
            greet(heard, ssl.TLSVersion.TLSv1_1, files)
        assert "nothing newer than TLS 1.1" in heard.only_refusal()

    def test_those_who_say_nothing_or_stop_halfway_hold_up_nobody(
        self, open_port: Callable[..., Heard], hospital: Authority
    ) -> None:
        files = hospital.vouches("radplug")
        heard = open_port(files)
        at = ("127.0.0.1", heard.listener.secure_port)
        with socket.create_connection(at), socket.create_connection(at) as halfway:
            halfway.sendall(HALF_A_HELLO)
            assert echoed(heard, files)
        assert not heard.distrusted  # whoever hangs up has not been refused

    def test_renewed_certificates_count_from_the_next_association_and_broken_ones_never(
        self,
        open_port: Callable[..., Heard],
        hospital: Authority,
        stranger: Authority,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        files = hospital.vouches("radplug")
        heard = open_port(files)
        modality, other = hospital.vouches("modality"), stranger.vouches("other")
        assert echoed(heard, modality)
        assert files.own
        kept = files.own[1].read_bytes()
        files.own[1].write_bytes(b"half a ke")
        assert echoed(heard, modality)
        assert echoed(heard, modality)
        (told,) = [record.getMessage() for record in caplog.records if "before the last change" in record.getMessage()]
        assert "radplug.key holds no private key" in told
        files.own[1].write_bytes(kept)
        assert not echoed(heard, other)
        for old, new in zip(files, stranger.vouches("radplug-2"), strict=True):
            shutil.copy(new, old)
        assert echoed(heard, other)
        assert not echoed(heard, modality)


class TestSending:
    def archive(self, port: int, files: Files, server_name: str = "") -> Peer:
        return Peer("ARCHIVE", "127.0.0.1", port, calling(files), server_name)

    def test_dcmtk_takes_what_we_send(self, tmp_path: Path, hospital: Authority) -> None:
        received = tmp_path / "received"
        received.mkdir()
        with storescp(received, *dcmtk_options(hospital.vouches("archive"))) as port:
            peer = self.archive(port, hospital.vouches("radplug"))
            echo(peer, calling_ae="RADPLUG", timeout=10)
            send(bundled(CT), peer, calling_ae="RADPLUG", timeout=10)
        (file,) = received.iterdir()
        assert dcmread(file).PixelData == dcmread(bundled(CT)).PixelData

    def refused(self, peer: Peer) -> str:
        with pytest.raises(Unavailable) as caught:
            echo(peer, calling_ae="RADPLUG", timeout=10)
        return str(caught.value)

    def test_an_archive_that_we_should_not_trust_gets_nothing(
        self, tmp_path: Path, hospital: Authority, stranger: Authority
    ) -> None:
        ours = hospital.vouches("radplug")
        for shown, words in (
            (hospital.vouches("late", days=-1).own, "has expired"),
            (stranger.vouches("intruder").own, "signed by nobody in our `ca` file"),
            (hospital.vouches("elsewhere", host="192.0.2.7").own, "for another host"),
        ):
            with storescp(tmp_path, *dcmtk_options(Files(hospital.file, shown)), "-ic") as port:
                assert words in self.refused(self.archive(port, ours))

    def test_a_certificate_may_be_for_another_name_that_is_given(self, tmp_path: Path, hospital: Authority) -> None:
        with storescp(tmp_path, *dcmtk_options(hospital.vouches("archive", host="pacs.hospital.example"))) as port:
            ours = hospital.vouches("radplug")
            assert "server_name" in self.refused(self.archive(port, ours))
            peer = self.archive(port, ours, "pacs.hospital.example")
            echo(peer, calling_ae="RADPLUG", timeout=10)

    def test_an_archive_that_does_not_trust_us_is_explained(
        self, tmp_path: Path, hospital: Authority, stranger: Authority
    ) -> None:
        with storescp(tmp_path, *dcmtk_options(hospital.vouches("archive"))) as port:
            shown = Files(hospital.file, stranger.vouches("radplug").own)
            assert "does not take our certificate" in self.refused(self.archive(port, shown))
            assert "wants a certificate of ours" in self.refused(self.archive(port, Files(hospital.file)))

    def test_an_archive_without_tls_is_explained(self, tmp_path: Path, hospital: Authority) -> None:
        with storescp(tmp_path) as port:
            assert "speak TLS" in self.refused(self.archive(port, hospital.vouches("radplug")))
        assert "is it running" in self.refused(self.archive(free_port(), hospital.vouches("radplug")))


class TestFiles:
    def test_what_is_wrong_with_each_is_said(self, tmp_path: Path, hospital: Authority, stranger: Authority) -> None:
        good, other = hospital.vouches("radplug"), stranger.vouches("other")
        assert good.own
        assert other.own
        certificate, key = good.own
        nonsense, late = tmp_path / "nonsense", hospital.vouches("late", days=-1)
        nonsense.write_text("nonsense", encoding="ascii")
        for files, words in (
            (Files(tmp_path / "absent"), "absent cannot be read"),
            (Files(nonsense), "nonsense holds no certificate"),
            (Files(hospital.file, (nonsense, key)), "nonsense holds no certificate"),
            (Files(hospital.file, (certificate, nonsense)), "nonsense holds no private key"),
            (Files(hospital.file, (certificate, other.own[1])), "is not the key of"),
            (late, "late.pem has expired on"),
            (Files(authority(tmp_path, "old", days=-1).file), "old.pem has expired on"),
            (hospital.vouches("early", days=900, since=1), "not valid before"),
        ):
            with pytest.raises(UnusableCertificate, match=words):
                calling(files)
        calling(good)

    def test_an_encrypted_key_and_a_short_one_are_refused(self, hospital: Authority) -> None:
        short = hospital.vouches("short", key=rsa.generate_private_key(65537, 1024))
        encrypted = hospital.vouches("encrypted")
        assert encrypted.own
        key = load_pem_private_key(encrypted.own[1].read_bytes(), None)
        how = Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        encrypted.own[1].write_bytes(key.private_bytes(*how))
        for files, words in ((short, "RSA of 2048 bits or more"), (encrypted, "is encrypted")):
            with pytest.raises(UnusableCertificate, match=words):
                accepting(files)

    def test_the_first_end_of_those_that_are_valid_counts(self, tmp_path: Path, hospital: Authority) -> None:
        late, own = hospital.vouches("late", days=-1).own, hospital.vouches("radplug", days=9).own
        assert late
        assert own
        both = tmp_path / "both.pem"
        both.write_bytes(late[0].read_bytes() + hospital.file.read_bytes() + own[0].read_bytes())
        now = datetime.now(UTC)
        assert (ends(both, now) - now).days in (8, 9)
