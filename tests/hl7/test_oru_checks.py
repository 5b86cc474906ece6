from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7.checks import check
from hl7.message import Message, Segment
from hl7.oru import build, build_pdf
from hl7.result import Result

DRAFT_STATUSES = {"R", "P"}
OTHER_STATUSES = ["F", "C", "A", "I", "S", "X", "Y", "Z", "D", "N", "O", "U", "W", "", "Q", "r", "R~F", "R^F", '""']


def changed(result: Result, name: str, field: int, content: str, occurrence: int = 0) -> bytes:
    """The message with one field's content replaced, as a bug of ours might."""
    message = Message.parse(build(result))
    number = [n for n, segment in enumerate(message.segments) if segment[0] == name][occurrence]
    segments = list(message.segments)
    segment = list(segments[number]) + [""] * (field + 1 - len(segments[number]))
    segments[number] = (*segment[:field], content, *segment[field + 1 :])
    return replace(message, segments=tuple(segments)).encode()


def places(raw: bytes) -> set[str]:
    return {finding.where for finding in check(raw)}


@pytest.mark.parametrize("status", OTHER_STATUSES)
def test_a_message_with_another_status_never_leaves(result: Result, status: str) -> None:
    assert "OBR-25" in places(changed(result, "OBR", 25, status))
    for occurrence in (1, 2, 3):
        assert places(changed(result, "OBX", 11, status, occurrence)) == {"OBX-11"}
    everywhere = build(result).replace(b"||||||R|||", b"||||||%s|||" % status.encode()).replace(b"|RAD|R", b"|RAD|F")
    assert "OBR-25" in places(everywhere)


@pytest.mark.parametrize(
    ("name", "field", "content", "occurrence", "where"),
    [
        ("MSH", 9, "ORU^R30^ORU_R30", 0, "MSH-9"),
        ("MSH", 9, "", 0, "MSH-9"),
        ("MSH", 10, "", 0, "MSH-10"),
        ("MSH", 10, "x" * 21, 0, "MSH-10"),
        ("MSH", 11, "D", 0, "MSH-11"),
        ("MSH", 12, "3.0", 0, "MSH-12"),
        ("MSH", 12, "", 0, "MSH-12"),
        ("MSH", 18, "", 0, "MSH-18"),
        ("MSH", 18, "8859/99", 0, "message"),
        ("PID", 3, "", 0, "PID-3"),
        ("PID", 3, "^^^HOSP", 0, "PID-3"),
        ("PID", 5, "", 0, "structure"),
        ("PID", 7, "19609999", 0, "PID (segment 2)"),
        ("PID", 5, "x" * 300, 0, "PID (segment 2)"),
        ("MSH", 7, "yesterday", 0, "MSH"),
        ("OBX", 14, "yesterday", 2, "OBX (segment 8)"),
        ("PV1", 70, "x", 0, "PV1 (segment 3)"),
        ("OBR", 4, "", 0, "structure"),
        ("OBR", 32, "1234^Doctor", 0, "OBR-32"),
        ("OBX", 1, "7", 1, "OBX-1"),
        ("OBX", 3, "59776-5^Findings^LN", 1, "OBX"),
        ("OBX", 3, "18782-3^Radiology Study observation (narrative)^LN", 2, "OBX-3"),
        ("OBX", 2, "HD", 0, "OBX"),
        ("OBX", 11, "R", 0, "OBX"),
        ("OBX", 5, "no uid", 0, "OBX"),
        ("OBX", 2, "ST", 2, "OBX-2"),
        ("OBX", 5, "", 2, "OBX-5"),
        ("OBX", 5, " ~ ", 2, "OBX-5"),
        ("OBX", 5, "bare ^ hat", 2, "OBX-5"),
        ("OBX", 5, "bare & ampersand", 2, "OBX-5"),
        ("OBX", 5, "C:\\dir", 2, "OBX-5"),
        ("OBX", 5, "\x0bcontrol", 2, "OBX-5"),
        ("OBX", 5, "\\X0D\\", 2, "OBX-5"),
        ("OBX", 16, "1234^Doctor", 2, "OBX-16"),
        ("OBX", 18, "", 2, "OBX-18"),
    ],
)
def test_each_mistake_is_found_where_it_is(
    result: Result, name: str, field: int, content: str, occurrence: int, where: str
) -> None:
    assert where in places(changed(result, name, field, content, occurrence))


