"""Signed reports that come by HL7, over real sockets: the text of an earlier study, where the patient is certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
import tiny_checkpoint
from archives_at_work import RULES, Archive, archive, asking, with_report
from browsers import signed_in, with_accounts
from houses import SIZE, receive_file
from peers import free_port, tool
from playwright.sync_api import Browser, expect
from pydicom import Dataset
from pynetdicom import AE, evt
from sites import hospital

from dicom_io.report_checks import check
from dicom_io.retrieving import FIND, GET
from dicom_io.sending import Peer
from dicom_io.study import Patient
from hl7 import acknowledgement
from hl7.errors import BadField
from hl7.listener import Listener
from hl7.message import Message
from hl7.mllp import exchange
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.domain import Case, CaseState, DocumentKind
from radplug.hl7_in import inbox
from radplug.hl7_in.reading import Reader
from radplug.notices import Dictated, Identities, Identity, Nothing, Notice, Signed
from radplug.people import Role
from radplug.priors import Prior, PriorState, SignedReport
from radplug.records.schema import audit, signed_reports
from radplug.web.serving import serving
from radplug.wiring import House

NOW = datetime.now().astimezone()
DAY = (NOW - timedelta(days=90)).date()
BORN = "19600101"
Tell = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with archive(tmp_path_factory.mktemp("archive") / "orthanc", free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint that reads one earlier report."""
    folder = tiny_checkpoint.write(tmp_path_factory.mktemp("model"), canvas_length=256, steps=2)
    card = folder / "model_card.toml"
    card.write_text(card.read_text().replace("images = 2", "images = 2\nearlier = 1"))
    return folder


@pytest.fixture
def home(server: Archive, build: Callable[..., House], tmp_path: Path) -> House:
    """A house that compares."""
    ris = {"name": "ris", "host": "127.0.0.1", "port": 1}
    return build(**asking(server.peer, tmp_path, "c-get"), reporting=[ris], web={"port": 0})


@contextmanager
def told(house: House) -> Iterator[Tell]:
    """Sends messages to a house; code and control id of each answer."""

    def tell(kind: str, *segments: str, id: str = "1", sender: str = "RIS") -> tuple[str, str]:
        msh = f"MSH|^~\\&|{sender}|H|RADPLUG|H|20260301||{kind}|{id}|P|2.5.1"
        raw = "".join(f"{segment}\r" for segment in (msh, *segments)).encode()
        answer = Message.parse(exchange(raw, "127.0.0.1", listener.port, timeout=10))
        return answer.get("MSA", 1), answer.get("MSA", 2)

    with Listener("127.0.0.1", 0, partial(inbox.take, house), admits=house.settings.hl7.admits) as listener:
        yield tell


def earlier(server: Archive, folder: Path, patient_id: str, report: str = "") -> SyntheticStudy:
    """A study of 90 days ago in the archive, with a structured report or without."""
    study = synthetic_study.write(folder / "before", 7, NOW - timedelta(days=90), size=SIZE, patient_id=patient_id)
    study = with_report(study, report) if report else study
    server.put(*study.files)
    return study


def pid(patient_id: str, born: str = BORN, issuer: str = "HOSP") -> str:
    return f"PID|1||{patient_id}^^^{issuer}^MR||Phantom^Demo||{born}|O"


def oru(accession: str, text: str, status: str = "F", at: str = "", of_text: str = "") -> tuple[str, ...]:
    """OBR and OBX of a report."""
    obr = {3: "F1", 18: accession, 22: at, 25: status}
    fields = "|".join(obr.get(number, "") for number in range(2, 26))
    return f"OBR|1|{fields}", f"OBX|1|TX|59776-5^Findings^LN||{text}||||||{of_text or status}"


def soon() -> str:
    """Later than what has been written until now, and at the latest when it comes."""
    return f"{datetime.now(UTC) + timedelta(seconds=2):%Y%m%d%H%M%S%z}"


def compared(house: House, folder: Path, patient_id: str) -> Case:
    """A study of today, after the patient's earlier ones were looked for."""
    (file,) = synthetic_study.write(folder / "today", 7, NOW, size=SIZE, patient_id=patient_id).files
    case = receive_file(house, file)
    pipeline.compare(house, case.id)
    return case


def only_prior(house: House, case: Case) -> Prior:
    (prior,) = house.viewing.priors(case.id)
    return prior


def events(house: House, event: str) -> list[dict[str, object]]:
    with house.database.reading() as connection:
        return list(connection.scalars(sa.select(audit.c.detail).where(audit.c.event == event).order_by(audit.c.id)))


