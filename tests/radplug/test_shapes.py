"""One draft in several shapes: each PACS gets those that it names, through real sockets, in series of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from houses import ruled, send_study
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io.part10 import file_header
from dicom_io.reading import read_instance
from dicom_io.report_reading import tree
from dicom_io.study import Patient
from dicom_io.uids import mint_uid
from radplug import pipeline
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.domain import Case, CaseState, Delivery, DeliveryState, Dictation, DocumentKind, NotDraftable, Received
from radplug.notices import Identities, Identity
from radplug.settings import SettingsError, load
from radplug.wiring import House

BASIC, COMPREHENSIVE_3D = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.34"
PDF, CAPTURE = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.7"
SAID = "Ø 7 mm – node, unchanged"


@dataclass(frozen=True)
class Site:
    """A house between a PACS that reads reports and one that shows pages only."""

    house: House
    reads: SimulatedPacs
    shows: SimulatedPacs

    def deliver(self, case: Case) -> list[Delivery]:
        for _ in range(3):
            pipeline.deliver(self.house, case.id)
        return list(self.house.viewing.deliveries(case.id))


@pytest.fixture
def site(build: Callable[..., House], tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        reads = stack.enter_context(SimulatedPacs("READS", tmp_path / "reads"))
        shows = stack.enter_context(SimulatedPacs("SHOWS", tmp_path / "shows"))
        yield Site(build(pacs=destinations(reads, shows)), reads, shows)


def destinations(reads: SimulatedPacs, shows: SimulatedPacs) -> list[dict[str, Any]]:
    there = {"host": "127.0.0.1"}
    return [
        {"name": "reads", "ae_title": "READS", "port": reads.port, **there}
        | {"shapes": ["basic-text-sr", "comprehensive-3d-sr"]},
        {"name": "shows", "ae_title": "SHOWS", "port": shows.port, **there} | {"shapes": ["pdf", "secondary-capture"]},
    ]


def drafted(house: House, folder: Path) -> Case:
    case = send_study(house, folder)
    house.receiving.add_dictation(Dictation("FINDINGS", SAID, "test", house.now(), study_uid=case.study_uid))
    pipeline.draft(house, case.id, "worker")
    return house.viewing.case(case.id)


def objects(pacs: SimulatedPacs) -> dict[str, list[Dataset]]:
    """What a PACS has, by SOP class, in the order of instance numbers."""
    found: dict[str, list[Dataset]] = {}
    for file in pacs.received:
        dataset = dcmread(file)
        found.setdefault(str(dataset.SOPClassUID), []).append(dataset)
    for group in found.values():
        group.sort(key=lambda dataset: int(dataset.InstanceNumber))
    return found


def words(report: Dataset) -> str:
    return "\n".join(line.value for line in tree(report))


def test_each_pacs_is_sent_the_shapes_that_it_names(site: Site, tmp_path: Path) -> None:
    case = drafted(site.house, tmp_path / "study")
    deliveries = site.deliver(case)
    assert {d.state for d in deliveries} == {DeliveryState.DELIVERED}
    assert site.house.viewing.case(case.id).state is CaseState.DELIVERED
    reads, shows = objects(site.reads), objects(site.shows)
    assert (set(reads), set(shows)) == ({BASIC, COMPREHENSIVE_3D}, {PDF, CAPTURE})
    every = [one for found in (reads, shows) for group in found.values() for one in group]
    assert {one.StudyInstanceUID for one in every} == {case.study_uid}
    assert {one.PatientID for one in every} == {case.patient.id}
    assert len({one.SeriesInstanceUID for one in every}) == 4
    assert {one.SeriesDescription for one in every} == {"AI DRAFT REPORT - UNVERIFIED"}
    for structured in (reads[BASIC], reads[COMPREHENSIVE_3D]):
        assert SAID in words(structured[0])
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed: make test")
    pages = pypdf.PdfReader(BytesIO(shows[PDF][0].EncapsulatedDocument)).pages
    shown = "".join(page.extract_text() for page in pages)
    assert SAID.replace(" ", "") in "".join(shown.split())  # lines may be broken within it
    assert len(shows[CAPTURE]) == len(pages)


def test_where_a_rule_names_a_pacs_its_shapes_alone_are_made_and_all_bear_the_patient_s_new_id(
    build: Callable[..., House], tmp_path: Path
) -> None:
    rules = ruled(tmp_path, '[[rule]]\nname = "pages only"\ndestinations = ["shows"]')
    with ExitStack() as stack:
        reads = stack.enter_context(SimulatedPacs("READS", tmp_path / "reads"))
        shows = stack.enter_context(SimulatedPacs("SHOWS", tmp_path / "shows"))
        house = build(pacs=destinations(reads, shows), **rules)
        case = send_study(house, tmp_path / "study")
        merged = Identity(Patient("NEW"), frozenset(), former_id=case.patient.id)
        house.notices.act(Identities((merged,)), house.now())
        pipeline.draft(house, case.id, "worker")
        Site(house, reads, shows).deliver(case)
        assert not reads.received
        assert {kind: {str(one.PatientID) for one in group} for kind, group in objects(shows).items()} == {
            PDF: {"NEW"},
            CAPTURE: {"NEW"},
        }


def test_a_second_version_follows_the_first_in_each_series(site: Site, tmp_path: Path) -> None:
    house, case = site.house, drafted(site.house, tmp_path / "study")
    site.deliver(case)
    accepted = pipeline.accept(house, house.desks.of(case.id, house.now()), "Maria")
    assert accepted.edit.version == 2
    assert {d.state for d in site.deliver(case)} == {DeliveryState.DELIVERED}
    reads, shows = objects(site.reads), objects(site.shows)
    for group in (reads[BASIC], reads[COMPREHENSIVE_3D], shows[PDF]):
        first, second = group
        assert (int(first.InstanceNumber), int(second.InstanceNumber)) == (1, 2)
        assert first.SeriesInstanceUID == second.SeriesInstanceUID
    for first, second in (reads[BASIC], reads[COMPREHENSIVE_3D]):
        (reference,) = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
        replaced = (reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID)
        assert replaced == (first.SOPClassUID, first.SOPInstanceUID)
        assert second.CompletionFlagDescription == "AI draft, accepted as a draft, not verified"
        assert "ACCEPTED AS A DRAFT - NOT VERIFIED" in words(second)
        assert (second.VerificationFlag, second.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert str(shows[PDF][1].DocumentTitle).startswith("AI DRAFT - NOT VERIFIED")
    assert shows[PDF][1].VerificationFlag == "UNVERIFIED"
    assert len({page.SeriesInstanceUID for page in shows[CAPTURE]}) == 1
    assert {int(page.InstanceNumber) // 1000 for page in shows[CAPTURE]} == {1, 2}


def test_what_comes_back_is_ours_and_never_drafted_from(site: Site, tmp_path: Path) -> None:
    house, case = site.house, drafted(site.house, tmp_path / "study")
    site.deliver(case)
    before = house.viewing.case(case.id)
    received = [*site.reads.received, *site.shows.received]
    assert len(received) >= 4
    for file in received:
        assert pipeline.receive(house, *arrival(file), "SHOWS") is Received.OURS
    assert house.viewing.case(case.id) == before


def test_a_page_that_comes_back_under_another_uid_is_not_drafted_for_its_burned_in_text(
    site: Site, tmp_path: Path
) -> None:
    house, case = site.house, drafted(site.house, tmp_path / "study")
    site.deliver(case)
    (page,) = objects(site.shows)[CAPTURE]
    page.SOPInstanceUID = page.file_meta.MediaStorageSOPInstanceUID = mint_uid()
    page.StudyInstanceUID = mint_uid()
    page.save_as(tmp_path / "page.dcm")
    assert pipeline.receive(house, *arrival(tmp_path / "page.dcm"), "SHOWS") is Received.NEW
    stray = house.viewing.case_of_study(str(page.StudyInstanceUID))
    assert stray is not None
    house.drafting.close(stray.id, house.now())
    pipeline.draft(house, stray.id, "worker")
    assert house.viewing.case(stray.id).state is CaseState.NOT_DRAFTED


def arrival(file: Path) -> tuple[Any, bytes, bytes]:
    instance, data = read_instance(file), file.read_bytes()
    header = file_header(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
    )
    return instance, header, data[144 + int.from_bytes(data[140:144], "little") :]


def test_a_resend_is_the_same_documents_and_the_worst_of_them_is_shown(
    build: Callable[..., House], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        reads = stack.enter_context(SimulatedPacs("READS", tmp_path / "reads"))
        shows = stack.enter_context(SimulatedPacs("SHOWS", tmp_path / "shows"))
        house = build(pacs=destinations(reads, shows))
        site, case = Site(house, reads, shows), drafted(house, tmp_path / "study")
        (broken,) = (d for d in house.viewing.deliveries(case.id) if d.document.kind is DocumentKind.PDF)
        file = house.store.path(broken.document.file)
        good = file.read_bytes()
        file.write_bytes(good.replace(b"(AI DRAFT - NOT REVIEWED) Tj", b"(FINAL AND REVIEWED NOW) Tj "))
        states = {d.document.kind: d.state for d in site.deliver(case)}
        assert states.pop(DocumentKind.PDF) is DeliveryState.DEAD
        assert set(states.values()) == {DeliveryState.DELIVERED}
        assert house.viewing.case(case.id).state is CaseState.DRAFTED
        file.write_bytes(good)
        house.delivering.resend(case.id, house.now())
        assert {d.state for d in site.deliver(case)} == {DeliveryState.DELIVERED}
        assert house.viewing.case(case.id).state is CaseState.DELIVERED
        (pdf,) = objects(shows)[PDF]
        assert (str(pdf.SOPInstanceUID), pdf.InstanceNumber) == (broken.document.id, 1)
        for received in (*reads.received, *shows.received):
            sent = {d.document.id: d.document.file for d in house.viewing.deliveries(case.id)}
            original = house.store.path(sent[str(dcmread(received).SOPInstanceUID)])
            assert dcmread(received) == dcmread(original)


def test_what_pages_cannot_draw_is_refused_with_its_reason(site: Site, tmp_path: Path) -> None:
    case = send_study(site.house, tmp_path / "study")
    site.house.receiving.add_dictation(Dictation("FINDINGS", "لا", "test", site.house.now(), study_uid=case.study_uid))
    pipeline.draft(site.house, case.id, "worker")
    refused = site.house.viewing.case(case.id)
    assert refused.state is CaseState.NOT_DRAFTED
    assert "right to left" in refused.reason
    assert not site.house.viewing.deliveries(case.id)
    assert NotDraftable.__name__ not in refused.reason


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("shapes = []", "shapes"),
        ('shapes = ["html"]', r"shapes\.0"),
        ('[pages]\nfonts = ["/no/such.ttf"]', r"pages\.fonts\.0"),
    ],
)
def test_a_shape_or_font_that_is_none_is_refused_at_load(tmp_path: Path, toml: str, named: str) -> None:
    file = tmp_path / "radplug.toml"
    file.write_text(f'[[pacs]]\nname = "a"\nhost = "h"\nport = 1\nae_title = "A"\n{toml}', encoding="utf-8")
    with pytest.raises(SettingsError, match=named):
        load(file)
