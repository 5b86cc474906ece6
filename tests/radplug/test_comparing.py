"""A patient's earlier studies: found in an archive, fetched while the draft waits, cited in what is sent."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import tiny_checkpoint
from archives_at_work import RULES, Archive, archive, asking, dcmqrscp, of_patient, with_report
from browsers import signed_in, with_accounts
from houses import SIZE, receive_file
from peers import free_port, tool
from playwright.sync_api import Browser, expect
from pydicom import dcmread
from sites import hospital

from dicom_io.arrival import Arrival
from dicom_io.listener import Listener
from dicom_io.reading import read_instance
from dicom_io.report_checks import check
from dicom_io.sending import Peer, send
from dicom_io.study import Patient
from model_runtime.draft_text import DraftText
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.domain import Brief, Case, CaseState, DocumentKind
from radplug.notices import Identities, Identity
from radplug.people import Role
from radplug.priors import PriorState
from radplug.records.schema import cases
from radplug.web.serving import serving
from radplug.wiring import House

NOW = datetime.now().astimezone()


@dataclass(frozen=True)
class Stock:
    """What lies in the archive."""

    archive: Archive
    radplug_port: int  # where it sends what RADPLUG asks for
    older: SyntheticStudy
    newer: SyntheticStudy
    of_somebody: SyntheticStudy
    unreported: SyntheticStudy  # the newest of all
    folder: Path

    def settings(self, way: str, **more: Any) -> dict[str, Any]:
        return asking(self.archive.peer, self.folder, way, dicomweb={"url": self.archive.web}, **more)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    folder, port = tmp_path_factory.mktemp("archive"), free_port()

    def study(days: int) -> SyntheticStudy:
        return synthetic_study.write(folder / f"{days}", 7, NOW - timedelta(days=days), size=SIZE)

    older, newer = with_report(study(400), "No nodule, 400 days ago."), with_report(study(90), "No nodule.")
    newer = with_report(newer, "A draft.", "PRELIMINARY")
    of_patient(newer, StudyDescription="")  # its part of the body stands in its series alone
    of_somebody, unreported = with_report(study(30), "Nodule."), study(20)
    of_patient(of_somebody, PatientBirthDate="19610202")
    with archive(folder / "orthanc", port) as server:
        for each in (older, newer, of_somebody, unreported):
            server.put(*each.files)
        yield Stock(server, port, older, newer, of_somebody, unreported, folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint that reads one earlier report."""
    folder = tiny_checkpoint.write(tmp_path_factory.mktemp("model"), canvas_length=256, steps=2)
    card = folder / "model_card.toml"
    card.write_text(card.read_text().replace("images = 2", "images = 2\nearlier = 1"))
    return folder


@contextmanager
def listening(house: House, port: int) -> Iterator[None]:
    def keep(arrival: Arrival) -> None:
        by_us = arrival.is_moved_by("RADPLUG")
        assert by_us
        pipeline.receive(house, arrival.instance, arrival.header, arrival.data_set, "ORTHANC", moved_by_us=by_us)

    with Listener("RADPLUG", "127.0.0.1", port, keep, calling_ae_titles=None):
        yield


def closed(house: House, folder: Path) -> Case:
    """A study of today, whose draft waits."""
    (file,) = synthetic_study.write(folder, 7, NOW, size=SIZE).files
    receive_file(house, file)
    case = house.viewing.case_of_study(dcmread(file).StudyInstanceUID)
    assert case is not None
    return case


@pytest.mark.parametrize("way", ["c-move", "c-get", "dicomweb"])
def test_the_newest_that_is_reported_and_surely_the_patients(
    stock: Stock, build: Callable[..., House], tmp_path: Path, way: str
) -> None:
    house = build(**stock.settings(way))
    case = closed(house, tmp_path / "today")
    with listening(house, stock.radplug_port):
        pipeline.compare(house, case.id)
    (supplied,) = house.comparing.take(case.id, 1)
    assert (supplied.study_uid, supplied.state) == (stock.newer.study_uid, PriorState.SUPPLIED)
    assert supplied.taken_on == (NOW - timedelta(days=90)).date()
    assert "No nodule." in supplied.report
    assert "A draft." not in supplied.report
    assert [image.study_uid for image in supplied.images] == [stock.newer.study_uid]
    reasons = {prior.study_uid: prior.why for prior in house.viewing.priors(case.id)}
    assert reasons[stock.of_somebody.study_uid] == "its birth date is another, so it may be another patient's"
    assert reasons[stock.unreported.study_uid] == "no report came with it"
    assert stock.older.study_uid not in reasons
    with house.database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(cases)) == 1


