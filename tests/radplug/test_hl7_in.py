"""HL7 in: what messages do to a house, over real sockets."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pydicom
import pytest
import sqlalchemy as sa
from houses import receive_file, send_study
from hypothesis import given
from hypothesis import strategies as st
from peers import free_port
from sites import hospital

from dicom_io.study import Patient
from hl7 import acknowledgement
from hl7.errors import Unavailable
from hl7.escaping import escape
from hl7.listener import Listener
from hl7.message import Message
from hl7.mllp import exchange
from radplug import clock, pipeline
from radplug.acceptance import synthetic_study
from radplug.desk import Flaw
from radplug.domain import Case, CaseState
from radplug.hl7_in import inbox
from radplug.hl7_in.reading import Reader
from radplug.notices import Dictated
from radplug.records.patients import ANEW, DISCARDED, NONE_YET, REVISED, known_as
from radplug.records.schema import audit, messages
from radplug.wiring import House

Tell = Callable[..., Message]
DESTINATIONS = {
    "pacs": [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}],
    "reporting": [{"name": "ris", "host": "127.0.0.1", "port": 1}],
}


@pytest.fixture
def home(build: Callable[..., House]) -> House:
    return build(
        drafting={"assume_body_part": "CHEST"},
        hl7={"character_sets": {"OLD": "8859/1"}, "sections": {"GDT": "FINDINGS"}},
        **DESTINATIONS,
    )


@pytest.fixture
def port(home: House) -> Iterator[int]:
    with Listener("127.0.0.1", 0, partial(inbox.take, home), admits=home.settings.hl7.admits) as listener:
        yield listener.port


@pytest.fixture
def tell(port: int) -> Tell:
    def send(
        kind: str, *segments: str, id: str = "1", version: str = "2.5.1", header: str = "", **other: str
    ) -> Message:
        charset = other.get("charset", "utf-8")
        sender = other.get("sender", "RIS")
        msh = f"MSH|^~\\&|{sender}|H|RADPLUG|H|20261124||{kind}|{id}|P|{version}{header}"
        raw = "".join(f"{segment}\r" for segment in (msh, *segments)).encode(charset)
        return Message.parse(exchange(raw, "127.0.0.1", port, timeout=10))

    return send


def code_of(answer: Message) -> tuple[str, str]:
    return answer.get("MSA", 1), answer.get("MSA", 2)


def order(accession: str, control: str = "NW", indication: str = "cough") -> tuple[str, ...]:
    """Of the phantoms' patient; its study UID is not the one that the modality made."""
    ordered = f"OBR|1|P1|F1|71020^Chest^C4|||||||||{indication}|||||{accession}"
    return "PID|1||PHANTOM-1", f"ORC|{control}|P1|F1", ordered, "ZDS|1.2^R|Z"


def said(accession: str, *texts: tuple[str, str], status: str = "P") -> tuple[str, ...]:
    observations = (f"OBX|{n}|TX|{code}||{text}||||||P" for n, (code, text) in enumerate(texts, 1))
    return "OBR|1||F1|||||||||||||||" + accession + "|||||||" + status, *observations


def drafted(home: House, case: Case) -> Case:
    pipeline.draft(home, case.id, "worker")
    return home.viewing.case(case.id)


def events(home: House, event: str) -> list[dict[str, object]]:
    with home.database.reading() as connection:
        return list(connection.scalars(sa.select(audit.c.detail).where(audit.c.event == event).order_by(audit.c.id)))


def test_an_order_before_and_after_the_images_and_its_cancellation(home: House, tell: Tell, tmp_path: Path) -> None:
    first = send_study(home, tmp_path / "a")
    number = first.accession_number
    assert code_of(tell("ORM^O01", *order(number), version="2.3")) == ("AA", "1")
    known = home.drafting.order(first)
    assert known
    assert known.indication == "cough"
    assert known.study_uid == "1.2"
    tell("OMI^O23^OMI_O23", *order(number, "XO", "fall"), id="2")
    assert (changed := home.drafting.order(first))
    assert changed.indication == "fall"
    tell("ORM^O01", *order(number, "CA"), id="3")
    assert home.drafting.order(first) is None
    assert [len(events(home, event)) for event in ("order taken", "order cancelled")] == [2, 1]


