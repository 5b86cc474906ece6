"""UPS Pull as its SCU, with a simulated SCP: what it asks, and what it makes of each status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from certificates import authority
from image_samples import item
from peers import free_port
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.status import STATUS_FAILURE, code_to_category

from dicom_io import performed, pulling, tls
from dicom_io.association import Peer
from dicom_io.commitment import Reference
from dicom_io.errors import DicomError, Rejected, Unavailable, Unreadable
from dicom_io.pulling import UpsPull
from dicom_io.workitems import Code, Conflict, Input, Step
from radplug.acceptance import synthetic_study
from radplug.acceptance.held_workitems import Asked
from radplug.acceptance.simulated_ups_scp import SimulatedUpsScp
from radplug.acceptance.synthetic_study import SyntheticStudy

US, DRAFT = Code("RADPLUG", "99HOSPITAL", "AI drafts"), Code("DRAFT", "99HOSPITAL", "Draft a report")
DONE = performed.results(US, DRAFT, datetime.now(UTC), datetime.now(UTC), [])


@pytest.fixture
def ups() -> Iterator[SimulatedUpsScp]:
    with SimulatedUpsScp("PACS") as ups:
        yield ups


@pytest.fixture
def study(tmp_path: Path) -> SyntheticStudy:
    return synthetic_study.write(tmp_path / "study", 1_000_000_001, datetime.now(UTC), size=128)


@pytest.fixture
def workitem(ups: SimulatedUpsScp, study: SyntheticStudy) -> str:
    asked = item(StudyInstanceUID=study.study_uid, ReasonForTheRequestedProcedure="Husten, Müdigkeit")
    return ups.schedule(study.files, US, DRAFT, ReferencedRequestSequence=[asked])


def at(ups: SimulatedUpsScp, calling_ae: str = "RADPLUG") -> UpsPull:
    return UpsPull(Peer("WORKFLOW", "127.0.0.1", ups.port), calling_ae=calling_ae, timeout=2)


# ── what is asked ──


def test_what_is_ready_for_us_is_found_by_value_and_scheme_and_no_patient_is_asked_for(
    ups: SimulatedUpsScp, workitem: str, study: SyntheticStudy
) -> None:
    ups.schedule(study.files, Code("CAD", "99HOSPITAL"), DRAFT)
    ups.schedule(study.files, Code("RADPLUG", "OTHER"), DRAFT)
    cad = ups.schedule(study.files, US, Code("CAD", "99HOSPITAL"))
    ups.schedule(study.files, US, DRAFT, InputReadinessState="UNREADY")
    assert [found.uid for found in at(ups).search(US, DRAFT, 10)] == [workitem]
    found = at(ups).search(US, None, 10)
    assert [one.uid for one in found] == [workitem, cad]
    assert found[0].state == Step.SCHEDULED
    assert found[0].stations[0].is_same(US)
    assert found[0].codes[0].is_same(DRAFT)
    for query in ups.queries:
        assert not [element.keyword for element in query.iterall() if element.tag.group == 0x0010]


def test_no_more_are_taken_than_are_wanted(ups: SimulatedUpsScp, study: SyntheticStudy) -> None:
    for _ in range(5):
        ups.schedule(study.files, US, DRAFT)
    assert len(at(ups).search(US, DRAFT, 2)) == 2
    assert len(at(ups).search(US, DRAFT, 5)) == 5


def test_a_workitem_tells_its_inputs_and_its_order(ups: SimulatedUpsScp, study: SyntheticStudy) -> None:
    places = [item(RetrieveAETitle="PACS"), item(RetrieveAETitle=["ARCHIVE", "OLD"]), item(RetrieveAETitle="")]
    named = [item(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID="1.2.4")]
    inputs = item(
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        ReferencedSOPSequence=named,
        DICOMRetrievalSequence=places,
    )
    request = item(StudyInstanceUID="1.2.3", AccessionNumber="A1", ReasonForTheRequestedProcedure="Husten, Müdigkeit")
    uid = ups.schedule(
        study.files, US, DRAFT, InputInformationSequence=[inputs], ReferencedRequestSequence=[request], PatientID="P1"
    )
    found = at(ups).retrieve(uid)
    assert found.inputs == (Input("1.2.3", "1.2.3.4", frozenset({"1.2.4"}), ("PACS", "ARCHIVE", "OLD")),)
    (asked,) = found.requests
    assert (asked.accession_number, asked.patient.id, asked.indication) == ("A1", "P1", "Husten, Müdigkeit")


def test_a_workitem_is_claimed_once_and_ended_by_whoever_claimed_it(ups: SimulatedUpsScp, workitem: str) -> None:
    ours, another = at(ups), at(ups, "CAD")
    ours.change(workitem, "1.2.1", Step.IN_PROGRESS)
    with pytest.raises(Conflict, match="0xC302: it is IN PROGRESS already"):
        another.change(workitem, "1.2.2", Step.IN_PROGRESS)
    with pytest.raises(Conflict, match="0xC301"):
        another.update(workitem, "1.2.2", performed.begun())
    with pytest.raises(Conflict, match="0xC301"):
        another.change(workitem, "1.2.2", Step.CANCELED)
    ours.update(workitem, "1.2.1", performed.begun())
    with pytest.raises(Rejected, match="0xC304") as refused:
        ours.change(workitem, "1.2.1", Step.COMPLETED)
    assert not isinstance(refused.value, Conflict)
    ours.update(workitem, "1.2.1", DONE)
    ours.change(workitem, "1.2.1", Step.COMPLETED)
    ours.change(workitem, "1.2.1", Step.COMPLETED)  # 0xB306
    assert ups.held(workitem).states == [Step.SCHEDULED, Step.IN_PROGRESS, Step.COMPLETED]
    with pytest.raises(Conflict, match="0xC300"):
        ours.update(workitem, "1.2.1", performed.begun())


def test_what_is_told_arrives_in_any_script(ups: SimulatedUpsScp, workitem: str) -> None:
    ours = at(ups)
    ours.change(workitem, "1.2.1", Step.IN_PROGRESS)
    ours.update(workitem, "1.2.1", performed.reason("nicht entworfen: 顎 ist kein Körperteil", datetime.now(UTC)))
    (progress,) = ups.held(workitem).told.ProcedureStepProgressInformationSequence
    assert progress.ReasonForCancellation == "nicht entworfen: 顎 ist kein Körperteil"
    output = performed.Output(Reference("1.2", "1.2.5"), "1.2.3", "1.2.3.9", ae_title="PACS")
    ours.update(workitem, "1.2.1", performed.results(US, DRAFT, datetime.now(UTC), datetime.now(UTC), [output]))
    (done,) = ups.held(workitem).told.UnifiedProcedureStepPerformedProcedureSequence
    (place,) = done.OutputInformationSequence[0].DICOMRetrievalSequence
    assert place.RetrieveAETitle == "PACS"
    assert ups.held(workitem).told.ReferencedRequestSequence[0].ReasonForTheRequestedProcedure == "Husten, Müdigkeit"


# ── what becomes of each status ──


def asked_of(ups: SimulatedUpsScp, workitem: str) -> dict[Asked, Callable[[], object]]:
    return {
        Asked.RETRIEVE: lambda: at(ups).retrieve(workitem),
        Asked.CHANGE: lambda: at(ups).change(workitem, "1.2.1", Step.IN_PROGRESS),
        Asked.UPDATE: lambda: at(ups).update(workitem, "1.2.1", performed.begun()),
    }


@pytest.mark.parametrize("asked", [Asked.RETRIEVE, Asked.CHANGE, Asked.UPDATE])
def test_each_status_is_told_apart(ups: SimulatedUpsScp, workitem: str, asked: Asked) -> None:
    unknown = (0xC3FF, 0xA777, 0x0999)
    kinds: dict[int, type[DicomError]] = (
        dict.fromkeys(pulling.CONFLICTS, Conflict)
        | dict.fromkeys(pulling.REFUSALS, Rejected)
        | dict.fromkeys((*pulling.PASSING, *unknown), Unavailable)
    )
    for status, kind in kinds.items():
        ups.answers[asked] = status
        with pytest.raises(DicomError, match=f"answered 0x{status:04X}: ") as told:
            asked_of(ups, workitem)[asked]()
        assert type(told.value) is kind, f"{status:04X}"
    assert ups.held(workitem).states == [Step.SCHEDULED]
    for status in (*pulling.ALREADY, 0xB305, 0x0001):
        ups.answers[Asked.CHANGE] = status
        asked_of(ups, workitem)[Asked.CHANGE]()


def test_no_status_that_is_a_success_elsewhere_is_taken_for_a_failure() -> None:
    failures = (*pulling.CONFLICTS, *pulling.REFUSALS, *pulling.PASSING)
    assert {code_to_category(status) for status in failures} == {STATUS_FAILURE}
    assert len(failures) == len(set(failures))


@pytest.mark.parametrize("asked", list(Asked))
def test_an_answer_that_is_lost_is_no_refusal_and_what_was_asked_is_done(
    ups: SimulatedUpsScp, workitem: str, asked: Asked
) -> None:
    if asked is Asked.UPDATE:
        at(ups).change(workitem, "1.2.1", Step.IN_PROGRESS)
    ask = asked_of(ups, workitem) | {Asked.SEARCH: lambda: at(ups).search(US, DRAFT, 10)}
    ups.loses.append(asked)
    with pytest.raises(Unavailable, match="broke the association off"):
        ask[asked]()
    assert not ups.loses
    if asked is Asked.CHANGE:
        assert ups.held(workitem).state == Step.IN_PROGRESS
    if asked is Asked.UPDATE:
        assert "ProcedureStepProgressInformationSequence" in ups.held(workitem).told


def test_a_search_that_is_refused_finds_nothing_and_says_so(ups: SimulatedUpsScp, workitem: str) -> None:
    for status, kind in ((0xA700, Unavailable), (0xA900, Rejected), (0xC001, Rejected)):
        ups.answers[Asked.SEARCH] = status
        with pytest.raises(kind, match=f"0x{status:04X}"):
            at(ups).search(US, DRAFT, 10)


def test_a_peer_that_turns_us_away_refuses_no_workitem(ups: SimulatedUpsScp, workitem: str) -> None:
    ups.let_in("OTHERS")
    with pytest.raises(Unavailable, match="does not know the calling AE title RADPLUG: enter it there"):
        at(ups).retrieve(workitem)
    ups.let_in("RADPLUG")
    at(ups).retrieve(workitem)
    with pytest.raises(Unavailable, match="correct the called AE title"):
        UpsPull(Peer("ELSEWHERE", "127.0.0.1", ups.port), calling_ae="RADPLUG", timeout=2).retrieve(workitem)
    ups.stop()
    with pytest.raises(Unavailable, match="is it running"):
        at(ups).retrieve(workitem)
    ups.start()
    assert at(ups).retrieve(workitem).uid == workitem


def test_a_peer_without_workitems_and_one_that_says_nothing_of_one() -> None:
    ae, port = AE("WORKFLOW"), free_port()
    ae.add_supported_context("1.2.840.10008.1.1")
    peer = UpsPull(Peer("WORKFLOW", "127.0.0.1", port), calling_ae="RADPLUG", timeout=2)
    server = ae.start_server(("127.0.0.1", port), block=False)
    assert server
    with pytest.raises(Unavailable, match="takes nothing of what was to be sent: Unified Procedure Step - Pull"):
        peer.retrieve("1.2.3")
    server.shutdown()
    ae.add_supported_context(pulling.UPS_PULL, ExplicitVRLittleEndian)
    damaged = Dataset()
    damaged.add_new(0x00404021, "LO", "no sequence")  # Input Information Sequence

    def found(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        whole = Dataset()
        whole.SOPInstanceUID = "1.2.9"
        yield from ((0xFF00, damaged), (0xFF00, whole))

    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_N_GET, lambda event: (0x0000, damaged)),
        (evt.EVT_C_FIND, found),
    ]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server
    try:
        with pytest.raises(Unreadable, match="gave no workitem"):
            peer.retrieve("1.2.3")
        assert [one.uid for one in peer.search(US, None, 10)] == ["1.2.9"]
    finally:
        server.shutdown()


def test_with_tls_both_are_who_they_say(tmp_path: Path, study: SyntheticStudy) -> None:
    hospital, stranger = authority(tmp_path, "hospital"), authority(tmp_path, "stranger")
    theirs, ours = hospital.vouches("workflow"), hospital.vouches("radplug")
    with SimulatedUpsScp("PACS", tls=lambda: tls.accepting(theirs)) as ups:
        uid = ups.schedule(study.files, US, DRAFT)
        known = Peer("WORKFLOW", "127.0.0.1", ups.port, tls.calling(ours))
        pull = UpsPull(known, calling_ae="RADPLUG", timeout=2)
        assert pull.retrieve(uid).uid == uid
        unknown = Peer("WORKFLOW", "127.0.0.1", ups.port, tls.calling(stranger.vouches("radplug")))
        with pytest.raises(Unavailable, match="no TLS with it"):
            UpsPull(unknown, calling_ae="RADPLUG", timeout=2).retrieve(uid)