def test_neither_filler_nor_accession_number(result: Result) -> None:
    raw = build(replace(result, order=replace(result.order, accession_number="", filler_order_number="")))
    assert places(raw) == {"OBR-3"}
    assert "OBR-3 and OBR-18 are empty" in str(check(raw)[0])


def test_segments_too_many_or_too_few(result: Result) -> None:
    message = Message.parse(build(result))

    def found(*segments: Segment) -> set[str]:
        return places(replace(message, segments=segments).encode())

    msh, pid, pv1, orc, obr, *obx = message.segments
    assert found(*message.segments) == set()
    assert "PID" in found(msh, pid, pid, pv1, orc, obr, *obx)
    assert "OBR" in found(msh, pid, pv1, orc, obr, *obx, obr)
    assert "OBX" in found(msh, pid, pv1, orc, obr)
    assert "OBX" in found(msh, pid, pv1, orc, obr, *obx[1:])
    assert "OBX-5" in found(msh, pid, pv1, orc, obr, *obx[:2])
    assert "structure" in found(msh, pid, pv1, pv1, orc, obr, *obx)


PDF = ("18748-4", "LN", "Diagnostic imaging report")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("^Application^PDF^Base64^not base 64!", {"OBX-5"}),
        ("^Application^PDF^Base64^", {"OBX-5"}),
        ("^Application^PDF^Base64^bm8gUERG", {"OBX-5"}),  # "no PDF"
        ("^application^pdf^Base64^JVBERi0xLjQK", {"OBX-5"}),
        ("", {"OBX-5"}),
        ("^Application^PDF^Base64^JVBERi0xLjQK", set()),
    ],
)
def test_a_document_that_is_no_pdf_never_leaves(result: Result, content: str, found: set[str]) -> None:
    message = Message.parse(build_pdf(result, PDF, b"%PDF-1.4\n"))
    *others, document = message.segments
    assert places(replace(message, segments=(*others, (*document[:5], content, *document[6:]))).encode()) == found


def test_a_document_stands_alone_and_is_a_draft(result: Result) -> None:
    message = Message.parse(build_pdf(result, PDF, b"%PDF-1.4\n"))
    *others, document = message.segments
    second = (document[0], "4", *document[2:4], "3", *document[5:])
    section = Message.parse(build(result)).all("OBX")[2]
    assert "OBX-5" in places(replace(message, segments=(*message.segments, second)).encode())
    assert "OBX-5" in places(replace(message, segments=(*others, section, (document[0], "4", *document[2:]))).encode())
    final = (*document[:11], "F", *document[12:])
    assert places(replace(message, segments=(*others, final)).encode()) == {"OBX-11"}


def test_bytes_that_are_no_message() -> None:
    assert places(b"") == {"message"}
    assert places(b"MSH|^~\\&|A\rPID|1||\xff\r") == {"message"}


@given(data=st.data())
def test_check_says_what_is_wrong_and_never_fails_itself(result: Result, data: st.DataObject) -> None:
    """Also where hl7apy would: any field replaced by anything, and no finding tells a value."""
    name, occurrences = data.draw(
        st.sampled_from([("MSH", 1), ("PID", 1), ("PV1", 1), ("ORC", 1), ("OBR", 1), ("OBX", 4)])
    )
    occurrence = data.draw(st.integers(0, occurrences - 1))
    field = data.draw(st.integers(3 if name == "MSH" else 1, 30))
    content = data.draw(
        st.lists(st.sampled_from(["SECRET", "^", "&", "~", "\\", "1", "2.5.1", "TX", "ORU", '""'])).map("".join)
    )
    findings = check(changed(result, name, field, content, occurrence))
    assert "SECRET" not in "".join(map(str, findings))