@pytest.mark.parametrize("issuer", ["HOSP", ""])
def test_dcmqrscp_which_tells_little_of_the_patient(
    build: Callable[..., House], tmp_path: Path, model: Path, issuer: str
) -> None:
    """It names no issuer: whose a study is, is seen when it is here."""
    port, days = free_port(), {"theirs": 90, "nobodys": 30}
    studies = {
        name: with_report(synthetic_study.write(tmp_path / name, 7, NOW - timedelta(days=n), size=SIZE), "No nodule.")
        for name, n in days.items()
    }
    of_patient(studies["theirs"], IssuerOfPatientID="HOSP")
    of_patient(studies["nobodys"], IssuerOfPatientID="ELSEWHERE")
    with dcmqrscp(tmp_path / "archive", port) as peer:
        for study in studies.values():
            for file in study.files:
                send(file, peer, calling_ae="MODALITY", timeout=10)
        house = build(**asking(peer, tmp_path, "c-move", priors_issuer=issuer))
        today = synthetic_study.write(tmp_path / "today", 7, NOW, size=SIZE)
        of_patient(today, IssuerOfPatientID="HOSP")
        case = receive_file(house, *today.files)
        with listening(house, port):
            pipeline.compare(house, case.id)
    told = {prior.study_uid: (prior.state, prior.why) for prior in house.viewing.priors(case.id)}
    why = "its issuer of the Patient ID is another, so it may be another patient's"
    assert told == {
        studies["theirs"].study_uid: (PriorState.HERE, ""),
        studies["nobodys"].study_uid: (PriorState.LEFT_OUT, why),
    }
    assert house.comparing.instances(studies["nobodys"].study_uid) == []
    files = len(studies["theirs"].files) + len(today.files)
    assert len(list((house.store.root / "studies").rglob("*.dcm"))) == files


def supplied(stock: Stock, build: Callable[..., House], folder: Path, **settings: Any) -> tuple[House, Case]:
    """A case whose draft was supplied with the newer study."""
    house = build(**stock.settings("c-get") | settings)
    case = closed(house, folder / "today")
    pipeline.compare(house, case.id)
    pipeline.draft(house, case.id, "worker")
    return house, house.viewing.case(case.id)


def test_the_draft_cites_what_it_was_supplied_with_and_the_sr_has_its_image_as_baseline(
    stock: Stock, build: Callable[..., House], tmp_path: Path
) -> None:
    settings = stock.settings("c-get", shapes=["basic-text-sr", "comprehensive-3d-sr", "pdf"])
    ris = {"name": "ris", "host": "127.0.0.1", "port": 1}
    house, case = supplied(stock, build, tmp_path, pacs=settings["pacs"], reporting=[ris])
    (draft,) = house.viewing.drafts(case.id)
    assert [prior.study_uid for prior in draft.priors] == [stock.newer.study_uid]
    sent = {delivery.document.kind: delivery.document.file for delivery in house.viewing.deliveries(case.id)}
    cited = f"Compared with the report on the DX of {(NOW - timedelta(days=90)).date()}."
    assert cited.encode() in house.store.path(sent[DocumentKind.ORU]).read_bytes()
    (image,) = draft.priors[0].images
    for kind in (DocumentKind.SR, DocumentKind.SR_3D):
        file = house.store.path(sent[kind])
        assert check(file.read_bytes()) == ()
        assert cited.encode() in file.read_bytes()
        (evidence,) = dcmread(file).PertinentOtherEvidenceSequence
        assert evidence.StudyInstanceUID == stock.newer.study_uid
        verdict = subprocess.run([tool("dciodvfy"), "-new", file], capture_output=True, text=True, check=False)
        assert not [line for line in verdict.stderr.splitlines() if line.startswith("Error")]
    comparison = dcmread(house.store.path(sent[DocumentKind.SR])).ContentSequence
    (baseline,) = (
        below
        for section in comparison
        for item in section.get("ContentSequence", ())
        for below in item.get("ContentSequence", ())
        if below.get("ConceptNameCodeSequence") and below.ConceptNameCodeSequence[0].CodeValue == "121079"
    )
    assert baseline.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image.sop_instance_uid
    pipeline.accept(house, house.desks.of(case.id, house.now()), "maria")
    assert house.viewing.drafts(case.id)[-1].priors == draft.priors


