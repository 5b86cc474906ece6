"""Asking an archive for a patient's studies, and having one sent: against pynetdicom's own Query/Retrieve SCP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pydicom
import pytest
from dimse_peers import associated, bundled, kind, listening
from peers import free_port
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import AE, evt

from dicom_io.arrival import Arrival
from dicom_io.errors import Rejected, Unavailable
from dicom_io.reading import identify, read_instance
from dicom_io.retrieving import FIND, GET, MOVE, FoundStudy, find_studies, get_study, move_study
from dicom_io.sending import Peer
from dicom_io.study import Patient


@contextmanager
def archive(found: list[Dataset], port: int = 0, status: int = 0xFF00) -> Iterator[tuple[Peer, list[Dataset]]]:
    """An archive that names `found` to whoever asks, and sends CT_small to RADPLUG at `port`."""
    asked: list[Dataset] = []

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked.append(event.identifier)
        for each in found:
            yield status, each

    def move(event: evt.Event) -> Iterator[object]:
        asked.append(event.identifier)
        if event.move_destination != "RADPLUG":
            yield None, None
            return
        yield "127.0.0.1", port, {"contexts": contexts}
        yield 1
        yield 0xFF00, pydicom.dcmread(bundled("CT_small.dcm"))

    ae = AE("ARCHIVE")
    ae.add_supported_context(FIND)
    ae.add_supported_context(MOVE)
    ae.add_supported_context(GET)
    ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    ae.add_requested_context(CTImageStorage)
    contexts = ae.requested_contexts

    def get(event: evt.Event) -> Iterator[object]:
        asked.append(event.identifier)
        yield 1
        yield 0xFF00, pydicom.dcmread(bundled("CT_small.dcm"))

    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_MOVE, move), (evt.EVT_C_GET, get)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Peer("ARCHIVE", "127.0.0.1", server.server_address[1]), asked
    finally:
        server.shutdown()


def named(uid: str, name: str = "Müller^Jürgen", modalities: list[str] | str = "CT") -> Dataset:
    study = Dataset()
    study.SpecificCharacterSet = "ISO_IR 100"
    study.PatientID, study.IssuerOfPatientID, study.PatientName = "4711", "HOSP", name
    study.PatientBirthDate, study.StudyInstanceUID, study.StudyDate = "19610203", uid, "20250304"
    study.ModalitiesInStudy, study.AccessionNumber = modalities, "A7"
    return study


def find(peer: Peer, patient_id: str = "4711", most: int = 500) -> list[FoundStudy]:
    return find_studies(patient_id, peer, calling_ae="RADPLUG", timeout=5, most=most)


def test_what_an_archive_names() -> None:
    with archive([named("1.2.3", modalities=["CT", "SR"]), named("1.2.4")]) as (peer, asked):
        first, second = find(peer)
    patient = Patient("4711", "HOSP", "Müller^Jürgen", "19610203")
    assert first == FoundStudy("1.2.3", patient, "20250304", frozenset({"CT", "SR"}), "", "A7")
    assert second.modalities == {"CT"}
    (query,) = asked
    assert (query.QueryRetrieveLevel, query.PatientID) == ("STUDY", "4711")
    assert {"IssuerOfPatientID", "AccessionNumber"} <= set(query.dir())


def test_an_answer_without_its_study_is_none_and_no_more_are_taken_than_wanted() -> None:
    with archive([named(""), *(named(f"1.2.{n}") for n in range(1, 9))]) as (peer, _):
        assert [study.uid for study in find(peer, most=2)] == ["1.2.1", "1.2.2"]


@pytest.mark.parametrize("patient_id", ["", " ", "47*", "4?11", "1\\2"])
def test_nobody_else_is_asked_for(patient_id: str) -> None:
    with archive([named("1.2.3")]) as (peer, asked):
        with pytest.raises(Rejected):
            find(peer, patient_id)
        assert asked == []


@pytest.mark.parametrize(("status", "kind"), [(0xA700, Unavailable), (0xC001, Rejected)])
def test_what_an_archive_refuses(status: int, kind: type[Exception]) -> None:
    with archive([named("1.2.3")], status=status) as (peer, _), pytest.raises(kind):
        find(peer)


def test_nobody_there() -> None:
    with pytest.raises(Unavailable):
        find(Peer("ARCHIVE", "127.0.0.1", free_port()))


def test_a_study_comes_to_our_own_listener() -> None:
    came: list[Arrival] = []
    with listening(came.append) as ours, archive([], ours.port) as (peer, asked):
        assert move_study("1.2.3", "RADPLUG", peer, calling_ae="RADPLUG", timeout=5, seconds=5) == 1
    assert [arrival.instance.modality for arrival in came] == ["CT"]
    assert came[0].is_moved_by("RADPLUG") is None  # pynetdicom's SCP names itself
    assert asked[0].StudyInstanceUID == "1.2.3"


def test_an_archive_that_does_not_know_us() -> None:
    with archive([]) as (peer, _), pytest.raises(Rejected):
        move_study("1.2.3", "NOBODY", peer, calling_ae="RADPLUG", timeout=5, seconds=5)


@pytest.mark.parametrize(
    ("originator", "is_ours"), [("RADPLUG", True), ("WORKSTATION", False), ("", None), ("ARCHIVE", None)]
)
def test_whose_c_move_has_brought_an_instance(originator: str, is_ours: bool | None) -> None:
    came: list[Arrival] = []
    with (
        listening(came.append) as ours,
        associated(ours.port, [kind(bundled("CT_small.dcm"))], "ARCHIVE") as association,
    ):
        told = {"originator_aet": originator, "originator_id": 1} if originator else {}
        association.send_c_store(pydicom.dcmread(bundled("CT_small.dcm")), **told)
    assert came[0].is_moved_by("RADPLUG") is is_ours


def test_a_study_comes_on_the_association_that_asks() -> None:
    came: list[Arrival] = []
    with archive([]) as (peer, asked):
        assert get_study("1.2.3", came.append, peer, calling_ae="RADPLUG", timeout=5, seconds=5) == 1
    (arrival,) = came
    assert arrival.instance.sop_instance_uid == read_instance(bundled("CT_small.dcm")).sop_instance_uid
    assert identify(arrival.data_set, arrival.instance.transfer_syntax_uid) == arrival.instance
    assert asked[0].StudyInstanceUID == "1.2.3"


def test_what_takes_longer_than_there_is_time_for_is_broken_off() -> None:
    came: list[Arrival] = []
    with archive([]) as (peer, _), pytest.raises(Unavailable, match="in the time"):
        get_study("1.2.3", came.append, peer, calling_ae="RADPLUG", timeout=5, seconds=0)
    assert came == []