def rows(house: House) -> int:
    with house.database.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(signed_reports)) or 0


@pytest.mark.parametrize("way", ["ORU by accession number", "ORU by study", "MDM"])
def test_a_draft_is_supplied_with_the_signed_report_of_an_earlier_study_and_cites_its_day(
    server: Archive, home: House, tmp_path: Path, way: str
) -> None:
    who = f"P-{way}".replace(" ", "")
    study = earlier(server, tmp_path, who)
    number = study.order.accession_number
    with told(home) as tell:
        if way == "MDM":
            txa = f"TXA|1|DI|TX|{'|' * 11}{number}||AU||AV"
            answer = tell("MDM^T02^MDM_T02", pid(who), txa, "OBX|1|TX|59776-5||No nodule.||||||F")
        elif way == "ORU by study":
            uid = f"OBX|2|ST|113014^DICOM Study^DCM||{study.study_uid}||||||F"
            obr, obx = oru("", "No nodule.")
            answer = tell("ORU^R01", pid(who), obr, obx, uid)
        else:
            answer = tell("ORU^R01", pid(who), *oru(number, "No nodule."))
    assert answer == ("AA", "1")
    case = compared(home, tmp_path, who)
    pipeline.draft(home, case.id, "worker")
    (draft,) = home.viewing.drafts(case.id)
    (prior,) = draft.priors
    assert (prior.study_uid, prior.report, prior.taken_on) == (study.study_uid, "FINDINGS:\nNo nodule.", DAY)
    assert len(prior.images) == 1
    (document,) = (d.document for d in home.viewing.deliveries(case.id) if d.document.kind is DocumentKind.ORU)
    assert f"Compared with the report on the DX of {DAY}.".encode() in home.store.path(document.file).read_bytes()
    assert [each["withdrawn"] for each in events(home, "signed report taken")] == [False]


@pytest.mark.parametrize(
    ("of", "why"),
    [
        (pid("{who}", "19600102"), "its birth date is another, so it may be another patient's"),
        (pid("{who}", ""), "the report that was sent for it has no birth date, so the patient is not certain"),
        (pid("SOMEBODY"), "its Patient ID is another, so it may be another patient's"),
        (pid("{who}", issuer="ELSE"), "its issuer of the Patient ID is another, so it may be another patient's"),
    ],
)
def test_a_report_that_is_not_surely_the_patients_is_left_out_with_its_reason(
    server: Archive, home: House, tmp_path: Path, of: str, why: str
) -> None:
    who = f"S{tmp_path.name[-8:]}"
    study = earlier(server, tmp_path, who)
    with told(home) as tell:
        assert tell("ORU^R01", of.format(who=who), *oru(study.order.accession_number, "Nodule."))[0] == "AA"
    prior = only_prior(home, compared(home, tmp_path, who))
    assert (prior.state, prior.report) == (PriorState.LEFT_OUT, "")
    assert prior.why == f"the report that was sent for it is left out: {why}"
    assert [each["reason"] for each in events(home, "signed report left out")] == [why]


def test_ids_without_issuer_are_as_the_archives_setting_says(server: Archive, home: House, tmp_path: Path) -> None:
    study = earlier(server, tmp_path, "BARE")
    with told(home) as tell:
        tell("ORU^R01", pid("BARE", issuer=""), *oru(study.order.accession_number, "No nodule."))
    assert only_prior(home, compared(home, tmp_path, "BARE")).state is PriorState.HERE


def test_a_corrected_report_replaces_the_one_before_and_an_older_one_or_a_resend_replaces_nothing(
    server: Archive, home: House, tmp_path: Path
) -> None:
    study = earlier(server, tmp_path, "CORRECTED")
    number, of = study.order.accession_number, pid("CORRECTED")

    def kept() -> list[str]:
        return [each.text for each in home.comparing.signed(study.study_uid, {number})]

    with told(home) as tell:
        first = ("ORU^R01", of, *oru(number, "Nodule.", at="20260301"))
        tell(*first)
        assert kept() == ["FINDINGS:\nNodule."]
        tell("ORU^R01", of, *oru(number, "No nodule.", "C", at="20260301"), id="2")
        assert tell(*first) == ("AA", "1")  # of the same day: if it acted again, it would take the other's place
        assert kept() == ["FINDINGS:\nNo nodule."]
        tell("ORU^R01", of, *oru(number, "Nodule.", at="202602281200"), id="3")
        assert kept() == ["FINDINGS:\nNo nodule."]
    assert rows(home) == 1
    assert len(events(home, "message repeated")) == 1
    assert only_prior(home, compared(home, tmp_path, "CORRECTED")).report == "FINDINGS:\nNo nodule."


