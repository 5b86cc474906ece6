"""What the listener takes, what it answers, and what no peer can do to it; all over real sockets."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from dimse_peers import (
    associated,
    bundled,
    bytes_as_they_are,
    data_set_bytes,
    dcmtk,
    dicom_files,
    kind,
    listening,
    storescp,
)
from peers import wait_until
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from dicom_io.arrival import Arrival
from dicom_io.connection import LONGEST_PDU
from dicom_io.errors import NoSpace, Refused, Unreadable
from dicom_io.listener import Listener
from dicom_io.offered import COMPRESSED, DOCUMENTS, IMAGES, UNCOMPRESSED
from dicom_io.sending import Peer, send

CT = "CT_small.dcm"


def _nothing(arrival: Arrival) -> None:
    pass


def _echoscu(listener: Listener, calling: str = "MODALITY", called: str = "RADPLUG") -> str:
    """What echoscu complains of; empty when all is well."""
    return dcmtk("echoscu", "-aet", calling, "-aec", called, "127.0.0.1", listener.port).stdout


def _store(listener: Listener, file: Path) -> Dataset:
    """The answer to a file whose bytes are sent as they are."""
    with bytes_as_they_are(), associated(listener.port, [kind(file)]) as association:
        return association.send_c_store(file)


def _changed_ct(folder: Path, change: Callable[[Dataset], None]) -> Path:
    """The CT with its data set changed, but not its file meta information."""
    data_set = pydicom.dcmread(bundled(CT))
    change(data_set)
    data_set.save_as(folder / "changed.dcm")
    return folder / "changed.dcm"


@pytest.fixture(scope="module")
def _station() -> Iterator[tuple[Listener, list[Arrival]]]:
    arrivals: list[Arrival] = []
    with listening(arrivals.append) as listener:
        yield listener, arrivals


@pytest.fixture
def listener(_station: tuple[Listener, list[Arrival]]) -> Listener:
    """One for all tests that need no settings of their own."""
    return _station[0]


@pytest.fixture
def arrivals(_station: tuple[Listener, list[Arrival]]) -> list[Arrival]:
    """What it has kept during the test."""
    _station[1].clear()
    return _station[1]


# What arrives


@pytest.mark.parametrize(
    ("tool", "name", "option"),
    [
        ("storescu", CT, "-xe"),
        ("storescu", "MR_small_implicit.dcm", "-xi"),
        ("storescu", "image_dfl.dcm", "-xd"),
        ("storescu", "MR_small_RLE.dcm", "-xr"),
        ("storescu", "SC_rgb_jpeg_dcmtk.dcm", "-xy"),
        ("storescu", "J2K_pixelrep_mismatch.dcm", "-xv"),
        ("storescu", "test-SR.dcm", "-xe"),
        ("dcmsend", CT, "--decompress-never"),
        ("dcmsend", "SC_rgb_rle.dcm", "--decompress-never"),
        ("dcmsend", "examples_jpeg2k.dcm", "--decompress-never"),
    ],
)
def test_what_dcmtk_sends_arrives_as_its_own_storescp_gets_it(
    tool: str, name: str, option: str, listener: Listener, arrivals: list[Arrival], tmp_path: Path
) -> None:
    sent = dcmtk(tool, option, "-aet", "MODALITY", "-aec", "RADPLUG", "127.0.0.1", listener.port, bundled(name))
    assert sent.returncode == 0, sent.stdout
    with storescp(tmp_path, "+B", "+xa") as port:
        dcmtk(tool, option, "-aec", "ARCHIVE", "127.0.0.1", port, bundled(name))
    (reference,) = tmp_path.iterdir()
    (arrival,) = arrivals
    assert arrival.data_set == data_set_bytes(reference)
    assert arrival.calling_ae == "MODALITY"
    kept = pydicom.dcmread(BytesIO(arrival.header + arrival.data_set))
    original = pydicom.dcmread(bundled(name))
    original.pop(0xFFFCFFFC, None)  # Data Set Trailing Padding, which DCMTK does not send
    assert kept == original
    assert kept.file_meta.TransferSyntaxUID == arrival.instance.transfer_syntax_uid
    assert kept.file_meta.SourceApplicationEntityTitle == "MODALITY"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_real_file_is_kept_to_the_last_byte_or_refused_with_a_reason(
    listener: Listener, arrivals: list[Arrival]
) -> None:
    files = [file for file in dicom_files() if file.name not in ("empty_charset_LEI.dcm", "meta_missing_tsyntax.dcm")]
    offered = {*((image, syntax) for image in IMAGES for syntax in (*UNCOMPRESSED, *COMPRESSED))}
    offered |= {(document, syntax) for document in DOCUMENTS for syntax in UNCOMPRESSED}
    kept = 0
    with bytes_as_they_are(), associated(listener.port, sorted({kind(file) for file in files})) as association:
        for file in files:
            if kind(file) not in offered:
                with pytest.raises(ValueError, match="No presentation context"):
                    association.send_c_store(file)
                continue
            answer = association.send_c_store(file)
            if answer.Status == 0x0000:
                kept += 1
                assert arrivals.pop().data_set == data_set_bytes(file)
            else:
                assert answer.Status == 0xA900, file
                assert "UID" in answer.ErrorComment, file
    assert arrivals == []
    assert kept > 60


def test_instances_of_many_associations_are_kept_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)
    with listening(lambda arrival: together.wait() and None) as listener:
        senders = [threading.Thread(target=_store, args=(listener, bundled(CT))) for _ in range(3)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    assert not together.broken


# What is negotiated


@pytest.mark.parametrize("syntax", [*UNCOMPRESSED, *COMPRESSED], ids=lambda syntax: syntax.name)
def test_every_sop_class_is_taken_in_every_transfer_syntax_that_suits_it(syntax: str, listener: Listener) -> None:
    classes = [*IMAGES, *DOCUMENTS] if syntax in UNCOMPRESSED else IMAGES
    with associated(listener.port, [(c, syntax) for c in classes]) as association:
        accepted = {(context.abstract_syntax, context.transfer_syntax[0]) for context in association.accepted_contexts}
    assert accepted == {(sop_class, syntax) for sop_class in classes}


@pytest.mark.parametrize(
    ("sop_class", "syntax"),
    [
        (CTImageStorage, uid.JPEGExtended12Bit),
        (CTImageStorage, uid.ExplicitVRBigEndian),
        (uid.DigitalXRayImageStorageForProcessing, ExplicitVRLittleEndian),
        (uid.DigitalMammographyXRayImageStorageForProcessing, ExplicitVRLittleEndian),
        (uid.RTPlanStorage, ExplicitVRLittleEndian),
        (uid.BasicTextSRStorage, uid.JPEG2000Lossless),
    ],
)
def test_what_cannot_be_read_or_used_is_not_taken(sop_class: str, syntax: str, listener: Listener) -> None:
    wanted = [(CTImageStorage, ExplicitVRLittleEndian), (sop_class, syntax)]
    with associated(listener.port, wanted) as association:
        (accepted,) = association.accepted_contexts
    assert (accepted.abstract_syntax, accepted.transfer_syntax) == (CTImageStorage, [ExplicitVRLittleEndian])


def test_of_several_syntaxes_one_that_needs_no_decoder_is_chosen(listener: Listener) -> None:
    context = build_context(CTImageStorage, [uid.JPEGBaseline8Bit, uid.JPEG2000Lossless, ExplicitVRLittleEndian])
    association = AE("MODALITY").associate("127.0.0.1", listener.port, [context], "RADPLUG")
    (accepted,) = association.accepted_contexts
    association.release()
    assert accepted.transfer_syntax == [ExplicitVRLittleEndian]


def test_wrong_ae_titles_are_refused_with_the_standards_reason_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with listening(_nothing, calling_ae_titles=frozenset({"PACS", "MODALITY"})) as listener:
        assert _echoscu(listener, calling="PACS") == ""
        assert _echoscu(listener, calling="MODALITY") == ""
        assert "Calling AE Title Not Recognized" in _echoscu(listener, calling="STRANGER")
        assert "Called AE Title Not Recognized" in _echoscu(listener, called="RADPLUGG")
    log = [record.getMessage() for record in caplog.records if record.name == "dicom_io.listener"]
    assert ["Calling AE title not recognised" in log[0], "'STRANGER'" in log[0]] == [True, True]
    assert ["Called AE title not recognised" in log[1], "'RADPLUGG'" in log[1]] == [True, True]


def test_by_whichever_of_our_names_we_are_called_the_instance_says_so() -> None:
    arrivals: list[Arrival] = []
    further = frozenset({"RESEARCH"})
    with listening(arrivals.append, calling_ae_titles=None, further_ae_titles=further) as listener:
        for called in ("RESEARCH", "RADPLUG"):
            peer = Peer(called, "127.0.0.1", listener.port)
            send(bundled("CT_small.dcm"), peer, calling_ae="MODALITY", timeout=10)
        assert "Called AE Title Not Recognized" in _echoscu(listener, called="RADPLUGG")
    assert [arrival.called_ae for arrival in arrivals] == ["RESEARCH", "RADPLUG"]


def test_anybody_may_call_only_where_that_is_said() -> None:
    with listening(_nothing, calling_ae_titles=None) as listener:
        assert _echoscu(listener, calling="STRANGER") == ""
    with pytest.raises(ValueError, match="name those that may"):
        Listener("RADPLUG", "127.0.0.1", 0, _nothing, calling_ae_titles=frozenset())


def test_an_association_too_many_is_refused_for_now() -> None:
    with listening(_nothing, maximum_associations=1) as listener:
        with associated(listener.port, [(CTImageStorage, ExplicitVRLittleEndian)]):
            assert "Local Limit Exceeded" in _echoscu(listener)
        wait_until(lambda: _echoscu(listener) == "")


# What is answered


@pytest.mark.parametrize(
    ("error", "status", "comment"),
    [
        (NoSpace("3 MiB are free, 5 MiB must stay free"), 0xA700, "3 MiB are free, 5 MiB must stay free"),
        (Unreadable("SOPClassUID is absent"), 0xA900, "SOPClassUID is absent"),
        (Refused("it came back from where it was sent"), 0xC000, "it came back from where it was sent"),
        (NoSpace("ö\\" + "x" * 100), 0xA700, "?/" + "x" * 62),
        (RuntimeError("Doe^Jane"), 0xC000, "it could not be kept; our log says why"),
    ],
)
def test_what_keep_raises_is_the_answer(
    error: Exception, status: int, comment: str, caplog: pytest.LogCaptureFixture
) -> None:
    def keep(arrival: Arrival) -> None:
        raise error

    with listening(keep) as listener:
        answer = _store(listener, bundled(CT))
    assert (answer.Status, answer.ErrorComment) == (status, comment)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "dicom_io.listener"]
    assert "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322" in said
    assert "MODALITY" in said
    assert not any("Doe" in record.getMessage() for record in caplog.records)


def test_success_is_answered_only_once_keep_has_returned() -> None:
    release, kept = threading.Event(), threading.Event()

    def keep(arrival: Arrival) -> None:
        release.wait(20)
        kept.set()

    with listening(keep) as listener:
        answers: list[Dataset] = []
        sender = threading.Thread(target=lambda: answers.append(_store(listener, bundled(CT))))
        sender.start()
        sender.join(0.3)
        assert answers == []
        release.set()
        sender.join(20)
    assert kept.is_set()
    assert answers[0].Status == 0x0000


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_data_set_without_an_identifying_uid_is_not_kept(
    keyword: str, listener: Listener, arrivals: list[Arrival], tmp_path: Path
) -> None:
    answer = _store(listener, _changed_ct(tmp_path, lambda data_set: data_set.pop(keyword)))
    assert (answer.Status, answer.ErrorComment) == (0xA900, f"{keyword} is absent")
    assert arrivals == []


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID"])
def test_a_data_set_that_is_another_than_was_announced_is_not_kept(
    keyword: str, listener: Listener, arrivals: list[Arrival], tmp_path: Path
) -> None:
    answer = _store(listener, _changed_ct(tmp_path, lambda data_set: setattr(data_set, keyword, "1.2.3")))
    assert answer.Status == 0xA900
    assert answer.ErrorComment.startswith(keyword)
    assert arrivals == []


# What no peer can do


def _first_half(listener: Listener, finish: str) -> None:
    """Sends the CT but for its last fragment, then aborts the association or drops the connection."""
    with associated(listener.port, [(CTImageStorage, ExplicitVRLittleEndian)]) as association:
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CTImageStorage, "1.2.3"
        request.DataSet = BytesIO(data_set_bytes(bundled(CT)))
        message = C_STORE_RQ()
        message.primitive_to_message(request)
        *fragments, _ = message.encode_msg(association.accepted_contexts[0].context_id, 4096)
        for fragment in fragments:
            association.dul.send_pdu(fragment)
        wait_until(lambda: association.dul.to_provider_queue.empty())
        if finish == "abort":
            association.abort()
        else:
            association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
            wait_until(lambda: association.is_aborted)


@pytest.mark.parametrize("finish", ["abort", "drop"])
def test_of_an_instance_that_breaks_off_nothing_is_kept(
    finish: str, listener: Listener, arrivals: list[Arrival]
) -> None:
    _first_half(listener, finish)
    wait_until(lambda: _acceptors() == 0)
    assert arrivals == []


def _connection(listener: Listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), timeout=10)


def _acceptors() -> int:
    return sum("AcceptorThread" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize(
    "opening",
    [
        struct.pack(">BBL", 1, 0, 0xFFFFFFF0) + bytes(1000),
        struct.pack(">BBL", 4, 0, LONGEST_PDU + 1) + bytes(1000),
        b"GET / HTTP/1.1\r\nHost: radplug\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["4 GiB association request", "1 MiB data", "HTTP", "TLS"],
)
def test_a_pdu_that_is_none_or_too_long_ends_the_connection_at_once(opening: bytes, listener: Listener) -> None:
    with _connection(listener) as client:
        client.sendall(opening)
        wait_until(lambda: _ends(client))
    wait_until(lambda: _acceptors() == 0)
    assert _echoscu(listener) == ""


def _ends(client: socket.socket) -> bool:
    try:
        return client.recv(100) == b""
    except ConnectionError:
        return True


def test_a_pdu_too_long_within_an_association_ends_it(listener: Listener) -> None:
    with associated(listener.port, [(CTImageStorage, ExplicitVRLittleEndian)]) as association:
        association.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, LONGEST_PDU + 1))
        wait_until(lambda: association.is_aborted)


def test_a_message_that_never_ends_is_not_held_in_memory_for_ever() -> None:
    arrivals: list[Arrival] = []
    with listening(arrivals.append, largest_instance=20_000) as listener:
        with associated(listener.port, [kind(bundled(CT))]) as association, bytes_as_they_are():
            assert "Status" not in association.send_c_store(bundled(CT))  # of 39 kB
        assert _echoscu(listener) == ""
    assert arrivals == []


def test_a_pdu_that_never_ends_frees_its_association_in_time() -> None:
    with listening(_nothing, acse_timeout=0.5) as listener:
        with _connection(listener) as client:
            client.sendall(struct.pack(">BBL", 1, 0, 100_000))
            wait_until(lambda: _drips_in_vain(client))
        wait_until(lambda: _acceptors() == 0)


def _drips_in_vain(client: socket.socket) -> bool:
    try:
        return client.send(b"\0") == 0
    except ConnectionError:
        return True


def test_a_connection_that_says_nothing_ends_in_time() -> None:
    with listening(_nothing, acse_timeout=0.3) as listener, _connection(listener) as client:
        wait_until(lambda: _ends(client))
        wait_until(lambda: _acceptors() == 0)


def test_probes_that_connect_and_leave_hold_nothing_up() -> None:
    with listening(_nothing, maximum_associations=4) as listener:
        started = time.monotonic()
        for _ in range(40):
            _connection(listener).close()
        assert time.monotonic() - started < 0.9  # a connection that finds no place in the queue tries again after 1 s
        wait_until(lambda: _acceptors() == 0, seconds=5)  # long before the ACSE timeout of 30 s
        assert _echoscu(listener) == ""


def test_silent_connections_do_not_pile_up() -> None:
    with listening(_nothing, maximum_associations=4) as listener, ExitStack() as clients:
        for number in range(1, 13):
            client = clients.enter_context(_connection(listener))
            wait_until(lambda: _acceptors() >= min(number, 8))  # noqa: B023
        wait_until(lambda: _closed(client))
        wait_until(lambda: _acceptors() == 8)
        clients.close()
        wait_until(lambda: _echoscu(listener) == "")


def _closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


# How it starts and stops


def test_stop_lets_an_instance_under_way_be_kept_and_answered() -> None:
    begun, arrivals, answers = threading.Event(), [], []

    def keep(arrival: Arrival) -> None:
        begun.set()
        wait_until(lambda: stopper.is_alive())
        arrivals.append(arrival)

    listener = Listener("RADPLUG", "127.0.0.1", 0, keep, calling_ae_titles=None)
    listener.start()
    sender = threading.Thread(target=lambda: answers.append(_store(listener, bundled(CT))))
    stopper = threading.Thread(target=listener.stop)
    sender.start()
    assert begun.wait(10)
    stopper.start()
    sender.join(20)
    stopper.join(20)
    assert len(arrivals) == 1
    assert answers[0].Status == 0x0000


def test_stop_aborts_what_goes_on_after_its_grace_and_frees_the_port() -> None:
    listener = Listener("RADPLUG", "127.0.0.1", 0, _nothing, calling_ae_titles=None)
    listener.start()
    port = listener.port
    with associated(port, [(CTImageStorage, ExplicitVRLittleEndian)]) as association:
        started = time.monotonic()
        listener.stop(grace=0.2)
        assert time.monotonic() - started < 5
        wait_until(lambda: association.is_aborted)
    assert _acceptors() == 0
    with Listener("RADPLUG", "127.0.0.1", port, _nothing, calling_ae_titles=None) as again:
        assert _echoscu(again) == ""


def test_stop_is_not_held_up_by_a_peer_in_the_middle_of_a_pdu() -> None:
    listener = Listener("RADPLUG", "127.0.0.1", 0, _nothing, calling_ae_titles=None)
    listener.start()
    with associated(listener.port, [(CTImageStorage, ExplicitVRLittleEndian)]) as association:
        association.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, 1000))
        listener.stop(grace=0.2)
        wait_until(lambda: _acceptors() == 0)
        wait_until(lambda: association.is_aborted)


def test_a_port_that_is_taken_is_an_os_error() -> None:
    with listening(_nothing) as listener, pytest.raises(OSError, match="in use"):
        Listener("OTHER", "127.0.0.1", listener.port, _nothing, calling_ae_titles=None).start()


def test_the_packages_of_the_model_and_of_reports_are_not_imported() -> None:
    program = "import sys, dicom_io.listener, dicom_io.sending; print({'torch', 'highdicom'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
