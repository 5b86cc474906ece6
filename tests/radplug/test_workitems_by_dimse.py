"""Workitems by UPS Pull: what a peer that is away, refuses or forgets brings about, and where images come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from archives_at_work import archive
from certificates import authority
from image_samples import item
from peers import free_port, wait_until
from pydicom import dcmread
from sites import hospital
from workitem_sites import DRAFT, US, Make, Site, by_dimse

from dicom_io import tls
from dicom_io.arrival import Arrival
from dicom_io.errors import Unavailable
from dicom_io.listener import Listener
from dicom_io.workitems import Step
from radplug import pipeline
from radplug.acceptance.held_workitems import Asked
from radplug.acceptance.simulated_image_archive import SimulatedImageArchive
from radplug.acceptance.simulated_ups_scp import SimulatedUpsScp
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.records.workitems import WorkitemState
from radplug.wiring import House


@pytest.fixture
def at(build: Callable[..., House], tmp_path: Path) -> Iterator[Make]:
    with by_dimse(build, tmp_path) as make:
        yield make


@pytest.fixture
def site(at: Make) -> Site:
    return at()


# ── a peer's answers, and none ──


def test_a_peer_that_is_down_and_comes_up_again_has_lost_nothing(at: Make) -> None:
    site = at()
    assert isinstance(site.ups, SimulatedUpsScp)
    study = site.study()
    uid = site.schedule(study)
    site.ups.stop()
    with pytest.raises(Unavailable):
        site.performer.search()
    site.ups.start()
    site.performer.search()
    site.ups.stop()
    site.look_again()
    assert site.states() == [WorkitemState.CLAIMING]
    site = at()  # started anew meanwhile
    site.ups.start()
    site.look_again()
    assert site.states() == [WorkitemState.FETCHED]
    site.draft(study)
    site.ups.stop()
    site.look_again()
    site = at()
    assert site.states() == [WorkitemState.FETCHED]
    site.ups.start()
    site.look_again()
    assert site.ups.held(uid).states == [Step.SCHEDULED, Step.IN_PROGRESS, Step.COMPLETED]
    assert site.states() == [WorkitemState.COMPLETED]


@pytest.mark.parametrize("status", [0x0110, 0x0124, 0xC3FF], ids=lambda status: f"{status:04X}")
def test_what_is_no_refusal_for_good_is_asked_again(site: Site, status: int) -> None:
    assert isinstance(site.ups, SimulatedUpsScp)
    uid = site.schedule(site.study())
    site.performer.search()
    for asked, state in ((Asked.CHANGE, WorkitemState.CLAIMING), (Asked.RETRIEVE, WorkitemState.CLAIMED)):
        site.ups.answers = {asked: status}
        site.look_again()
        assert site.states() == [state]
        (claim,) = site.claims()
        assert f"answered 0x{status:04X}" in claim.outcome
    site.ups.answers = {}
    site.look_again()
    assert (site.states(), site.ups.held(uid).state) == ([WorkitemState.FETCHED], Step.IN_PROGRESS)


def test_a_peer_that_does_not_know_us_yet_keeps_its_workitems_for_us(site: Site) -> None:
    assert isinstance(site.ups, SimulatedUpsScp)
    site.schedule(site.study())
    site.performer.search()
    site.ups.let_in("OTHERS")
    site.look_again()
    assert site.states() == [WorkitemState.CLAIMING]
    site.ups.let_in()
    site.look_again()
    assert site.states() == [WorkitemState.FETCHED]


def test_a_workitem_that_is_gone_is_left(site: Site) -> None:
    gone, forgotten = site.schedule(site.study()), site.schedule(site.study("forgotten"))
    site.performer.search()
    site.ups.forget(gone)
    site.performer.go_on()
    site.ups.forget(forgotten)
    site.look_again()
    assert site.states() == [WorkitemState.LOST] * 2
    outcomes = {one["workitem"]: one["reason"] for one in site.noted("workitem lost")}
    assert all("0xC307" in outcomes[uid] for uid in (gone, forgotten))


def test_an_end_that_is_refused_for_good_cancels_the_workitem_and_says_why(site: Site) -> None:
    assert isinstance(site.ups, SimulatedUpsScp)
    study = site.study()
    uid = site.schedule(study)
    site.performer.search()
    site.step()
    site.draft(study)
    site.ups.answers[Asked.CHANGE] = 0xC304
    site.pause_is_over()
    site.performer.go_on()
    assert site.states() == [WorkitemState.CANCELING]
    site.ups.answers.clear()
    site.look_again()
    (progress,) = site.ups.held(uid).told.ProcedureStepProgressInformationSequence
    assert "0xC304: what a workitem must tell at its end has not been told" in progress.ReasonForCancellation
    assert (site.states(), site.ups.held(uid).state) == ([WorkitemState.CANCELED], Step.CANCELED)


def test_with_tls_a_certificate_that_is_away_for_a_while_costs_no_workitem(at: Make, tmp_path: Path) -> None:
    hospital_ca = authority(tmp_path / "certificates", "hospital")
    theirs, ours = hospital_ca.vouches("workflow"), hospital_ca.vouches("radplug")
    assert ours.own
    certificate, key = ours.own
    with SimulatedUpsScp("PACS", tls=lambda: tls.accepting(theirs)) as ups:
        peer = {"ae_title": "WORKFLOW", "host": "127.0.0.1", "port": ups.port}
        plain = at(peer=peer)
        with pytest.raises(Unavailable):
            plain.performer.search()
        ups.files = plain.ups.files  # which the PACS has
        with_tls = {"ca": ours.authorities, "certificate": certificate, "key": key}
        site = replace(at(peer=peer | {"tls": with_tls}), ups=ups)
        site.schedule(site.study())
        site.performer.search()
        certificate.rename(tmp_path / "away")
        site.step()
        assert site.states() == [WorkitemState.CLAIMING]
        (tmp_path / "away").rename(certificate)
        site.look_again()
        assert site.states() == [WorkitemState.FETCHED]


# ── where the images are ──


def elsewhere(study: SyntheticStudy, *ae_titles: str, **part: Any) -> list[Any]:
    image = dcmread(study.files[0])
    places = [item(RetrieveAETitle=ae_title) for ae_title in ae_titles]
    return [
        item(
            StudyInstanceUID=image.StudyInstanceUID,
            SeriesInstanceUID=image.SeriesInstanceUID,
            DICOMRetrievalSequence=places,
            **part,
        )
    ]


def test_images_at_no_pacs_of_ours_cancel_the_workitem(site: Site) -> None:
    strange, none = site.study(), site.study("none")
    uids = [
        site.schedule(study, InputInformationSequence=elsewhere(study, *where))
        for study, where in ((strange, ["STRANGER"]), (none, []))
    ]
    site.performer.search()
    site.step()
    reasons = [
        site.ups.held(uid).told.ProcedureStepProgressInformationSequence[0].ReasonForCancellation for uid in uids
    ]
    assert reasons[0].startswith("the workitem's images are at STRANGER, and that is none of the PACS")
    assert reasons[1].startswith("the workitem's images are at no AE title that it names")
    assert site.states() == [WorkitemState.CANCELED] * 2
    assert isinstance(site.pacs, SimulatedImageArchive)
    assert not site.pacs.asked


def test_of_several_places_one_that_we_know_is_asked_for_what_is_wanted_alone(site: Site) -> None:
    study = site.study()
    image = dcmread(study.files[1])
    named = [item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)]
    inputs = elsewhere(study, "STRANGER", "PACS", ReferencedSOPSequence=named)
    site.schedule(study, InputInformationSequence=inputs)
    site.performer.search()
    site.step()
    assert isinstance(site.pacs, SimulatedImageArchive)
    ((way, keys),) = site.pacs.asked
    assert (way, keys.QueryRetrieveLevel, keys.SOPInstanceUID) == ("C-GET", "IMAGE", image.SOPInstanceUID)
    case = site.house.viewing.case_of_study(study.study_uid)
    assert case is not None
    (row,) = site.house.drafting.instances(case.id)
    assert dcmread(site.house.store.path(row.file)) == image
    assert row.calling_ae == "PACS"


def test_images_come_by_c_move_to_our_listener(at: Make) -> None:
    site = at(retrieve_by="c-move")
    assert isinstance(site.pacs, SimulatedImageArchive)
    study = site.study()
    uid = site.schedule(study)
    site.performer.search()
    site.step()
    assert site.ups.held(uid).state == Step.CANCELED  # the PACS does not know where we are
    reason = site.ups.held(uid).told.ProcedureStepProgressInformationSequence[0].ReasonForCancellation
    assert "answered 0xA801" in reason

    def keep(arrival: Arrival) -> None:
        pipeline.receive(site.house, arrival.instance, arrival.header, arrival.data_set, arrival.calling_ae)

    with Listener("RADPLUG", "127.0.0.1", 0, keep, calling_ae_titles=frozenset({"PACS"})) as listener:
        site.pacs.knows["RADPLUG"] = ("127.0.0.1", listener.port)
        uid = site.schedule(study)
        site.performer.search()
        site.step()
    assert site.states() == [WorkitemState.CANCELED, WorkitemState.FETCHED]
    (*_, (way, keys)) = site.pacs.asked
    assert (way, keys.QueryRetrieveLevel) == ("C-MOVE", "SERIES")
    site.draft(study)
    site.look_again()
    assert site.ups.held(uid).state == Step.COMPLETED
    assert len(site.pacs.received) == 1


@pytest.mark.parametrize("way", ["c-move", "c-get"])
def test_radplug_up_does_a_peers_workitems_about_images_of_an_archive(tmp_path: Path, model: Path, way: str) -> None:
    dicom = free_port()
    pacs = f'[[pacs]]\nname = "archive"\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nport = {dicom}\n'
    with SimulatedUpsScp("ORTHANC") as ups:
        asked = (
            f'[workitems]\nstation = "RADPLUG^99HOSPITAL^AI"\nretrieve_by = "{way}"\npoll_seconds = 0.2\n'
            f'[workitems.peer]\nae_title = "WORKFLOW"\nhost = "127.0.0.1"\nport = {ups.port}\n'
        )
        with (
            hospital(tmp_path / "site", model, asked, pacs) as running,
            archive(tmp_path / "orthanc", running.listener.port, dicom) as server,
        ):
            study = running.study("study", 2)
            server.put(*study.files)
            uid = ups.schedule(study.files, US, DRAFT)
            wait_until(lambda: ups.held(uid).state == Step.COMPLETED, 120, "the workitem is completed")
            case = running.case(study)
            assert case is not None
            assert case.instances == 2
    (done,) = ups.held(uid).told.UnifiedProcedureStepPerformedProcedureSequence
    (output,) = done.OutputInformationSequence
    assert output.DICOMRetrievalSequence[0].RetrieveAETitle == "ORTHANC"
