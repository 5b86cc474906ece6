"""Fields that a site sets in its results: which ones, to what, and what becomes of the message."""

from __future__ import annotations

import pytest

from hl7.errors import Malformed
from hl7.message import Message
from hl7.oru import build
from hl7.overrides import NUMBERS, overrides
from hl7.result import Result


def sent(result: Result, **fields: str) -> Message:
    return Message.parse(build(result, overrides=overrides({key.replace("_", "-"): v for key, v in fields.items()})))


def test_a_constant_and_each_number_stand_in_their_fields(result: Result) -> None:
    message = sent(result, OBR_24="CT", OBR_20="{accession_number}", OBR_21="{patient_id}/{requested_procedure_id}")
    assert [message.raw("OBR", number) for number in (24, 20, 21)] == ["CT", "ACC1", "MRN1/RP1"]
    for number in NUMBERS:
        assert sent(result, ZXX_1=f"{{{number}}}").raw("ZXX", 1) != ""


def test_a_number_with_components_keeps_them_and_what_it_holds_is_escaped(result: Result) -> None:
    assert sent(result, OBR_20="{placer_order_number}").components("OBR", 20) == ("4711", "HIS")
    assert sent(result, OBR_20="a\\T\\b").get("OBR", 20) == "a&b"


def test_a_segment_that_is_not_there_stands_at_the_end_with_its_empty_fields(result: Result) -> None:
    message = sent(result, ZDS_3="{study_uid}^RADPLUG^Application^DICOM")
    assert message.segments[-1] == ("ZDS", "", "", "1.2.840.1^RADPLUG^Application^DICOM")


def test_a_field_of_obx_is_set_in_the_report_and_not_in_the_study_uid(result: Result) -> None:
    observations = sent(result, OBX_15="RADPLUG").all("OBX")
    assert [obx[15] if len(obx) > 15 else "" for obx in observations] == ["", *["RADPLUG"] * (len(observations) - 1)]


def test_fields_of_the_header_that_say_who_sends_may_be_set(result: Result) -> None:
    message = sent(result, MSH_3="ENGINE", MSH_8="token", MSH_17="DEU")
    assert [message.raw("MSH", number) for number in (3, 8, 17)] == ["ENGINE", "token", "DEU"]


@pytest.mark.parametrize(
    ("field", "content", "reason"),
    [
        *[(f"MSH-{number}", "x", "is what the message is read by") for number in (1, 2, 7, 9, 10, 18)],
        ("MSH-11", "T", "has the setting processing_id"),
        ("MSH-12", "2.3", "has the setting version"),
        *[(f"PID-{number}", "x", "says who the patient is") for number in (3, 5, 7, 8)],
        ("OBR-25", "F", "says that the report is a draft"),
        ("OBR-25", "R", "says that the report is a draft"),
        *[(f"OBR-{number}", "1^Doctor", "names a person who has read") for number in (32, 33, 34, 35)],
        ("OBX-11", "F", "says that the text is a draft"),
        ("OBX-16", "1^Doctor", "names a person who has read"),
        *[(f"OBX-{number}", "x", "is the report itself") for number in (2, 3, 5)],
        ("ORC-5", "CM", "would say that the order is completed"),
        ("ORC-5", "IP~CM", "would say that the order is completed"),
        *[(field, "1", "would be the same in every message") for field in ("OBR-3", "OBR-18", "ORC-2")],
        ("OBR-20", "{accession}", r"holds \{accession\}: known are \{accession_number\}"),
        ("OBR-20", "{}", r"holds \{\}: known are"),
        *[("OBR-20", text, "holds | or a control character") for text in ("a|b", "a\rOBX", "a\\b", "\x0b")],
        ("NTE-3", "x", "wanted is a field of MSH, PID, PV1, ORC, OBR, OBX, or of a Z segment"),
        *[(key, "x", "is named by segment and number") for key in ("OBR", "OBR-0", "obr-24", "OBR-100", "OBR-24.1")],
    ],
)
def test_what_may_not_be_set_is_refused_with_its_reason(field: str, content: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason.replace("|", r"\|")):
        overrides({field: content})