def test_text_before_the_study_and_after_it_stands_in_the_draft(home: House, tell: Tell, tmp_path: Path) -> None:
    file = synthetic_study.write(tmp_path / "probe", 1_000_000_001, home.now(), size=128).files[0]
    number = str(pydicom.dcmread(file, stop_before_pixels=True).AccessionNumber)
    tell("ORU^R01", *said(number, ("59776-5^Findings^LN", "Lungs clear \\T\\ wide.")), sender="SPEECH")
    case = drafted(home, receive_file(home, file))
    assert case.version == 1
    assert "Lungs clear & wide." in home.viewing.drafts(case.id)[-1].text.as_json()
    text = said(number, ("GDT^Text^L", "Heart is large."), ("GDT^Text^L", "IMPRESSION: Rest."))
    tell("MDM^T08^MDM_T02", "TXA|1|RAD|TX||||||||||||||IN", *text, sender="SPEECH", id="2")
    again = drafted(home, home.viewing.case(case.id))
    assert again.version == 2
    written = home.viewing.drafts(case.id)[-1].text.as_json()
    assert "Heart is large." in written
    assert "Rest." in written
    assert "Lungs clear" not in written
    tell("MDM^T08^MDM_T02", "TXA|1|RAD|TX||||||||||||||IN", *text, sender="SPEECH", id="3")
    assert home.viewing.case(case.id).state is CaseState.DRAFTED  # the same words again change nothing


def test_signed_text_and_our_own_drafts_are_left_alone(home: House, tell: Tell, tmp_path: Path) -> None:
    case = drafted(home, send_study(home, tmp_path / "a"))
    (ours,) = (d.document for d in home.viewing.deliveries(case.id) if d.destination == "ris")
    answers = inbox.take(home, home.store.path(ours.file).read_bytes())
    assert acknowledgement.read(answers[0]).code == "AA"
    final = said(case.accession_number, ("59776-5", "Signed."), status="F")
    assert code_of(tell("ORU^R01", *final)) == ("AA", "1")
    assert home.drafting.dictations(case) == []
    assert len(events(home, "message left alone")) == 2


def test_a_merge_before_the_draft_after_it_and_before_the_images(home: House, tell: Tell, tmp_path: Path) -> None:
    case = send_study(home, tmp_path / "a")
    old = case.patient.id
    merge = ("PID|1||NEW^^^ISS^MR||Müller^Ann||19600101|F", f"MRG|{old}")
    assert code_of(tell("ADT^A40^ADT_A39", "EVN||20261124", *merge)) == ("AA", "1")
    assert home.viewing.case(case.id).patient == Patient("NEW", "ISS", "Müller^Ann", "19600101", "F")
    case = drafted(home, case)
    sr = pydicom.dcmread(home.store.path(home.viewing.deliveries(case.id)[0].document.file))
    assert (sr.PatientID, sr.IssuerOfPatientID, str(sr.PatientName)) == ("NEW", "ISS", "Müller^Ann")

    tell("ADT^A47", "PID|1||LAST^^^ISS", "MRG|NEW^^^ISS", id="2")
    assert home.viewing.case(case.id).state is CaseState.COMPLETE
    case = drafted(home, home.viewing.case(case.id))
    revised = pydicom.dcmread(home.store.path(home.viewing.deliveries(case.id)[2].document.file))
    assert revised.PatientID == "LAST"
    assert str(revised.PatientName) == "Müller^Ann"
    assert revised.PredecessorDocumentsSequence
    assert [each["report"] for each in events(home, "patient changed")] == [NONE_YET, ANEW]


