"""Storage commitment: what we sent is confirmed, or sent again; what we were sent, we confirm from rows and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from commitment_peers import Pacs, pacs
from houses import keep_file, send_study
from peers import free_port, wait_until

from dicom_io import committing
from dicom_io.association import Peer
from dicom_io.commitment import FailureReason, Reference, Request, Result
from dicom_io.errors import Rejected
from dicom_io.listener import Listener
from radplug import doctor, pipeline
from radplug.commitment_desk import CommitmentDesk
from radplug.domain import Case, CaseState, DeliveryState, Received
from radplug.wiring import House


@contextmanager
def listening(house: House) -> Iterator[int]:
    desk = CommitmentDesk(house)
    with Listener("RADPLUG", "127.0.0.1", 0, lambda arrival: None, commitment=desk, calling_ae_titles=None) as listener:
        yield listener.port


@pytest.fixture
def drafted_for(build: Callable[..., House], tmp_path: Path) -> Iterator[Callable[..., tuple[House, Case, Pacs]]]:
    with ExitStack() as stack:

        def make(**settings: Any) -> tuple[House, Case, Pacs]:
            peer = stack.enter_context(pacs())
            at = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": peer.port, "timeout_seconds": 5}
            house = build(pacs=[{**at, "commitment": True, "commitment_attempts": 2, **settings}])
            case = send_study(house, tmp_path / "study")
            pipeline.draft(house, case.id, "worker")
            return house, case, peer

        yield make


def state_of(house: House, case: Case) -> tuple[CaseState, DeliveryState, str]:
    (delivery,) = house.viewing.deliveries(case.id)
    return house.viewing.case(case.id).state, delivery.state, delivery.outcome


@pytest.mark.parametrize("as_scp", [True, False], ids=["SCP by role", "default roles"])
def test_a_document_is_confirmed_on_our_listener(drafted_for: Any, as_scp: bool) -> None:
    house, case, peer = drafted_for()
    pipeline.deliver(house, case.id)
    assert len(peer.stored) == len(peer.asked) == 1
    assert state_of(house, case) == (CaseState.DELIVERED, DeliveryState.DELIVERED, "stored")
    with listening(house) as port:
        assert peer.call_back(port, as_scp=as_scp) == 0x0000
    assert state_of(house, case) == (CaseState.DELIVERED, DeliveryState.DELIVERED, "stored and committed")
    assert house.committing.due(house.now()) == []


def test_an_answer_on_the_same_association_counts(drafted_for: Any) -> None:
    house, case, peer = drafted_for()
    peer.answers_at_once = True
    pipeline.deliver(house, case.id)
    assert state_of(house, case)[2] == "stored and committed"


def test_what_fails_is_sent_again_and_then_becomes_a_dead_letter(drafted_for: Any) -> None:
    house, case, peer = drafted_for()
    pipeline.deliver(house, case.id)
    with listening(house) as port:
        assert peer.call_back(port, FailureReason.NO_SUCH_INSTANCE) == 0x0000
        assert state_of(house, case)[:2] == (CaseState.DRAFTED, DeliveryState.WAITING)
        wait_until(lambda: case.id in house.delivering.due(house.now()), 5, "the document is due again")
        pipeline.deliver(house, case.id)
        assert len(set(peer.stored)) == 1
        assert (len(peer.stored), len({asked.TransactionUID for asked in peer.asked})) == (2, 2)
        assert peer.call_back(port, FailureReason.PROCESSING_FAILURE) == 0x0000
    state, delivery, outcome = state_of(house, case)
    assert (state, delivery) == (CaseState.DRAFTED, DeliveryState.DEAD)
    assert outcome == "sent 2 times and not committed; the last time: 0x0110 processing failure"
    house.delivering.resend(case.id, house.now())
    peer.answers_at_once = True
    pipeline.deliver(house, case.id)
    assert state_of(house, case) == (CaseState.DELIVERED, DeliveryState.DELIVERED, "stored and committed")


def test_many_documents_are_asked_for_side_by_side(drafted_for: Any) -> None:
    house, case, peer = drafted_for(shapes=["basic-text-sr", "secondary-capture"])
    pipeline.deliver(house, case.id)
    documents = len(house.viewing.deliveries(case.id))
    assert len({asked.TransactionUID for asked in peer.asked}) == len(peer.stored) == documents > 1
    begun = [event.at for event in house.viewing.events(case.id) if event.event == "commitment asked for"]
    assert max(begun) - min(begun) < timedelta(seconds=committing.SAME_ASSOCIATION_SECONDS)


def test_no_answer_in_time_is_a_failure_and_a_late_answer_counts_all_the_same(drafted_for: Any) -> None:
    house, case, peer = drafted_for(commitment_seconds=0.001)
    pipeline.deliver(house, case.id)
    wait_until(lambda: house.committing.due(house.now()), 5, "the answer is late")
    pipeline.deliver(house, case.id)
    assert state_of(house, case)[2].startswith(("not committed: no confirmation", "stored"))
    with listening(house) as port:
        assert peer.call_back(port) == 0x0000
    assert state_of(house, case) == (CaseState.DELIVERED, DeliveryState.DELIVERED, "stored and committed")


def test_a_report_that_nobody_asked_for_changes_nothing(drafted_for: Any) -> None:
    house, case, peer = drafted_for()
    pipeline.deliver(house, case.id)
    before = state_of(house, case)
    peer.asked[-1].TransactionUID = "1.2.3"
    with listening(house) as port:
        assert peer.call_back(port) == 0x0110
    assert state_of(house, case) == before


# ── as SCP ──


@dataclass(frozen=True)
class Sender:
    """A modality that has sent a study and asks whether it is kept."""

    house: House
    kept: Reference
    file: Path
    peer: Peer
    port: int  # where it takes answers
    answers: list[Result]

    def ask(self, *references: Reference, uid: str = "1.2.3.4") -> Result | None:
        return committing.ask(self.peer, Request(uid, references), calling_ae="CT1", timeout=5)


class Hearing:
    """The desk of a sender, which asks and is told."""

    def __init__(self, answers: list[Result]) -> None:
        self._answers = answers

    def asked(self, request: Request, calling_ae: str) -> None:
        return None

    def answer(self, request: Request, calling_ae: str) -> Result:
        raise AssertionError

    def answered(self, request: Request, calling_ae: str, failure: str) -> None:
        raise AssertionError

    def reported(self, result: Result, calling_ae: str) -> bool:
        self._answers.append(result)
        return True


@pytest.fixture
def sender(build: Callable[..., House], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Sender]:
    port, answers = free_port(), list[Result]()
    reports = {"CT1": f"127.0.0.1:{port}"} if request.param else {}
    house = build(listener={"commitment": True, "commitment_reports": reports, "accept_any_calling_ae": True})
    case = send_study(house, tmp_path / "study")
    (kept,) = house.drafting.instances(case.id)
    reference = Reference(kept.instance.sop_class_uid, kept.instance.sop_instance_uid)
    with listening(house) as ours:
        peer = Peer("RADPLUG", "127.0.0.1", ours)
        yield Sender(house, reference, house.store.path(kept.file), peer, port, answers)


def reasons(result: Result | None) -> list[int]:
    assert result is not None
    return [failed.reason for failed in result.failed]


@pytest.mark.parametrize("sender", [False], indirect=True)
def test_a_sender_is_answered_on_its_association_from_rows_and_files(sender: Sender) -> None:
    absent, other_class = Reference("1.2", "1.2.3"), Reference("1.2", sender.kept.sop_instance_uid)
    result = sender.ask(sender.kept, absent, other_class)
    assert result is not None
    assert (result.committed, reasons(result)) == ((sender.kept,), [0x0112, 0x0119])
    assert reasons(sender.ask(absent)) == [0x0131]  # the transaction UID is another's
    data = bytearray(sender.file.read_bytes())
    data[-1] ^= 1
    sender.file.write_bytes(data)
    assert reasons(sender.ask(sender.kept, uid="1.2.3.5")) == [0x0112]
    sender.file.unlink()
    assert reasons(sender.ask(sender.kept, uid="1.2.3.6")) == [0x0112]


@pytest.mark.parametrize("sender", [False], indirect=True)
def test_a_damaged_file_is_mended_when_its_instance_is_sent_again(sender: Sender, tmp_path: Path) -> None:
    house, (sent,), (case,) = sender.house, (tmp_path / "study").iterdir(), sender.house.viewing.cases()
    sender.file.write_bytes(sender.file.read_bytes()[:-1])
    assert keep_file(house, sent) is Received.DUPLICATE  # nobody has looked, and nobody looks at each C-STORE
    assert reasons(sender.ask(sender.kept)) == [0x0112]
    (told,) = (one for one in doctor.examine(house) if one.about == "stored files")
    assert not told.well
    assert keep_file(house, sent) is Received.MENDED
    assert house.viewing.cases() == [case]
    assert not sender.file.exists()
    (kept,) = house.drafting.instances(case.id)
    assert house.store.path(kept.file).read_bytes()[-100:] == sent.read_bytes()[-100:]
    result = sender.ask(sender.kept, uid="1.2.3.5")
    assert result is not None
    assert result.committed == (sender.kept,)
    assert "stored files" not in {one.about for one in doctor.examine(house)}
    assert len(list((house.store.root / "studies").rglob("*.dcm"))) == 1


@pytest.mark.parametrize("sender", [True], indirect=True)
def test_an_answer_waits_until_the_sender_can_be_reached_also_over_a_restart(sender: Sender) -> None:
    assert sender.ask(sender.kept) is None
    CommitmentDesk(sender.house).answer_due()  # nobody listens there
    restarted = House(sender.house.settings, "test")
    hearing = Hearing(sender.answers)
    with Listener("CT1", "127.0.0.1", sender.port, lambda arrival: None, commitment=hearing, calling_ae_titles=None):

        def told() -> bool:
            CommitmentDesk(restarted).answer_due()
            return bool(sender.answers)

        wait_until(told, 10, "the sender is told")
    assert sender.answers == [Result("1.2.3.4", (sender.kept,))]
    restarted.database.close()


def test_requests_are_refused_where_it_is_off(build: Callable[..., House]) -> None:
    house = build()
    request = Request("1.2.3", (Reference("1.2", "1.3"),))
    with listening(house) as port:
        peer = Peer("RADPLUG", "127.0.0.1", port)
        with pytest.raises(Rejected, match="0x0124"):
            committing.ask(peer, request, calling_ae="CT1", timeout=5)
