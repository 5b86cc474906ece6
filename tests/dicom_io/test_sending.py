"""What a peer answers, as an outcome: against DCMTK's storescp, our own listener, and peers that misbehave."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from dimse_peers import bundled, data_set_bytes, listening, storescp
from peers import free_port, wait_until
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from dicom_io.arrival import Arrival
from dicom_io.errors import DicomError, NoSpace, Rejected, Unavailable, Unreadable
from dicom_io.sending import Peer, Source, Stored, echo, send, send_each

CT, SR, J2K, BIG_ENDIAN = "CT_small.dcm", "test-SR.dcm", "J2K_pixelrep_mismatch.dcm", "MR_small_bigendian.dcm"
CT_UID = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"


def _archive(port: int) -> Peer:
    return Peer("ARCHIVE", "127.0.0.1", port)


def _send(source: Source, peer: Peer, timeout: float = 10) -> Stored:
    return send(source, peer, calling_ae="RADPLUG", timeout=timeout)


def _as_path(name: str) -> Source:
    return bundled(name)


def _as_bytes(name: str) -> Source:
    return bundled(name).read_bytes()


def _as_data_set(name: str) -> Source:
    return pydicom.dcmread(bundled(name))


@contextmanager
def _answering(status: int, comment: str = "") -> Iterator[Peer]:
    """A Storage SCP that answers everything with the one status."""
    answer = Dataset()
    answer.Status = status
    if comment:
        answer.ErrorComment = comment
    ae = AE("ARCHIVE")
    ae.add_supported_context(CTImageStorage)
    ae.add_supported_context(Verification)
    handlers = [(evt.EVT_C_STORE, lambda event: answer), (evt.EVT_C_ECHO, lambda event: answer)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield _archive(server.server_address[1])
    finally:
        server.shutdown()


# Stored


@pytest.mark.parametrize("given", [_as_path, _as_bytes, _as_data_set])
@pytest.mark.parametrize("name", [CT, SR, J2K])
def test_storescp_gets_the_data_set_to_the_last_byte(name: str, given: Callable[[str], Source], tmp_path: Path) -> None:
    with storescp(tmp_path, "+B", "+xa") as port:
        stored = _send(given(name), _archive(port))
    assert stored == Stored(pydicom.dcmread(bundled(name)).SOPInstanceUID)
    (received,) = tmp_path.iterdir()
    assert data_set_bytes(received) == data_set_bytes(bundled(name))


def test_a_report_reaches_a_peer_that_takes_implicit_little_endian_only(tmp_path: Path) -> None:
    with storescp(tmp_path, "+xi") as port:
        _send(bundled(SR), _archive(port))
    (received,) = map(pydicom.dcmread, tmp_path.iterdir())
    assert received.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert received == pydicom.dcmread(bundled(SR))


def test_many_go_over_one_association_and_each_has_its_outcome_in_order() -> None:
    arrivals: list[Arrival] = []

    def keep(arrival: Arrival) -> None:
        if arrival.instance.modality == "SR":
            raise NoSpace("2 MiB are free, 5 MiB must stay free")
        arrivals.append(arrival)

    sources = [bundled(CT), bundled(BIG_ENDIAN), b"no DICOM file", bundled(SR), _as_bytes(J2K)]
    with listening(keep, maximum_associations=1) as listener:
        peer = Peer("RADPLUG", "127.0.0.1", listener.port)
        outcomes = send_each(sources, peer, calling_ae="MODALITY", timeout=10)
        assert next(outcomes) == Stored(CT_UID)
        assert len(arrivals) == 1  # as it happens, not at the end
        others = list(outcomes)
    assert [type(outcome) for outcome in others] == [Rejected, Unreadable, Unavailable, Stored]
    assert "Explicit VR Big Endian" in str(others[0])
    assert others[2].comment == "2 MiB are free, 5 MiB must stay free"
    assert len(arrivals) == 2


def test_nothing_that_can_be_sent_needs_no_peer() -> None:
    nobody = _archive(free_port())
    assert list(send_each([], nobody, calling_ae="RADPLUG", timeout=1)) == []
    (outcome,) = send_each([b"no DICOM file"], nobody, calling_ae="RADPLUG", timeout=1)
    assert isinstance(outcome, Unreadable)
    with pytest.raises(Unreadable):
        _send(b"no DICOM file", nobody)


def test_a_file_that_is_damaged_behind_its_header_is_not_sent_and_holds_up_no_other() -> None:
    deflated = _as_bytes("image_dfl.dcm")
    arrivals: list[Arrival] = []
    with listening(arrivals.append) as listener:
        peer = Peer("RADPLUG", "127.0.0.1", listener.port)
        outcomes = list(send_each([deflated[:-1000], bundled(CT)], peer, calling_ae="MODALITY", timeout=10))
    assert [type(outcome) for outcome in outcomes] == [Unreadable, Stored]
    assert len(arrivals) == 1


def test_an_association_that_is_not_read_to_its_end_is_released() -> None:
    with listening(lambda arrival: None, maximum_associations=1) as listener:
        peer = Peer("RADPLUG", "127.0.0.1", listener.port)
        outcomes = send_each([bundled(CT)] * 3, peer, calling_ae="MODALITY", timeout=10)
        next(outcomes)
        outcomes.close()

        def there_is_room() -> bool:  # the listener counts an association until its thread has ended
            try:
                echo(peer, calling_ae="MODALITY", timeout=10)
            except Unavailable:
                return False
            return True

        wait_until(there_is_room, 10, "the association is released")


# Answered otherwise


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0xB000, "0xB000 Coercion of Data Elements"),
        (0xB006, "0xB006 Element Discarded"),
        (0xB007, "0xB007 Data Set Does Not Match SOP Class"),
        (0x0107, "0x0107 Attribute List Error"),
        (0x0111, "0x0111 Duplication SOP Instance"),
    ],
)
def test_a_warning_counts_as_stored_and_is_passed_on(status: int, meaning: str) -> None:
    with _answering(status, "Patient ID coerced") as peer:
        assert _send(bundled(CT), peer) == Stored(CT_UID, meaning, "Patient ID coerced")


@pytest.mark.parametrize(
    ("status", "kind", "meaning"),
    [
        (0xA700, Unavailable, "0xA700 Refused: Out of Resources"),
        (0xA7FF, Unavailable, "0xA7FF Refused: Out of Resources"),
        (0x0110, Unavailable, "0x0110 Processing Failure"),
        (0x0213, Unavailable, "0x0213 Resource Limitation"),
        (0xA900, Rejected, "0xA900 Data Set Does Not Match SOP Class"),
        (0xC000, Rejected, "0xC000 Cannot Understand"),
        (0xC123, Rejected, "0xC123 Cannot Understand"),
        (0x0122, Rejected, "0x0122 Refused: SOP Class Not Supported"),
        (0x0124, Rejected, "0x0124 Refused: Not Authorised"),
        (0xDEAD, Rejected, "0xDEAD a status that the standard does not know"),
    ],
)
def test_a_failure_is_final_or_passing_by_its_status(status: int, kind: type[DicomError], meaning: str) -> None:
    with _answering(status, "DOE^JANE is unknown here") as peer, pytest.raises(DicomError) as error:
        _send(bundled(CT), peer)
    assert type(error.value) is kind
    assert str(error.value) == f"{peer} answered {meaning}"
    assert error.value.comment == "DOE^JANE is unknown here"


def test_a_class_that_the_peer_does_not_take_is_rejected() -> None:
    with _answering(0x0000) as peer, pytest.raises(Rejected, match=r"takes nothing .*: Comprehensive SR Storage"):
        _send(bundled(SR), peer)


# No association


@pytest.mark.parametrize("act", ["echo", "send"])
def test_each_wrong_ae_title_is_told_apart_in_plain_words(act: str) -> None:
    def attempt(called: str, calling: str) -> None:
        peer = Peer(called, "127.0.0.1", listener.port)
        if act == "echo":
            echo(peer, calling_ae=calling, timeout=10)
        else:
            send(bundled(CT), peer, calling_ae=calling, timeout=10)

    with listening(lambda arrival: None, calling_ae_titles=frozenset({"MODALITY"})) as listener:
        attempt("RADPLUG", "MODALITY")
        with pytest.raises(Rejected, match="does not know the calling AE title STRANGER"):
            attempt("RADPLUG", "STRANGER")
        with pytest.raises(Rejected, match="is not PACS: correct the called AE title"):
            attempt("PACS", "MODALITY")


def test_storescp_refusing_is_a_rejection_with_its_reason(tmp_path: Path) -> None:
    with storescp(tmp_path, "--refuse") as port:
        for _ in range(10):  # pynetdicom by itself loses about half of such quick rejections
            with pytest.raises(Rejected, match="ejected the association: "):
                _send(bundled(CT), _archive(port))


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
def test_storescp_aborting_is_unavailable(option: str, tmp_path: Path) -> None:
    with storescp(tmp_path, option) as port, pytest.raises(Unavailable, match="broke the association off"):
        _send(bundled(CT), _archive(port))


def test_too_many_associations_is_unavailable_for_now() -> None:
    with listening(lambda arrival: None, maximum_associations=1) as listener:
        peer = Peer("RADPLUG", "127.0.0.1", listener.port)
        held = send_each([bundled(CT)] * 2, peer, calling_ae="MODALITY", timeout=10)
        next(held)
        with pytest.raises(Unavailable, match="Local limit exceeded"):
            echo(peer, calling_ae="MODALITY", timeout=10)
        held.close()


def test_a_closed_port_is_unavailable_and_says_so() -> None:
    with pytest.raises(Unavailable, match=r"no connection .*refused"):
        echo(_archive(free_port()), calling_ae="RADPLUG", timeout=5)


def test_an_unknown_host_is_unavailable_and_says_so() -> None:
    with pytest.raises(Unavailable, match="the host is not known"):
        echo(Peer("ARCHIVE", "archive.invalid", 104), calling_ae="RADPLUG", timeout=5)


@pytest.mark.parametrize("speaks", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_port_where_no_dicom_is_spoken_is_unavailable_in_time(speaks: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="does DICOM without TLS listen there"):
            echo(_archive(server.getsockname()[1]), calling_ae="RADPLUG", timeout=0.5)
        assert time.monotonic() - started < 5


def test_a_peer_that_does_not_answer_an_instance_is_unavailable_in_time() -> None:
    enough = threading.Event()
    with listening(lambda arrival: enough.wait(10) and None) as listener:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer in time"):
            _send(bundled(CT), Peer("RADPLUG", "127.0.0.1", listener.port), timeout=0.5)
        assert time.monotonic() - started < 5
        enough.set()


def test_an_echo_that_fails_is_rejected() -> None:
    with _answering(0x0122) as peer, pytest.raises(Rejected, match="0x0122"):
        echo(peer, calling_ae="RADPLUG", timeout=5)
