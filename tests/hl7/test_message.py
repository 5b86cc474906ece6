from __future__ import annotations

import traceback

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message as Hl7apyMessage
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from hl7 import oru
from hl7.errors import Hl7Error, Malformed
from hl7.message import CHARACTER_SETS, Message, segment
from hl7.result import Result

ORM_23 = (
    "MSH|^~\\&|RIS|H|RADPLUG|H|20261123||ORM^O01|77|P|2.3||||||8859/1\r"
    "ZPI|first|a Z segment\r"
    "PID|1||4711^^^H&1.2&ISO~0815^^^OLD||Müller^Jörg||19600101|M\r"
    "ORC|NW|P1^HIS|F1^RIS||||\r"
    'OBR|1|P1^HIS|F1^RIS|CT^CT \\T\\ MR^L|||""\r'
    "XYZ|||unknown^to~everyone\r"
    "ZDS|1.2.3^RIS^Application^DICOM\r"
)
CONTENT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)


def test_what_is_read_is_written_back_byte_for_byte() -> None:
    raw = ORM_23.encode("latin-1")
    message = Message.parse(raw)
    assert message.encode() == raw
    assert [name for name, *_ in message.segments] == ["MSH", "ZPI", "PID", "ORC", "OBR", "XYZ", "ZDS"]


@given(st.lists(st.lists(CONTENT, min_size=1)))
def test_any_content_survives(contents: list[list[str]]) -> None:
    lines = ["MSH|^~\\&|A|B", *("|".join(["ZZZ", *content]) for content in contents)]
    raw = "".join(f"{line}\r" for line in lines).encode()
    message = Message.parse(raw)
    assert message.encode() == raw
    for found, line in zip(message.segments[1:], lines[1:], strict=True):
        assert "|".join(found) == line


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r", "\n\n"])
def test_other_line_ends_are_read_as_segment_ends(end: str) -> None:
    message = Message.parse(ORM_23.replace("\r", end).encode("latin-1"))
    assert message.encode() == ORM_23.encode("latin-1")
    assert Message.parse(ORM_23.rstrip("\r").replace("\r", end).encode("latin-1")) == message


def test_a_line_feed_that_begins_no_segment_is_content() -> None:
    message = Message.parse(b"MSH|^~\\&|A\rOBX|1|TX|C||first\nsecond line\rZZZ|end\n")
    assert message.raw("OBX", 5) == "first\nsecond line"
    assert message.get("ZZZ", 1) == "end"


def test_reading_takes_time_in_proportion_to_length() -> None:
    blank = Message.parse(b"MSH|^~\\&|A" + b"\n" * 1_000_000 + b"PID|1")  # quadratic would be hours
    assert [name for name, *_ in blank.segments] == ["MSH", "PID"]


def test_get_counts_from_one_as_hl7_does() -> None:
    message = Message.parse(ORM_23.encode("latin-1"))
    assert message.charset == "iso8859-1"
    assert message.get("MSH", 1) == "|"
    assert message.raw("MSH", 2) == "^~\\&"
    assert (message.get("MSH", 9), message.get("MSH", 9, 2), message.get("MSH", 9, 3)) == ("ORM", "O01", "")
    assert (message.get("PID", 5), message.get("PID", 5, 2)) == ("Müller", "Jörg")
    assert (message.get("PID", 3, 4), message.get("PID", 3, 4, 1, 2)) == ("H", "1.2")
    assert (message.get("PID", 3, 1, 2), message.get("PID", 3, 4, repetition=2)) == ("0815", "OLD")
    assert message.get("OBR", 4, 2) == "CT & MR"
    assert (message.raw("OBR", 7), message.get("OBR", 7)) == ('""', "")
    assert message.components("ZDS", 1) == ("1.2.3", "RIS", "Application", "DICOM")
    assert message.repetitions("XYZ", 3) == ("unknown^to", "everyone")
    assert [message.get(*place) for place in (("NTE", 3), ("PID", 99), ("PID", 3, 9), ("PID", 3, 1, 9))] == [""] * 4


def test_delimiters_are_the_senders() -> None:
    message = Message.parse(b"MSH!%$@*#!RIS!H\rZZZ!a%b*c$d!@F@@S@@T@@R@@E@@P@\r")
    assert (message.get("ZZZ", 1, 2, 1, 2), message.get("ZZZ", 1, 1, 2)) == ("c", "d")
    assert message.get("ZZZ", 2) == "!%*$@#"


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        *((name, codec, "AZ") for name, codec in CHARACTER_SETS.items()),
        ("8859/1", "latin-1", "Müller"),
        ("8859/5", "iso8859-5", "Иванов"),
        ("8859/6", "iso8859-6", "أحمد"),
        ("UNICODE UTF-8", "utf-8", "山田🙂"),
        ("~ISO IR87", "iso2022_jp", "山田"),
        ("ASCII~ISO IR87", "iso2022_jp", "山田"),
        ("GB 18030-2000", "gb18030", "张伟"),
        ("BIG-5", "big5", "許功蓋"),  # their second bytes are backslash and the like
        ("KS X 1001", "euc_kr", "김철수"),
        (" unicode utf-8 ", "utf-8", "é"),
    ],
)
def test_msh_18_says_the_character_set(declared: str, codec: str, name: str) -> None:
    text = f"MSH|^~\\&|A|B|C|D|1||ADT^A08|1|P|2.5.1||||||{declared}\rPID|1||4711||{name}^{name}\r"
    raw = text.encode(codec)
    message = Message.parse(raw)
    assert (message.get("PID", 5), message.get("PID", 5, 2)) == (name, name)
    assert message.encode() == raw