@pytest.mark.parametrize("status", ["X", "F"])
def test_a_report_that_is_withdrawn_is_none(server: Archive, home: House, tmp_path: Path, status: str) -> None:
    who = f"WITHDRAWN-{status}"
    study = earlier(server, tmp_path, who, "What the archive still has.")
    number = study.order.accession_number
    with told(home) as tell:
        tell("ORU^R01", pid(who), *oru(number, "Nodule."))
        of = [pid(who)] if status == "X" else []
        assert tell("ORU^R01", *of, *oru(number, "Nodule.", status, soon(), "W"), id="2") == ("AA", "2")
        tell("ORU^R01", pid(who), *oru(number, "Nodule."), id="3")  # dated before
    prior = only_prior(home, compared(home, tmp_path, who))
    assert "Nodule." not in prior.report
    if status == "X":  # and whose it was is told, so the archive's is withdrawn as well
        assert (prior.state, prior.why) == (PriorState.LEFT_OUT, "its report has been withdrawn")


@pytest.mark.parametrize(("at", "text"), [("20200101", "From the archive."), ("", "By HL7.")])
def test_of_a_structured_report_and_one_by_hl7_the_later_counts(
    server: Archive, home: House, tmp_path: Path, at: str, text: str
) -> None:
    who = f"BOTH-{at}"
    study = earlier(server, tmp_path, who, "From the archive.")  # written now
    with told(home) as tell:
        tell("ORU^R01", pid(who), *oru(study.order.accession_number, "By HL7.", at=at or soon()))
    prior = only_prior(home, compared(home, tmp_path, who))
    assert prior.state is PriorState.HERE
    assert text in prior.report


def test_nothing_is_kept_where_no_rule_compares(build: Callable[..., House]) -> None:
    house = build()
    with told(house) as tell:
        assert tell("ORU^R01", pid("P1"), *oru("A1", "No nodule.")) == ("AA", "1")
    assert rows(house) == 0
    (left,) = events(house, "message left alone")
    assert left["reason"] == "the text is signed, or withdrawn: no draft is wanted around it"


@contextmanager
def refusing(study_uid: str, accession: str, patient_id: str) -> Iterator[Peer]:
    """An archive that names a study, and refuses to send it."""

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        study = Dataset()
        study.PatientID, study.PatientBirthDate, study.StudyInstanceUID = patient_id, BORN, study_uid
        study.StudyDate, study.AccessionNumber = f"{DAY:%Y%m%d}", accession
        study.ModalitiesInStudy, study.StudyDescription = "DX", "Chest"
        yield 0xFF00, study

    def get(event: evt.Event) -> Iterator[object]:
        yield 1
        yield 0xA702, None

    ae = AE("ARCHIVE")
    ae.add_supported_context(FIND)
    ae.add_supported_context(GET)
    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Peer("ARCHIVE", "127.0.0.1", server.server_address[1])
    finally:
        server.shutdown()


@pytest.mark.parametrize("number", ["A1", "A2"])
def test_a_study_that_an_archive_names_and_does_not_send_has_its_signed_report(
    build: Callable[..., House], tmp_path: Path, number: str
) -> None:
    with refusing("1.2.3", "A1", "P1") as peer:
        house = build(**asking(peer, tmp_path, "c-get"))
        with told(house) as tell:
            tell("ORU^R01", pid("P1"), *oru(number, "No nodule."))
        case = compared(house, tmp_path, "P1")
    prior = only_prior(house, case)
    if number == "A2":
        assert prior.state is PriorState.LEFT_OUT
        assert "ARCHIVE" in prior.why
        return
    assert (prior.state, prior.report, prior.images) == (PriorState.HERE, "FINDINGS:\nNo nodule.", ())
    pipeline.draft(house, case.id, "worker")
    (sr,) = (delivery.document for delivery in house.viewing.deliveries(case.id))
    data = house.store.path(sr.file).read_bytes()
    assert check(data) == ()
    assert f"Compared with the report on the DX of {DAY}.".encode() in data


