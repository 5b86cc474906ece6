from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7.checks import check
from hl7.errors import Malformed
from hl7.header import Header
from hl7.message import Message
from hl7.oru import VERSIONS, TextStyle, build, read
from hl7.patient import Patient
from hl7.result import Result, ResultSection

STYLES = get_args(TextStyle)
TEXT = st.lists(
    st.sampled_from(["|", "^", "~", "\\", "&", "\\.br\\", "\n", "\n\n", "\t", " ", "  ", '""', "e\u0301", "山田", "🙂"])
    | st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
).map("".join)


def with_text(result: Result, *texts: str) -> Result:
    return replace(result, sections=tuple(ResultSection(f"C{n}", "99X", f"N{n}", t) for n, t in enumerate(texts)))


def test_the_message_segment_by_segment(result: Result) -> None:
    """Field by field what a receiver relies on; OBR-32 is not there."""
    now, device = "20261123080000+0000", "radplug^RADPLUG^1.2.826.0.1^ISO"
    assert build(result).decode().split("\r") == [
        r"MSH|^~\&|RADPLUG|HOSP|REPORTING|HOSP^1.2.40.1^ISO|"
        rf"{now}||ORU^R01^ORU_R01|20261123080000000001|P|2.5.1||||||UNICODE UTF-8",
        "PID|1||MRN1^^^HOSP&1.2.3&ISO^MR||Doe^Jäne^Q^Jr^Dr^^^A~山田^花子^^^^^^I||19600101|F",
        "PV1|1|U",
        "ORC|RE|4711^HIS|0815^RIS^1.2.3^ISO",
        r"OBR|1|4711^HIS|0815^RIS^1.2.3^ISO|36643-5^Chest X-ray \T\ lateral^LN|||20261122235959.5|||||||||||ACC1|RP1|||"
        f"{now}||RAD|R",
        "OBX|1|ST|113014^DICOM Study^DCM||1.2.840.1||||||O",
        "OBX|2|TX|18782-3^Radiology Study observation (narrative)^LN||AI DRAFT - NOT REVIEWED BY A RADIOLOGIST"
        f"||||||R|||{now}||||{device}",
        r"OBX|3|TX|59776-5^Findings^LN||Heart size normal.~~Nodule 5\R\6 mm \T\ a\F\b\S\c\E\d."
        f"||||||R|||{now}||||{device}",
        f"OBX|4|TX|19005-8^Impressions^LN||No acute finding.||||||R|||{now}||||{device}",
        "",
    ]


def test_line_style_numbers_the_lines_in_obx_4(result: Result) -> None:
    message = Message.parse(build(result, text_style="line"))
    findings = [obx for obx in message.all("OBX") if message.get(obx, 3) == "59776-5"]
    assert [(message.get(obx, 2), message.get(obx, 4)) for obx in findings] == [("TX", "1"), ("TX", "2"), ("TX", "3")]
    assert message.get(findings[2], 5) == "Nodule 5~6 mm & a|b^c\\d."


def test_ft_style_breaks_lines_with_br(result: Result) -> None:
    message = Message.parse(build(result, text_style="ft"))
    assert message.get(message.all("OBX")[2], 2) == "FT"
    assert message.raw(message.all("OBX")[2], 5).startswith(r"Heart size normal.\.br\\.br\Nodule 5\R\6 mm")


@given(texts=st.lists(TEXT, min_size=1, max_size=3))
@pytest.mark.parametrize("style", STYLES)
def test_every_text_comes_back_byte_for_byte(result: Result, style: TextStyle, texts: list[str]) -> None:
    sent = with_text(result, *texts)
    received = read(build(sent, text_style=style))
    assert received.sections == sent.sections
    assert received.banner == sent.banner


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("style", STYLES)
def test_what_is_built_passes_every_check_and_is_read_back(result: Result, version: str, style: TextStyle) -> None:
    sent = replace(result, sections=(*result.sections, ResultSection("X", "L", "Long", "many words " * 300)))
    raw = build(sent, version=version, text_style=style)
    assert check(raw) == ()
    received = read(raw)
    assert received.sections == sent.sections
    assert (received.banner, received.control_id) == (sent.banner, sent.header.control_id)
    assert (received.study_uid, received.accession_number) == (sent.study_uid, sent.order.accession_number)
    assert received.placer_order_number == sent.order.placer_order_number
    assert received.filler_order_number == sent.order.filler_order_number
    assert {received.status, *received.observation_statuses} == {"R"}
    assert received.device == sent.device or not VERSIONS[version].equipment


def test_sections_that_share_a_code_stay_apart(result: Result) -> None:
    sections = tuple(ResultSection("59776-5", "LN", name, f"{name}\nsecond line") for name in ("Lungs", "Heart"))
    sent = replace(result, sections=sections)
    for style in STYLES:
        raw = build(sent, text_style=style)
        assert check(raw) == ()
        assert read(raw).sections == sections


