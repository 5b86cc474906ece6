from __future__ import annotations

import threading

import pytest
from hl7apy.core import Message as Hl7apyMessage
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

from hl7 import oru
from hl7.acknowledgement import Acknowledgement, Code, acknowledge, read, settle
from hl7.errors import Rejected, Unavailable
from hl7.listener import Listener
from hl7.message import Message
from hl7.mllp import exchange, frame
from hl7.result import Result

WAIT = 10.0


@pytest.mark.parametrize("code", ["AA", "AE", "AR", "CA", "CE", "CR"])
def test_what_is_acknowledged_is_read_back(result: Result, code: Code) -> None:
    raw = acknowledge(Message.parse(oru.build(result)), code, "a|b & ä")
    assert read(raw) == Acknowledgement(code, result.header.control_id, "a|b & ä")


def test_an_answer_goes_back_to_its_sender_and_is_valid(result: Result) -> None:
    raw = acknowledge(Message.parse(oru.build(result)), "AA")
    answer = Message.parse(raw)
    assert [answer.raw("MSH", n) for n in (3, 4, 5, 6)] == ["REPORTING", "HOSP^1.2.40.1^ISO", "RADPLUG", "HOSP"]
    assert (answer.raw("MSH", 9), answer.get("MSH", 12)) == ("ACK^R01^ACK", "2.5.1")
    assert answer.get("MSH", 10) not in ("", result.header.control_id)
    assert parse_message(raw.decode()).validate()


def test_an_answer_speaks_as_its_sender_does() -> None:
    question = "MSH!%$@*!Zürich!H!A!B!1!!ADT%A08!id@F@1!P!2.3!!!!!!8859/1\rPID!1\r".encode("latin-1")
    raw = acknowledge(Message.parse(question), "AE", "50% & more")
    answer = Message.parse(raw)
    assert raw.startswith("MSH!%$@*!A!B!Zürich!H!".encode("latin-1"))
    assert (answer.raw("MSH", 9), answer.raw("MSA", 2)) == ("ACK%A08", "id@F@1")
    assert answer.get("MSA", 3) == "50% & more"


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_accepted_is_settled(code: str) -> None:
    settle(Acknowledgement(code, "42"), "42")


@pytest.mark.parametrize(
    ("code", "error"), [("AE", Rejected), ("CE", Rejected), ("AR", Unavailable), ("CR", Unavailable)]
)
def test_a_refusal_is_final_for_the_content_and_temporary_for_the_rest(code: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=code) as refused:
        settle(Acknowledgement(code, "42", "SECRET"), "42")
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("control_id", ["", "43", "042"])
def test_an_answer_to_another_message_settles_nothing(control_id: str) -> None:
    with pytest.raises(Unavailable, match="another message"):
        settle(Acknowledgement("AA", control_id), "42")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        b"MSH|^~\\&|A|B|C|D|1||ACK|1|P|2.5.1\r",
        b"MSH|^~\\&|A|B|C|D|1||ACK|1|P|2.5.1\rMSA||42\r",
        b"MSH|^~\\&|A|B|C|D|1||ACK|1|P|2.5.1\rMSA|SECRET|42\r",
    ],
)
def test_an_unreadable_answer_is_no_answer(raw: bytes) -> None:
    with pytest.raises(Unavailable) as refused:
        read(raw)
    assert "SECRET" not in str(refused.value)


def test_an_answer_in_any_character_set_is_read() -> None:
    answer = "MSH|^~\\&|Zürich|B|C|D|1||ACK|1|P|2.3\nMSA| AA |42 |für später\n".encode("latin-1")
    assert read(answer) == Acknowledgement("AA", "42", "für später")


def test_the_whole_way_over_a_connection(result: Result) -> None:
    taken: list[bytes] = []

    def handle(raw: bytes) -> bytes:
        taken.append(raw)
        return acknowledge(Message.parse(raw), "AA")

    sent = oru.build(result)
    with Listener("127.0.0.1", 0, handle) as listener:
        settle(read(exchange(sent, listener.host, listener.port, timeout=WAIT)), result.header.control_id)
    assert taken == [sent]
    assert frame(sent).count(b"\x1c") == 1


class _Archive(AbstractHandler):  # type: ignore[misc]
    def reply(self) -> str:
        taken = parse_message(self.incoming_message)
        answer = Hl7apyMessage("ACK", version="2.5.1")
        answer.msa.msa_1 = "AA"
        answer.msa.msa_2 = taken.msh.msh_10
        return str(answer.to_mllp())


def test_a_receiver_that_is_not_ours_takes_the_result(result: Result) -> None:
    with MLLPServer("127.0.0.1", 0, {"ORU^R01^ORU_R01": (_Archive,)}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        answer = read(exchange(oru.build(result), *server.server_address, timeout=WAIT))
        server.shutdown()
        thread.join()
    settle(answer, result.header.control_id)