def test_the_page_shows_why_a_report_was_left_out(
    server: Archive, home: House, tmp_path: Path, browser: Browser
) -> None:
    study = earlier(server, tmp_path, "SHOWN")
    with told(home) as tell:
        tell("ORU^R01", pid("SHOWN", "19700101"), *oru(study.order.accession_number, "Nodule."))
    case = compared(home, tmp_path, "SHOWN")
    pipeline.draft(home, case.id, "worker")
    with_accounts(home)
    with serving(home) as address:
        page = signed_in(browser, address, Role.RADIOLOGIST)
        page.goto(f"{address}/cases/{case.id}")
        shown = page.get_by_role("region", name="Earlier studies").get_by_role("listitem")
        expect(shown).to_contain_text("the report that was sent for it is left out: its birth date is another")
        page.context.close()


def test_a_whole_site_reads_a_report_that_its_hl7_station_was_sent(tmp_path: Path, model: Path) -> None:
    tool("Orthanc")
    rules, dicom, port = tmp_path / "rules.toml", free_port(), free_port()
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
    extra = f'[drafting]\nrules = "{rules}"\n[hl7]\nport = {port}\n'
    with (
        hospital(tmp_path / "site", model, extra, pacs) as site,
        archive(tmp_path / "orthanc", site.listener.port, dicom) as server,
    ):
        now = site.study("now")
        before = earlier(server, tmp_path, now.patient_id)
        body = (pid(now.patient_id), *oru(before.order.accession_number, "No nodule."))
        raw = "\r".join(("MSH|^~\\&|RIS|H|||20260301||ORU^R01|1|P|2.5", *body)).encode()
        assert acknowledgement.read(exchange(raw, "127.0.0.1", port, timeout=10)).code == "AA"
        site.send(*now.files)
        case = site.wait_for(now, CaseState.DELIVERED, 1, 90)
        (draft,) = site.running.house.viewing.drafts(case.id)
    assert [(prior.study_uid, prior.report) for prior in draft.priors] == [(before.study_uid, "FINDINGS:\nNo nodule.")]


# ── rows, on each kind of database ──


def report(patient: Patient, text: str = "No nodule.", study_uid: str = "", number: str = "A1") -> SignedReport:
    return SignedReport(patient, number, study_uid, "RIS|H", datetime(2026, 3, 1, tzinfo=UTC), (("", text),))


def identity(patient: Patient, former_id: str = "") -> Identities:
    issuers = frozenset(filter(None, [patient.issuer]))
    return Identities((Identity(patient, issuers, former_id, issuers if former_id else frozenset()),))


def patients(house: House, number: str = "A1") -> list[tuple[str, str, str]]:
    signed = house.comparing.signed("9.9", {number})
    return [(each.patient.id, each.patient.issuer, each.patient.birth_date) for each in signed]


def test_merges_and_corrections_of_patients_reach_reports_before_and_after(house: House) -> None:
    house.notices.act(Signed(report(Patient("OLD", "H", birth_date=BORN))), house.now())
    house.notices.act(identity(Patient("NEW", "H"), "OLD"), house.now())
    house.notices.act(Signed(report(Patient("OLD", "H", birth_date=BORN), number="A2")), house.now())
    assert patients(house) == patients(house, "A2") == [("NEW", "H", BORN)]
    house.notices.act(identity(Patient("NEW", "H", birth_date="19600102")), house.now())
    assert patients(house) == [("NEW", "H", "19600102")]


def test_an_id_of_another_or_of_no_certain_issuer_is_left_as_it_is(house: House) -> None:
    """Otherwise a patient's data would make somebody else's report their own."""
    house.notices.act(Signed(report(Patient("P1", birth_date=BORN))), house.now())
    house.notices.act(Signed(report(Patient("P1", "ELSE", birth_date=BORN), number="A2")), house.now())
    house.notices.act(identity(Patient("P1", "H", birth_date="19600102")), house.now())
    house.notices.act(identity(Patient("P2", "H"), "P1"), house.now())
    assert patients(house) == [("P1", "", BORN)]
    assert patients(house, "A2") == [("P1", "ELSE", BORN)]
    house.notices.act(Signed(report(Patient("P1", birth_date=BORN), number="A3")), house.now())
    assert patients(house, "A3") == [("P2", "", BORN)]  # as its images would be, but for the issuer


def test_a_report_that_names_another_study_is_not_found_by_accession_number(house: House) -> None:
    house.notices.act(Signed(report(Patient("P1"), study_uid="1.2")), house.now())
    assert house.comparing.signed("1.3", {"A1"}) == []
    assert [each.text for each in house.comparing.signed("1.2", ())] == ["No nodule."]


# ── what a message says ──


