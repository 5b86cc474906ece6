"""The whole way on real parts: sockets, processes, Redis, a model of the real architecture (tiny, random weights)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_checkpoint
from peers import tool, wait_until
from pydicom import dcmread
from pydicom.data import get_testdata_file
from sites import Hospital, hospital

from model_runtime.canvas import Anchor
from radplug.acceptance.returned import ReturnedOru, ReturnedSr, anchors_stand
from radplug.domain import CaseState, Dictation

CODES = {"FINDINGS": "59776-5", "IMPRESSION": "19005-8"}
DCMTK = {**os.environ, "TCP_NODELAY": "1"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    root = tmp_path_factory.mktemp("site")
    checkpoint = tiny_checkpoint.write(root / "checkpoint", canvas_length=256, steps=2)
    with hospital(root, checkpoint) as running:
        yield running


def srs_of(site: Hospital, study_uid: str) -> list[ReturnedSr]:
    return [sr for sr in map(ReturnedSr.read, site.pacs.received) if sr.study_uid == study_uid]


def orus_of(site: Hospital, study_uid: str) -> list[ReturnedOru]:
    return [oru for oru in map(ReturnedOru.read, site.ris.received) if oru.study_uid == study_uid]


@pytest.mark.parametrize("sender", ["storescu", "dcmsend"])
def test_a_study_from_dcmtk_comes_back_as_sr_and_oru(site: Hospital, sender: str) -> None:
    program, study = tool(sender), site.study(sender, views=2)
    command = [program, "-aet", "STORESCU", "-aec", "RADPLUG", "127.0.0.1", str(site.listener.port)]
    subprocess.run([*command, *map(str, study.files)], check=True, env=DCMTK)
    site.wait_for(study, CaseState.DELIVERED, 1)
    (sr,), (oru,) = srs_of(site, study.study_uid), orus_of(site, study.study_uid)
    assert (sr.faults, oru.faults, oru.obr_25, oru.obx_11) == ((), (), "R", ("R",))
    assert sr.texts[CODES["FINDINGS"]] == oru.texts[CODES["FINDINGS"]] != ""


def test_the_sr_satisfies_dciodvfy(site: Hospital) -> None:
    program, study = tool("dciodvfy"), site.study("dciodvfy")
    site.send(*study.files)
    site.wait_for(study, CaseState.DELIVERED, 1)
    (sr,) = srs_of(site, study.study_uid)
    verdict = subprocess.run([program, "-new", sr.file], capture_output=True, text=True, check=False)
    assert verdict.returncode == 0
    assert not [line for line in verdict.stderr.splitlines() if line.startswith("Error")]


def test_dictated_phrases_and_the_order_stand_in_what_comes_back(site: Hospital) -> None:
    study, house = site.study("anchors"), site.running.house
    said = [
        Anchor("FINDINGS", "Ø 7 mm | node ^ & ~ \\ 漢"),
        Anchor("FINDINGS", "e\u0301 — second line\nthird"),
        Anchor("IMPRESSION", "No change."),
    ]
    house.receiving.add_order(study.order, house.now())
    for anchor in said:
        accession = study.order.accession_number
        house.receiving.add_dictation(Dictation(anchor.section, anchor.text, "test", house.now(), accession))
    site.send(*study.files)
    site.wait_for(study, CaseState.DELIVERED, 1)
    (sr,), (oru,) = srs_of(site, study.study_uid), orus_of(site, study.study_uid)
    assert anchors_stand(said, CODES, sr.texts)
    assert anchors_stand(said, CODES, oru.texts)
    request = dcmread(sr.file).ReferencedRequestSequence[0]
    assert request.PlacerOrderNumberImagingServiceRequest == study.order.placer_order_number
    assert oru.placer_order_number == study.order.placer_order_number


def test_a_late_image_brings_version_2_and_a_resend_brings_nothing(site: Hospital) -> None:
    study = site.study("late", views=2)
    site.send(study.files[0])
    site.wait_for(study, CaseState.DELIVERED, 1)
    site.send(study.files[0])
    site.send(study.files[1])
    case = site.wait_for(study, CaseState.DELIVERED, 2)
    site.send(*study.files)
    first, second = srs_of(site, study.study_uid)
    revised, original = dcmread(second.file), dcmread(first.file)
    predecessor = revised.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert predecessor.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == original.SOPInstanceUID
    assert revised.SeriesInstanceUID == original.SeriesInstanceUID
    assert (original.InstanceNumber, revised.InstanceNumber) == (1, 2)
    corrected = orus_of(site, study.study_uid)
    assert [oru.obr_25 for oru in corrected] == ["R", "R"]
    assert corrected[0].control_id != corrected[1].control_id
    assert site.case(study) == case


def test_what_the_model_was_not_made_for_is_not_drafted_and_says_why(site: Hospital) -> None:
    file = Path(str(get_testdata_file("CT_small.dcm", download=False)))
    site.send(file)
    house, uid = site.running.house, str(dcmread(file).StudyInstanceUID)
    wait_until(
        lambda: (case := house.viewing.case_of_study(uid)) and case.state is CaseState.NOT_DRAFTED, 30, "not drafted"
    )
    case = house.viewing.case_of_study(uid)
    assert case is not None
    assert "does not cover" in case.reason
    assert not srs_of(site, uid)


def test_burned_in_text_is_not_drafted(site: Hospital) -> None:
    study = site.study("burned-in")
    data_set = dcmread(study.files[0])
    data_set.BurnedInAnnotation = "YES"
    data_set.save_as(study.files[0])
    site.send(study.files[0])
    case = site.wait_for(study, CaseState.NOT_DRAFTED, 0)
    assert "burned" in case.reason.lower()


def test_an_anchor_for_a_section_that_is_not_there_is_not_dropped_silently(site: Hospital) -> None:
    study, house = site.study("refused-anchor"), site.running.house
    house.receiving.add_dictation(Dictation("LUNGS", "clear", "test", house.now(), study.order.accession_number))
    site.send(*study.files)
    case = site.wait_for(study, CaseState.NOT_DRAFTED, 0)
    assert "no section" in case.reason


def test_no_patient_name_is_in_any_log(site: Hospital) -> None:
    study = site.study("named")
    site.send(*study.files)
    site.wait_for(study, CaseState.DELIVERED, 1)
    log = (site.root / "radplug.log").read_text()
    assert "listener" in log
    assert "Phantom" not in log
    assert "PHANTOM-1" not in log