def test_a_later_study_under_a_former_id_goes_to_the_patient(home: House, tell: Tell, tmp_path: Path) -> None:
    file = synthetic_study.write(tmp_path / "probe", 1_000_000_001, home.now(), size=128).files[0]
    old = str(pydicom.dcmread(file, stop_before_pixels=True).PatientID)
    tell("ADT^A40", "PID|1||B", f"MRG|{old}")
    tell("ADT^A40", "PID|1||C", "MRG|B", id="2")
    assert send_study(home, tmp_path / "a").patient.id == "C"


def test_what_somebody_has_in_hand_is_left_to_them_and_sent_again(home: House, tell: Tell, tmp_path: Path) -> None:
    case = drafted(home, send_study(home, tmp_path / "a"))
    desk = home.desks.of(case.id, home.now())
    home.desks.add(desk.edit, desk.edit.phrases, ("x",), by="maria", what="struck", now=home.now())
    update = f"PID|1||{case.patient.id}||Other^Name"
    tell("ADT^A08", update)
    tell("ADT^A31", update, id="2")  # nothing is new by then
    assert home.viewing.case(case.id).state is CaseState.DRAFTED
    assert home.viewing.case(case.id).patient.name == "Other^Name"
    assert [each["report"] for each in events(home, "patient changed")] == [REVISED]
    before = home.desks.of(case.id, home.now())
    assert before.edit.struck == ("x",)

    (outdated,) = home.revising.due()
    pipeline.revise(home, outdated)

    first, second = home.viewing.drafts(case.id)
    assert (second.version, second.revises, second.text, second.accepted_by) == (2, 1, first.text, "")
    assert home.viewing.case(case.id).state is CaseState.DRAFTED
    (sr,) = (d.document for d in home.viewing.deliveries(case.id) if d.version == 2 and d.document.kind == "sr")
    document = pydicom.dcmread(home.store.path(sr.file))
    assert (document.PatientName, document.PatientID) == ("Other^Name", case.patient.id)
    assert document.PredecessorDocumentsSequence
    after = home.desks.of(case.id, home.now())
    assert (after.edit, after.offer) == (before.edit, None)
    assert not home.revising.due()


def test_what_was_discarded_is_not_sent_for_a_changed_patient(home: House, tell: Tell, tmp_path: Path) -> None:
    case = drafted(home, send_study(home, tmp_path / "a"))
    home.desks.discard(home.desks.of(case.id, home.now()), Flaw.WRONG, by="maria", now=home.now())
    tell("ADT^A08", f"PID|1||{case.patient.id}||Other^Name")
    assert [each["report"] for each in events(home, "patient changed")] == [DISCARDED]
    assert not home.revising.due()


def test_a_message_sent_again_is_answered_again_and_another_one_under_its_id_is_an_alarm(
    home: House, tell: Tell
) -> None:
    first = tell("ORM^O01", *order("A1"))
    tell("ORM^O01", *order("A1", indication="later"), id="2")
    assert tell("ORM^O01", *order("A1")).encode() == first.encode()  # as after a kill between write and answer
    with home.database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(messages)) == 2
    refused = tell("ORM^O01", *order("A2"))
    assert code_of(refused) == ("AE", "1")
    assert refused.raw("ERR", 2) == "MSH^1^10"
    assert refused.get("ERR", 3) == "205"
    assert [each["alarm"] for each in events(home, "another message under a used id")] == [True]
    home.notices.forget(home.now() - timedelta(days=7))
    assert tell("ORM^O01", *order("A1")).encode() == first.encode()
    with home.database.writing() as connection:
        connection.execute(sa.update(messages).values(at=home.now() - timedelta(days=8)))
    clock.tidy(home)
    assert code_of(tell("ORM^O01", *order("A2"))) == ("AA", "1")