def read(kind: str, *segments: str) -> Notice:
    raw = "\r".join((f"MSH|^~\\&|RIS|H|RADPLUG|H|20260301||{kind}|1|P|2.5.1", *segments))
    at = datetime(2026, 3, 2, tzinfo=UTC)
    return Reader({"59776-5": "FINDINGS"}, "1.2.3").read(Message.parse(raw.encode()), at)


@pytest.mark.parametrize(
    ("status", "of_text", "notice", "sections"),
    [
        ("F", "F", Signed, 1),
        ("C", "C", Signed, 1),
        ("F", "", Signed, 1),
        ("", "F", Signed, 1),
        ("X", "X", Signed, 0),
        ("F", "D", Signed, 0),
        ("F", "P", Nothing, 0),  # not all of it is signed
        ("Y", "F", Nothing, 0),
        ("P", "P", Dictated, 0),
        ("", "P", Dictated, 0),
        ("", "", Dictated, 0),
        ("R", "F", Dictated, 0),
    ],
)
def test_how_far_a_result_has_come(status: str, of_text: str, notice: type[Notice], sections: int) -> None:
    obr, obx = oru("A1", "No nodule.", status)
    said = read("ORU^R01", pid("P1"), obr, obx.removesuffix(status) + of_text)
    assert type(said) is notice
    assert not isinstance(said, Signed) or len(said.report.sections) == sections


@pytest.mark.parametrize(
    ("status", "availability", "notice", "sections"),
    [
        ("AU", "AV", Signed, 1),
        ("LA", "", Signed, 1),
        ("LA", "UN", Nothing, 0),
        ("PA", "AV", Nothing, 0),
        ("AU", "CA", Signed, 0),
        ("LA", "OB", Signed, 0),
        ("DI", "AV", Dictated, 0),
    ],
)
def test_how_far_a_document_has_come(status: str, availability: str, notice: type[Notice], sections: int) -> None:
    txa = f"TXA|1|DI|TX|{'|' * 11}A1||{status}||{availability}"
    said = read("MDM^T08^MDM_T02", pid("P1"), txa, "OBX|1|TX|59776-5||No nodule.||||||F")
    assert type(said) is notice
    assert not isinstance(said, Signed) or len(said.report.sections) == sections


@pytest.mark.parametrize(
    ("obr_22", "signed_at"),
    [
        ("20260228103000.5+0100", datetime(2026, 2, 28, 9, 30, tzinfo=UTC)),
        ("202602281030+0100", datetime(2026, 2, 28, 9, 30, tzinfo=UTC)),
        ("20260228", datetime(2026, 2, 28).astimezone()),
        ("", datetime(2026, 3, 1).astimezone()),  # MSH-7
        ("20260230", datetime(2026, 3, 1).astimezone()),  # no such day
        ("20620101", datetime(2026, 3, 2, tzinfo=UTC)),  # ahead: when it came
        ("00010101", datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_when_it_was_signed(obr_22: str, signed_at: datetime) -> None:
    said = read("ORU^R01", pid("P1"), *oru("A1", "No nodule.", at=obr_22))
    assert isinstance(said, Signed)
    assert said.report.signed_at == signed_at


def test_what_a_signed_report_tells_and_what_it_cannot_do_without() -> None:
    text = r"59776-5&x^Findings^LN||Clear.\.br\IMPRESSION: None\X00\."
    said = read("ORU^R01", pid("P1", issuer="H&1.2&ISO"), oru("A1", "x")[0], f"OBX|1|FT|{text}||||||F", "ZDS|1.2.9")
    assert isinstance(said, Signed)
    assert (said.report.patient, said.report.key) == (Patient("P1", "H", birth_date=BORN), "A1")
    assert (said.report.study_uid, said.report.source) == ("1.2.9", "RIS|H")
    assert said.report.text == "FINDINGS:\nClear.\nIMPRESSION: None ."
    assert isinstance(read("ORU^R01", *oru("A1", "No nodule.")), Nothing)  # whose is it
    assert isinstance(read("ORU^R01", pid("P1"), pid("P2"), *oru("A1", "No nodule.")), Nothing)
    long = oru("LONGER-THAN-DICOM-ALLOWS", "No nodule.")
    assert isinstance(read("ORU^R01", pid("P1"), *long), Nothing)
    by_study = read("ORU^R01", pid("P1"), *long, "ZDS|1.2.9")
    assert isinstance(by_study, Signed)
    assert by_study.report.key == "1.2.9"
    with pytest.raises(BadField, match="OBR-18"):
        read("MDM^T02", pid("P1"), "TXA|1", "OBX|1|TX|1||No nodule.")