@pytest.mark.parametrize("declared", ["", "ASCII"])
def test_the_source_default_serves_where_msh_18_says_nothing_more(declared: str) -> None:
    raw = f"MSH|^~\\&|A|B|C|D|1||ADT^A08|1|P|2.3||||||{declared}\rPID|1||4711||Müller\r".encode("latin-1")
    assert Message.parse(raw, default_charset="latin-1").get("PID", 5) == "Müller"
    with pytest.raises(Malformed, match="is not utf-8"):
        Message.parse(raw)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", "does not begin with MSH"),
        (b"PID|1||SECRET\r", "does not begin with MSH"),
        (b"MSH", "MSH-2"),
        (b"MSH|SECRET|A\r", "MSH-2"),
        (b"MSH|^^\\&|SECRET\r", "MSH-1 and MSH-2"),
        (b"MSH|^~\\&|A|B|C|D|1||ADT^A08|1|P|2.5||||||SECRET\r", "MSH-18"),
        (b"MSH|^~\\&|A\rPID|1||SECRET \xff\r", "byte 25 is not utf-8"),
        (b"MSH|^~\\&|A\rSECRET\r", "line 2 does not start with a segment name"),
        (b"MSH|^~\\&|A\rpid|SECRET\r", "line 2 does not start with a segment name"),
    ],
)
def test_what_cannot_be_read_is_refused_without_telling_values(raw: bytes, found: str) -> None:
    with pytest.raises(Malformed, match=found) as refused:
        Message.parse(raw)
    assert "SECRET" not in "".join(traceback.format_exception(refused.value))


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"MSH|^~\\&|" + tail))
def test_no_bytes_make_the_reader_fail_in_another_way(raw: bytes) -> None:
    try:
        message = Message.parse(raw)
    except Hl7Error:
        return
    assert Message.parse(message.encode()) == message


def test_a_character_outside_the_character_set_is_refused_without_telling_the_text() -> None:
    message = Message((("MSH", "|", "^~\\&"), ("ZZZ", "SECRET 山")), charset="latin-1")
    with pytest.raises(Malformed, match="5C71 does not exist in latin-1") as refused:
        message.encode()
    assert "SECRET" not in "".join(traceback.format_exception(refused.value))


def test_a_message_keeps_its_content_out_of_its_repr() -> None:
    assert "Jörg" not in repr(Message.parse(ORM_23.encode("latin-1")))


def test_segment_escapes_every_text_and_leaves_empty_ends_out() -> None:
    built = segment("PID", {2: "a|b", 3: [("x^", ("y&", "", "z"), ""), ("", "")], 5: ["", "~", ""], 6: ""})
    assert built == ("PID", "", r"a\F\b", r"x\S\^y\T\&&z~", "", r"~\R\~", "")


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1", "2.7"])
@pytest.mark.parametrize("style", ["repeat", "line"])  # hl7apy escapes FT's .br commands a second time
def test_the_reader_agrees_with_hl7apy(result: Result, version: str, style: oru.TextStyle) -> None:
    raw = oru.build(result, version=version, text_style=style)
    ours = Message.parse(raw)
    theirs = parse_message(raw.decode(), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
    assert [segment.name for segment in theirs.children] == [name for name, *_ in ours.segments]
    for their, our in zip(theirs.children, ours.segments, strict=True):
        for number in range(3, len(our)):
            fields = getattr(their, f"{our[0]}_{number}".lower())
            assert "~".join(field.value for field in fields) == ours.raw(our, number), f"{our[0]}-{number}"


def test_what_hl7apy_builds_is_read_as_it_was_meant() -> None:
    built = Hl7apyMessage("ORU_R01", version="2.5.1")
    built.msh.msh_9 = "ORU^R01^ORU_R01"
    built.msh.msh_10 = "42"
    built.add_segment("PID")
    built.pid.pid_3 = "4711^^^H&1.2&ISO^MR"
    built.pid.pid_5.pid_5_2 = "Jä|ne~"
    message = Message.parse(built.to_er7().encode())  # hl7apy leaves the last CR out
    assert (message.get("MSH", 9, 3), message.get("MSH", 10)) == ("ORU_R01", "42")
    assert (message.get("PID", 3, 4, 1, 3), message.get("PID", 3, 5)) == ("ISO", "MR")
    assert message.get("PID", 5, 2) == "Jä|ne~"