@pytest.mark.parametrize(
    ("kind", "segments", "version", "code", "place", "number"),
    [
        ("ORM^O01", order(""), "2.5.1", "AE", "OBR^1^18", "101"),
        ("ORM^O01", ("ORC|NW",), "2.5.1", "AE", "OBR^1^1", "100"),
        ("ADT^A08", ("PID|1||||SECRET^NAME",), "2.5", "AE", "PID^1^3", "101"),
        ("ADT^A40", ("PID|1||1",), "2.8", "AE", "MRG^1^1", "101"),
        ("ADT^A01", ("PID|1||1",), "2.5", "AR", "MSH^1^9", "201"),
        ("SIU^S12", ("SCH|1",), "2.5", "AR", "MSH^1^9", "200"),
        ("ORM^O01", order("A1"), "2.9", "AR", "MSH^1^12", "203"),
        ("ORU^R01", said("A1", ("1", "a\\X07\\b")), "2.5", "AE", "OBX^1^5", "102"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_field_and_kept(
    home: House, tell: Tell, kind: str, segments: tuple[str, ...], version: str, code: str, place: str, number: str
) -> None:
    answer = tell(kind, *segments, version=version)
    assert (code_of(answer)[0], answer.raw("ERR", 2), answer.get("ERR", 3)) == (code, place, number)
    assert "SECRET" not in answer.encode().decode()
    (file,) = (home.store.root / "hl7-quarantine").rglob("*.hl7")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert kind.encode() in file.read_bytes()
    (refused,) = events(home, "message refused")
    assert refused["file"] == str(file.relative_to(home.store.root))
    assert "SECRET" not in str(refused)


def test_old_versions_are_told_of_errors_in_their_way(tell: Tell) -> None:
    assert tell("ORM^O01", *order(""), version="2.3").raw("ERR", 1) == "OBR^1^18^101&Required field missing&HL70357"


def test_no_message_at_all_is_answered_and_kept(home: House, port: int) -> None:
    answer = exchange(b"\xff\xfenonsense", "127.0.0.1", port, timeout=10)
    assert acknowledgement.read(answer).code == "AE"
    assert len(list((home.store.root / "hl7-quarantine").rglob("*.hl7"))) == 1


def test_character_sets(home: House, tell: Tell, tmp_path: Path) -> None:
    case = send_study(home, tmp_path / "a")
    update = f"PID|1||{case.patient.id}||Grün^Jörg"
    assert code_of(tell("ADT^A08", update, charset="latin-1", sender="OLD")) == ("AA", "1")
    assert home.viewing.case(case.id).patient.name == "Grün^Jörg"
    refused = tell("ADT^A08", update, charset="latin-1", id="2")
    assert (code_of(refused), refused.raw("ERR", 2)) == (("AE", "2"), "MSH^1^18")
    named = f"PID|1||{case.patient.id}||山田^太郎"
    assert code_of(tell("ADT^A08", named, header="||||||UNICODE UTF-8", id="3")) == ("AA", "3")
    assert home.viewing.case(case.id).patient.name == "山田^太郎"


@pytest.mark.parametrize(
    ("modes", "good", "bad"),
    [
        ("", ["AA"], ["AE"]),
        ("|||AL|NE", ["CA"], ["CE"]),
        ("|||AL|AL", ["CA", "AA"], ["CE"]),
        ("|||NE|AL", ["AA"], ["AE"]),
        ("|||ER|ER", [], ["CE"]),
        ("|||NE|NE", [], []),
    ],
)
def test_acknowledgement_modes(home: House, modes: str, good: list[str], bad: list[str]) -> None:
    for accession, codes in (("A1", good), ("", bad)):
        raw = "\r".join((f"MSH|^~\\&|R|H|||1||ORM^O01|{accession}x|P|2.5{modes}", *order(accession)))
        assert [acknowledgement.read(answer).code for answer in inbox.take(home, raw.encode())] == codes


def test_who_is_not_named_may_not_speak(home: House) -> None:
    with (
        Listener("127.0.0.1", 0, partial(inbox.take, home), admits=lambda address: False) as listener,
        pytest.raises(Unavailable, match="closed the connection"),
    ):
        exchange(b"MSH|^~\\&|", "127.0.0.1", listener.port, timeout=10)
    admits = home.settings.hl7.admits
    assert admits("127.0.0.1")
    assert admits("::ffff:127.0.0.1")
    assert not admits("192.0.2.1")


def test_rows_on_each_kind_of_database(house: House) -> None:
    bodies = (
        ("ORM^O01", *order("A1")),
        ("ORU^R01", *said("A1", ("59776-5", "Clear."))),
        ("ADT^A40", "PID|1||B^^^N&1.2&ISO", "MRG|A^^^N&1.2&ISO"),
        ("ADT^A40", "PID|1||C", "MRG|B^^^N"),
        ("ADT^A40", "PID|1||B", "MRG|C"),
    )
    raws = [
        "\r".join((f"MSH|^~\\&|R|H|||1||{kind}|{number}|P|2.5", *segments)).encode()
        for number, (kind, *segments) in enumerate(bodies)
    ]
    first = [inbox.take(house, raw) for raw in raws]
    assert [acknowledgement.read(answer).code for (answer,) in first] == ["AA"] * len(raws)
    assert [inbox.take(house, raw) for raw in raws] == first
    with house.database.reading() as connection:
        known = [known_as(connection, Patient(id)).id for id in "ABC"]
    assert known == ["B", "B", "B"]


def test_two_senders_of_one_message_at_once_have_one_effect(home: House, tell: Tell) -> None:
    with ThreadPoolExecutor(4) as senders:
        answers = list(senders.map(lambda _: tell("ORM^O01", *order("A1")).encode(), range(8)))
    assert len(set(answers)) == 1
    assert len(events(home, "order taken")) == 1


def test_the_station_of_a_whole_site_and_a_merge_after_delivery(tmp_path: Path, model: Path) -> None:
    port = free_port()
    with hospital(tmp_path, model, f"[hl7]\nport = {port}\n") as site:
        study = site.study("merged")
        ordered = (*order(study.order.accession_number), "ZXX|kept")
        site.send(*study.files)
        case = site.wait_for(study, CaseState.DELIVERED, 1)
        for number, segments in enumerate((ordered, ("PID|1||NEW", f"MRG|{case.patient.id}"))):
            kind = ("ORM^O01", "ADT^A40")[number]
            raw = "\r".join((f"MSH|^~\\&|RIS|H|||1||{kind}|{number}|P|2.5", *segments))
            answer = exchange(raw.encode(), "127.0.0.1", port, timeout=10)
            assert acknowledgement.read(answer) == acknowledgement.Acknowledgement("AA", str(number))
        assert site.wait_for(study, CaseState.DELIVERED, 2).patient.id == "NEW"
        ids = [pydicom.dcmread(file).PatientID for file in site.pacs.received]
        assert ids == [case.patient.id, "NEW"]
        named = [Message.parse(file.read_bytes()).get("PID", 3) for file in site.ris.received]
        assert named == [case.patient.id, "NEW"]


WORDS = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1).filter(lambda t: ":" not in t)


@given(st.lists(WORDS.map(str.strip).filter(bool), min_size=1, max_size=4))
def test_dictated_words_come_through_byte_for_byte(lines: list[str]) -> None:
    text = "\n".join(lines)
    raw = "\r".join((r"MSH|^~\&|S|H|||1||ORU^R01|1|P|2.5", *said("A1", ("59776-5", escape(text)))))
    notice = Reader({"59776-5": "FINDINGS"}, "1.2.3").read(Message.parse(raw.encode()), datetime.now(UTC))
    assert isinstance(notice, Dictated)
    assert [(each.section, each.text) for each in notice.phrases] == [("FINDINGS", text)]