def test_a_draft_waits_for_earlier_studies_and_no_longer_than_it_should(
    stock: Stock, build: Callable[..., House], tmp_path: Path
) -> None:
    house = build(**stock.settings("c-move"))
    case = closed(house, tmp_path / "today")
    now = house.now() + timedelta(seconds=1)  # as `closed` closes it
    assert house.comparing.due(now) == [case.id]
    assert house.drafting.due_to_draft(now + timedelta(seconds=2)) == []
    pipeline.draft(house, case.id, "worker")
    assert house.viewing.drafts(case.id) == ()
    late = now + timedelta(seconds=30)
    assert house.comparing.due(late) == []
    assert [due.case_id for due in house.drafting.due_to_draft(late)] == [case.id]
    assert house.comparing.take(case.id, 1) == ()
    (why,) = (prior.why for prior in house.viewing.priors(case.id))
    assert why == "no archive was asked in time"
    pipeline.compare(house, case.id)  # too late: nothing is asked for any more
    assert len(house.viewing.priors(case.id)) == 1


def test_an_archive_that_is_away_does_not_hold_the_draft_up(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(**asking(Peer("AWAY", "127.0.0.1", free_port()), tmp_path, "c-move"))
    case = closed(house, tmp_path / "today")
    pipeline.compare(house, case.id)
    pipeline.draft(house, case.id, "worker")
    (draft,) = house.viewing.drafts(case.id)
    assert draft.priors == ()
    (prior,) = house.viewing.priors(case.id)
    assert "no connection" in prior.why
    assert [event.detail["archive"] for event in house.viewing.events(case.id) if event.event == "prior left out"]


def test_a_patient_without_issuer_has_no_priors(stock: Stock, build: Callable[..., House], tmp_path: Path) -> None:
    house = build(**stock.settings("c-get", priors_issuer=""))
    case = closed(house, tmp_path / "today")
    pipeline.compare(house, case.id)
    assert house.comparing.take(case.id, 1) == ()
    reasons = {prior.why for prior in house.viewing.priors(case.id)}
    assert reasons == {"this study has no issuer of the Patient ID, so the patient is not certain"}


def test_a_model_that_reads_no_earlier_reports_is_given_none(
    stock: Stock, build: Callable[..., House], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    blind = tiny_checkpoint.write(tmp_path_factory.mktemp("model"), canvas_length=256, steps=2)
    house, case = supplied(stock, build, tmp_path, model={"checkpoint": blind, "threads": 1})
    assert house.viewing.drafts(case.id)[0].priors == ()
    reasons = {prior.study_uid: prior.why for prior in house.viewing.priors(case.id)}
    assert reasons[stock.newer.study_uid] == "the model reads no earlier report"


def test_what_was_found_for_another_identity_is_not_supplied_again(
    stock: Stock, build: Callable[..., House], tmp_path: Path
) -> None:
    house, case = supplied(stock, build, tmp_path)
    corrected = Identity(Patient(case.patient.id, birth_date="19590101"), frozenset())
    house.notices.act(Identities((corrected,)), house.now())
    pipeline.draft(house, case.id, "worker")
    first, second = house.viewing.drafts(case.id)
    assert (len(first.priors), second.priors) == (1, ())
    assert "the patient's identity was corrected after it was found" in {p.why for p in house.viewing.priors(case.id)}


def test_the_model_is_told_what_it_is_supplied_with(stock: Stock, build: Callable[..., House], tmp_path: Path) -> None:
    """The same images, drafted with and without: only what is read can make it another draft."""
    house, case = supplied(stock, build, tmp_path)
    (draft,) = house.viewing.drafts(case.id)
    plan = house.draftsman.plan(case, house.drafting.instances(case.id), None)
    briefs = [Brief(plan, draft.images, (), priors) for priors in (draft.priors, ())]
    told, untold = (house.draftsman.draft([brief])[0] for brief in briefs)
    assert isinstance(told, DraftText)
    assert isinstance(untold, DraftText)
    assert told == draft.text
    assert told.sections != untold.sections


def test_what_was_fetched_as_prior_is_a_case_when_it_is_sent_for_itself(
    stock: Stock, build: Callable[..., House], tmp_path: Path
) -> None:
    house, _ = supplied(stock, build, tmp_path)
    assert house.viewing.case_of_study(stock.newer.study_uid) is None
    file = stock.newer.files[0]
    instance = read_instance(file)
    assert house.comparing.expects(instance.study_uid, house.now(), by_us=None)
    assert not house.comparing.expects(instance.study_uid, house.now(), by_us=False)
    later = house.now() + timedelta(hours=1)
    assert not house.comparing.expects(instance.study_uid, later, by_us=None)
    assert house.comparing.expects(instance.study_uid, later, by_us=True)


def test_the_page_and_the_api_tell_what_was_supplied_and_what_was_not(
    stock: Stock, build: Callable[..., House], tmp_path: Path, browser: Browser
) -> None:
    house, case = supplied(stock, build, tmp_path, web={"port": 0})
    with_accounts(house)
    with serving(house) as address:
        page = signed_in(browser, address, Role.RADIOLOGIST)
        page.goto(f"{address}/cases/{case.id}")
        told = page.get_by_role("region", name="Earlier studies")
        expect(told.get_by_role("listitem")).to_have_text(
            [
                re.compile(rf"DX of {(NOW - timedelta(days=90)).date()}.*: supplied to the model"),
                re.compile(rf"DX of {(NOW - timedelta(days=20)).date()}.*: left out: no report came with it"),
                re.compile(rf"DX of {(NOW - timedelta(days=30)).date()}.*: left out: its birth date is another"),
            ]
        )
        told.get_by_text("Its report").click()
        expect(told.get_by_text("No nodule.")).to_be_visible()
        api = page.request.get(f"{address}/api/v1/cases/{case.id}").json()
        page.goto(f"{address}/cases/{case.id}?version=1")
        page.context.close()
        engineer = signed_in(browser, address, Role.IT)
        engineer.goto(f"{address}/cases/{case.id}")
        expect(engineer.get_by_role("region", name="Earlier studies")).to_have_count(0)
        assert engineer.request.get(f"{address}/api/v1/cases/{case.id}").json()["priors"] is None
        engineer.context.close()
    assert [prior["state"] for prior in api["priors"]] == ["left out", "left out", "supplied"]
    assert api["drafts"][0]["compared_with"] == [str((NOW - timedelta(days=90)).date())]


def test_a_whole_site_compares(tmp_path: Path, model: Path) -> None:
    """Its own listener takes what a C-MOVE brings, and no case comes of it."""
    tool("Orthanc")
    rules, dicom = tmp_path / "rules.toml", free_port()
    rules.write_text(RULES, encoding="utf-8")
    pacs = f"""
[[pacs]]
name = "orthanc"
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {dicom}
priors = "c-move"
priors_issuer = "HOSP"
"""
    extra = f'[drafting]\nrules = "{rules}"\n'
    study = synthetic_study.write(tmp_path / "before", 7, NOW - timedelta(days=90), size=SIZE)
    before = with_report(study, "No nodule.")
    with (
        hospital(tmp_path / "site", model, extra, pacs) as site,
        archive(tmp_path / "orthanc", site.listener.port, dicom) as server,
    ):
        server.put(*before.files)
        now = site.study("now")
        site.send(*now.files)
        case = site.wait_for(now, CaseState.DELIVERED, 1, 90)
        house = site.running.house
        (draft,) = house.viewing.drafts(case.id)
        assert [prior.study_uid for prior in draft.priors] == [before.study_uid]
        assert [each.id for each in house.viewing.cases()] == [case.id]