@pytest.mark.parametrize("character", ["\r", "\x00", "\x0b", "\x1c", "\x1b", "\ud800"])
def test_a_text_that_cannot_be_carried_is_refused_whole(result: Result, character: str) -> None:
    for style in STYLES:
        with pytest.raises(Malformed, match="HL7 cannot carry") as refused:
            build(with_text(result, f"SECRET{character}"), text_style=style)
        assert "SECRET" not in str(refused.value)


def test_the_same_result_gives_the_same_bytes(result: Result) -> None:
    assert build(result) == build(replace(result))


def test_a_correction_keeps_its_order_and_its_status(result: Result) -> None:
    correction = replace(result, header=replace(result.header, control_id="2"))
    first, second = Message.parse(build(result)), Message.parse(build(correction))
    assert first.get("MSH", 10) != second.get("MSH", 10)
    assert [first.raw("OBR", n) for n in (2, 3, 18, 25)] == [second.raw("OBR", n) for n in (2, 3, 18, 25)]


@pytest.mark.parametrize("status", ["F", "C", "A", "I", "S", "X", "", "r", "RF"])
def test_no_other_status_can_be_said(result: Result, status: str) -> None:
    with pytest.raises(Malformed, match="R or P"):
        replace(result, status=status)  # type: ignore[arg-type]


def test_p_is_said_where_a_site_wants_it(result: Result) -> None:
    raw = build(replace(result, status="P"))
    assert check(raw) == ()
    assert {read(raw).status, *read(raw).observation_statuses} == {"P"}


def test_sections_with_one_label_are_refused(result: Result) -> None:
    with pytest.raises(Malformed, match="share code, scheme and name"):
        replace(result, sections=(result.sections[0], replace(result.sections[0], text="other")))


def test_an_unknown_version_is_refused(result: Result) -> None:
    with pytest.raises(Malformed, match=r"2\.5\.1"):
        build(result, version="3.0")


def test_the_filler_number_falls_back_to_the_accession_number(result: Result) -> None:
    raw = build(replace(result, order=replace(result.order, filler_order_number="", procedure_code=("", "", ""))))
    message = Message.parse(raw)
    assert (message.get("OBR", 3), message.get("OBR", 18)) == ("ACC1", "ACC1")
    assert message.get("OBR", 4, 2) == "Diagnostic imaging study"
    assert check(raw) == ()


@pytest.mark.parametrize(
    ("name", "pid_5"),
    [
        ("Doe^Jane", "Doe^Jane"),
        ("Doe", "Doe"),
        ("", "^^^^^^U"),
        ("^^^", "^^^^^^U"),
        ("Doe ^Jane^^^PhD", "Doe^Jane^^PhD"),
        ("=山田^太郎=やまだ^たろう", "山田^太郎^^^^^^I~やまだ^たろう^^^^^^P"),
        ("O'Neil & Sons|x", r"O'Neil \T\ Sons\F\x"),
    ],
)
def test_a_dicom_name_as_hl7_writes_it(result: Result, name: str, pid_5: str) -> None:
    raw = build(replace(result, patient=replace(result.patient, name=name)))
    assert Message.parse(raw).raw("PID", 5) == pid_5
    assert check(raw) == ()


@pytest.mark.parametrize(
    ("study_datetime", "obr_7"),
    [
        ("20261123080000.123456", "20261123080000.1234"),
        ("202611230830", "202611230830"),
        ("2026112308:30", "2026112308"),
        ("20261123996000", "20261123"),
        ("20261301", ""),
        ("20260230", ""),
        ("201500", ""),  # a time without its date is no year
        ("2026.11.23", ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_a_time_is_as_exact_as_it_is_known(result: Result, study_datetime: str, obr_7: str) -> None:
    raw = build(replace(result, study_datetime=study_datetime))
    assert Message.parse(raw).raw("OBR", 7) == obr_7
    assert check(raw) == ()


def test_the_patient_of_a_bare_study(result: Result) -> None:
    message = Message.parse(build(replace(result, patient=Patient(""))))
    assert (message.raw("PID", 3), message.raw("PID", 7)) == ("", "")


def test_a_control_id_must_fit_and_a_time_must_have_its_zone(header: Header, result: Result) -> None:
    for control_id in ("", "x" * 21):
        with pytest.raises(Malformed, match="control id"):
            replace(header, control_id=control_id)
    with pytest.raises(Malformed, match="time zone"):
        build(replace(result, header=replace(header, created=datetime(2026, 11, 23))))


def test_what_is_not_a_result_is_not_read_as_one() -> None:
    with pytest.raises(Malformed, match=r"ORU\^R01"):
        read(b"MSH|^~\\&|A|B|C|D|1||ADT^A08|1|P|2.5.1\r")


def test_a_bare_result_of_another_sender_is_read() -> None:
    received = read(b"MSH|^~\\&|A|B|C|D|1||ORU^R01|1|P|2.3\nOBR|1||||||||||||||||||||||||F\nOBX|1|TX|R^REPORT||a & b\n")
    assert (received.status, received.study_uid, received.banner) == ("F", "", "")
    assert received.sections == (ResultSection("R", "", "REPORT", "a & b"),)
