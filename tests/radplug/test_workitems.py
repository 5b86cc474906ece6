"""Workitems, by UPS-RS and UPS Pull: claimed once, fetched, drafted, told what came of them, whatever breaks off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from image_samples import item
from peers import wait_until
from pydicom import dcmread
from sites import PACS_AE, hospital
from workitem_sites import AT_PACS, DRAFT, US, Make, Site, by_dimse, by_web

from dicom_io.study import Instance
from dicom_io.workitems import Code, Conflict, Step
from radplug.acceptance.held_workitems import Asked
from radplug.acceptance.simulated_image_archive import SimulatedImageArchive
from radplug.acceptance.simulated_ups import SimulatedUps
from radplug.asking.workitems import workitems_of
from radplug.domain import CaseState, StoredFile
from radplug.records.receiving import Receiving
from radplug.records.workitems import WorkitemState
from radplug.study_store import StudyStore
from radplug.wiring import House


@pytest.fixture(params=[by_web, by_dimse], ids=["UPS-RS", "UPS Pull"])
def at(request: pytest.FixtureRequest, build: Callable[..., House], tmp_path: Path) -> Iterator[Make]:
    with request.param(build, tmp_path) as make:
        yield make


over_the_web = pytest.mark.parametrize("at", [by_web], ids=["UPS-RS"], indirect=True)


@pytest.fixture
def site(at: Make) -> Site:
    return at()


# ── the way of a workitem ──


def test_a_workitem_is_claimed_fetched_drafted_and_completed(site: Site) -> None:
    study = site.study()
    uid = site.schedule(study)
    site.performer.search()
    site.step()
    assert site.ups.held(uid).state == Step.IN_PROGRESS
    case = site.house.viewing.case_of_study(study.study_uid)
    assert case is not None
    assert (case.state, case.instances) == (CaseState.RECEIVING, 2)
    order = site.house.drafting.order(case)
    assert order is not None
    assert (order.indication, order.placer_order_number) == ("cough", "P1")
    for row, file in zip(site.house.drafting.instances(case.id), study.files, strict=True):
        assert dcmread(site.house.store.path(row.file)) == dcmread(file)

    site.draft(study)
    site.look_again()
    held = site.ups.held(uid)
    assert held.states == [Step.SCHEDULED, Step.IN_PROGRESS, Step.COMPLETED]
    (sent,) = (dcmread(file) for file in site.pacs.received)
    (done,) = held.told.UnifiedProcedureStepPerformedProcedureSequence
    assert done.PerformedStationNameCodeSequence[0].CodeValue == "RADPLUG"
    assert done.PerformedWorkitemCodeSequence[0].CodeValue == "DRAFT"
    assert done.PerformedProcedureStepStartDateTime <= done.PerformedProcedureStepEndDateTime
    (output,) = done.OutputInformationSequence
    assert (output.StudyInstanceUID, output.SeriesInstanceUID) == (study.study_uid, sent.SeriesInstanceUID)
    (reference,) = output.ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == sent.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == sent.SOPClassUID
    assert output.DICOMRetrievalSequence[0].RetrieveAETitle == "PACS"
    assert site.states() == [WorkitemState.COMPLETED]
    site.performer.search()
    assert site.states() == [WorkitemState.COMPLETED]
    for event in ("workitem claimed", "workitem's inputs fetched", "workitem completed"):
        assert [one["workitem"] for one in site.noted(event)] == [uid]


def test_a_study_that_is_not_drafted_cancels_its_workitem_with_the_reason(at: Make) -> None:
    site = at(drafting={"assume_body_part": "FOOT"})
    study = site.study()
    for file in study.files:
        image = dcmread(file)
        image.BodyPartExamined = "FOOT"
        image.save_as(file)
    uid = site.schedule(study)
    site.performer.search()
    site.step()
    site.draft(study)
    site.look_again()
    held = site.ups.held(uid)
    assert held.state == Step.CANCELED
    (progress,) = held.told.ProcedureStepProgressInformationSequence
    assert progress.ReasonForCancellation.startswith("not drafted: ")
    assert progress.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"
    assert site.states() == [WorkitemState.CANCELED]


def test_a_study_whose_draft_is_out_already_is_told_of_at_once(site: Site) -> None:
    study = site.study()
    first = site.schedule(study)
    site.performer.search()
    site.step()
    site.draft(study)
    site.look_again()
    second = site.schedule(study)
    site.performer.search()
    site.step()
    assert [site.ups.held(uid).state for uid in (first, second)] == [Step.COMPLETED] * 2
    assert len(site.pacs.received) == 1


def test_of_several_inputs_the_requested_study_is_drafted_and_but_the_named_instances(site: Site) -> None:
    study, prior = site.study(), site.study("prior")
    image, other = (dcmread(study.files[0]), dcmread(prior.files[0]))
    named = item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)
    inputs = [
        item(StudyInstanceUID=other.StudyInstanceUID, SeriesInstanceUID=other.SeriesInstanceUID, **AT_PACS),
        item(StudyInstanceUID=image.StudyInstanceUID, ReferencedSOPSequence=[named], **AT_PACS),
    ]
    site.ups.schedule(prior.files, Code("CAD", "99HOSPITAL"), DRAFT)
    site.schedule(study, InputInformationSequence=inputs)
    site.performer.search()
    site.step()
    case = site.house.viewing.case_of_study(study.study_uid)
    assert case is not None
    assert case.instances == 1
    assert site.house.viewing.case_of_study(prior.study_uid) is None


def test_a_fault_of_our_own_with_one_workitem_holds_up_no_other(site: Site) -> None:
    studies = [site.study(), site.study("second")]
    uids = [site.schedule(study) for study in studies]

    class Faulty(Receiving):
        def known(self, instance: Instance, sha256: str) -> StoredFile | None:
            if instance.study_uid == studies[0].study_uid:
                raise ZeroDivisionError
            return super().known(instance, sha256)

    site.house.__dict__["receiving"] = Faulty(site.house.database)
    site.performer.search()
    site.step()
    assert site.house.viewing.case_of_study(studies[0].study_uid) is None
    assert site.house.viewing.case_of_study(studies[1].study_uid) is not None
    del site.house.__dict__["receiving"]
    site.look_again()
    assert site.house.viewing.case_of_study(studies[0].study_uid) is not None
    assert [site.ups.held(uid).state for uid in uids] == [Step.IN_PROGRESS] * 2


# ── which are claimed ──


@pytest.mark.parametrize(
    "elements",
    [
        {"ScheduledStationNameCodeSequence": [item(CodeValue="CAD", CodingSchemeDesignator="99HOSPITAL")]},
        {"ScheduledStationNameCodeSequence": [item(CodeValue="RADPLUG", CodingSchemeDesignator="OTHER")]},
        {"ScheduledWorkitemCodeSequence": [item(CodeValue="CAD", CodingSchemeDesignator="99HOSPITAL")]},
        {"SOPInstanceUID": "../../studies"},
        {"InputReadinessState": "UNREADY"},
        {"ProcedureStepState": "IN PROGRESS"},
    ],
    ids=["another station", "another scheme", "another task", "no UID", "not ready", "begun"],
)
def test_what_is_not_for_us_is_left_alone(site: Site, elements: dict[str, Any]) -> None:
    site.schedule(site.study(), **elements)
    site.performer.search()
    assert site.states() == []


def test_so_many_at_a_time(at: Make) -> None:
    site = at(at_once=2)
    for number in range(3):
        site.schedule(site.study(f"study-{number}"))
    site.performer.search()
    site.performer.search()
    assert site.states() == [WorkitemState.CLAIMING] * 2


def test_without_a_code_of_its_own_every_task_of_the_station_is_done(at: Make) -> None:
    site = at(code=None)
    site.ups.schedule(site.study().files, US, Code("CAD", "99HOSPITAL"))
    site.performer.search()
    assert len(site.states()) == 1


# ── what breaks off ──


def test_a_claim_whose_answer_was_lost_is_ours_all_the_same(site: Site) -> None:
    study = site.study()
    uid = site.schedule(study)
    site.performer.search()
    site.ups.loses.append(Asked.CHANGE)
    site.performer.go_on()
    assert (site.ups.held(uid).state, site.states()) == (Step.IN_PROGRESS, [WorkitemState.CLAIMING])
    site.look_again()
    assert site.states() == [WorkitemState.FETCHED]
    assert len(site.ups.held(uid).states) == 2


def test_a_workitem_that_another_was_quicker_to_claim_is_lost(site: Site) -> None:
    uid = site.schedule(site.study())
    site.performer.search()
    site.ups.change(uid, "1.2", Step.IN_PROGRESS)
    site.step()
    assert site.states() == [WorkitemState.LOST]
    assert site.ups.held(uid).transaction_uid == "1.2"
    assert site.house.viewing.cases(10) == []


def test_an_end_whose_answer_was_lost_is_told_once(site: Site) -> None:
    study = site.study()
    uid = site.schedule(study)
    site.performer.search()
    site.step()
    site.draft(study)
    site.ups.loses.append(Asked.CHANGE)
    site.pause_is_over()
    site.performer.go_on()
    assert (site.ups.held(uid).state, site.states()) == (Step.COMPLETED, [WorkitemState.FETCHED])
    site.look_again()
    assert site.states() == [WorkitemState.COMPLETED]
    assert len(site.ups.held(uid).states) == 3


def test_a_fetch_that_breaks_off_is_begun_again(site: Site) -> None:
    study = site.study()
    site.schedule(study)
    site.performer.search()
    site.performer.go_on()
    site.ups.loses.append(Asked.RETRIEVE)
    site.performer.go_on()
    assert site.states() == [WorkitemState.CLAIMED]
    site.look_again()
    assert site.states() == [WorkitemState.FETCHED]


def test_no_room_for_the_images_is_no_reason_to_cancel(site: Site) -> None:
    uid = site.schedule(site.study())
    site.performer.search()
    site.house.store = StudyStore(site.house.store.root, 1 << 60)
    site.step()
    assert (site.states(), site.ups.held(uid).state) == ([WorkitemState.CLAIMED], Step.IN_PROGRESS)
    (claim,) = site.claims()
    assert "make room on the disk" in claim.outcome
    del site.house.store  # it is what the settings say again
    site.look_again()
    assert site.states() == [WorkitemState.FETCHED]


def test_what_cannot_be_fetched_cancels_the_workitem(site: Site) -> None:
    gone = [item(StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4", **AT_PACS)]
    uid = site.schedule(site.study(), InputInformationSequence=gone)
    nothing = site.schedule(site.study("nothing"), InputInformationSequence=[])
    site.performer.search()
    site.step()
    reasons = {}
    for one in (uid, nothing):
        assert site.ups.held(one).state == Step.CANCELED
        reasons[one] = site.ups.held(one).told.ProcedureStepProgressInformationSequence[0].ReasonForCancellation
    by_web = isinstance(site.ups, SimulatedUps)
    wanted = "answered 404" if by_web else "none of the workitem's inputs is of a kind that is taken"
    assert wanted in reasons[uid]
    assert reasons[nothing] == "the workitem names no study among its inputs"


def test_the_images_are_fetched_where_the_site_says_whatever_the_workitem_says(at: Make) -> None:
    site = at(retrieve_url="http://127.0.0.1:1/")
    site.schedule(site.study())
    site.performer.search()
    site.step()
    assert site.states() == [WorkitemState.CLAIMED]
    if isinstance(site.ups, SimulatedUps):
        assert not [address for address in site.ups.asked if "/studies/" in address]
    if isinstance(site.pacs, SimulatedImageArchive):
        assert not site.pacs.asked


def test_a_claim_is_written_down_once_and_goes_on_until_its_end(house: House) -> None:
    now = house.now()
    assert house.claims.set_out("1.2.3", now)
    (claim,) = house.claims.due(now)
    assert not house.claims.set_out("1.2.3", now)
    assert house.claims.due(now) == [claim]
    house.claims.postpone(claim, now + timedelta(seconds=9), "away")
    assert house.claims.due(now) == []
    (again,) = house.claims.due(now + timedelta(seconds=9))
    assert (again.transaction_uid, again.attempts, again.outcome) == (claim.transaction_uid, 1, "away")
    house.claims.move(again, WorkitemState.CLAIMED, now, claimed_at=now)
    assert (house.claims.open(), house.claims.due(now)[0].claimed_at) == (1, now)
    house.claims.move(again, WorkitemState.COMPLETED, now)
    assert (house.claims.open(), house.claims.due(now + timedelta(days=9))) == (0, [])


# ── the station, and the server's own refusals ──


def test_the_station_goes_on_by_itself(at: Make) -> None:
    site = at(poll_seconds=0.1)
    study = site.study()
    uid = site.schedule(study)
    stop = threading.Event()
    thread = threading.Thread(target=site.performer.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: site.states() == [WorkitemState.FETCHED], 30, "the inputs are here")
        site.draft(study)
        wait_until(lambda: site.ups.held(uid).state == Step.COMPLETED, 30, "the workitem is completed")
    finally:
        stop.set()
        thread.join()


def test_radplug_up_does_workitems(tmp_path: Path, model: Path) -> None:
    with SimulatedUps() as ups:
        asked = f'[workitems]\nurl = "{ups.url}"\nstation = "RADPLUG^99HOSPITAL^AI"\npoll_seconds = 0.2\n'
        with hospital(tmp_path / "site", model, asked) as running:
            study = running.study("study")
            uid = ups.schedule(study.files, US, DRAFT)
            wait_until(lambda: ups.held(uid).state == Step.COMPLETED, 120, "the workitem is completed")
            (sr,) = (dcmread(file) for file in running.pacs.received)
    (done,) = ups.held(uid).told.UnifiedProcedureStepPerformedProcedureSequence
    (output,) = done.OutputInformationSequence
    assert output.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == sr.SOPInstanceUID
    assert output.DICOMRetrievalSequence[0].RetrieveAETitle == PACS_AE


@over_the_web
def test_a_token_that_is_renewed_counts_at_once(site: Site) -> None:
    site.schedule(site.study())
    site.performer.search()
    token_file = site.root / "token"
    token_file.write_text("old")
    site.performer.go_on()
    assert site.states() == [WorkitemState.CLAIMING]
    token_file.write_text("let us in")
    site.look_again()
    assert site.states() == [WorkitemState.FETCHED]


def test_nobody_ends_what_they_have_not_claimed(site: Site) -> None:
    assert site.house.settings.workitems
    server = workitems_of(site.house, site.house.settings.workitems)()
    uid = site.schedule(site.study())
    for state in (Step.COMPLETED, Step.CANCELED):
        with pytest.raises(Conflict):
            server.change(uid, "1.2", state)
    assert server.retrieve(uid).state == Step.SCHEDULED


def test_rules_may_name_whoever_the_images_come_from(site: Site) -> None:
    callers = site.house.known_to_rules.callers
    by_web = isinstance(site.ups, SimulatedUps)
    assert callers is not None
    assert ("UPS-RS" in callers, "PACS" in callers) == (by_web, not by_web)
