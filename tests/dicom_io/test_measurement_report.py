"""Draft reports as TID 1500: what goes in is read back by another's reader, validators agree, each fault is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from highdicom.sr import Comprehensive3DSR, MeasurementReport, srread
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from report_samples import IDS, REPORT, STUDY, STUDY_UID, WRITTEN_AT, findings, header, run_tool, with_sections

from dicom_io.errors import Refused
from dicom_io.report import ACCEPTED_BANNER, BANNER, DraftReport, Predecessor, ReportSection
from dicom_io.report_checks import Rule, check
from dicom_io.structured_report import COMPREHENSIVE_3D, build
from dicom_io.uids import uid_for

SPOKEN = st.text(
    st.characters(exclude_categories=["Cs"]).filter(lambda c: c == "\n" or not (c < " " or "\x7f" <= c <= "\x9f"))
).filter(lambda text: text.strip() and not text.endswith(" "))


def document(report: DraftReport = REPORT, number: int = 1) -> bytes:
    ids = replace(IDS, sop_instance_uid=uid_for(f"3D {number}"), instance_number=number)
    predecessor = Predecessor(uid_for(f"3D {number - 1}"), IDS.series_uid) if number > 1 else None
    return build(report, STUDY, header(), ids, WRITTEN_AT, predecessor, COMPREHENSIVE_3D)


def texts(data: bytes) -> list[list[str]]:
    """Texts of each section, by highdicom's own reader."""
    content = srread(BytesIO(data)).content
    assert isinstance(content, MeasurementReport)
    groups = content.get_image_measurement_groups()
    return [
        [
            str(item.TextValue).replace("\r\n", "\n")
            for item in group[0].ContentSequence
            if item.ValueType == "TEXT" and item.RelationshipType == "CONTAINS"
        ]
        for group in groups
    ]


def group_of(dataset: Dataset, number: int = 1) -> Dataset:
    item: Dataset = dataset.ContentSequence[-1].ContentSequence[number]
    return item


def item_of(dataset: Dataset, name: str) -> Dataset:
    return next(i for i in dataset.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == name)


def test_highdicom_reads_the_texts_the_algorithm_and_the_images() -> None:
    data = document()
    read = srread(BytesIO(data))
    assert isinstance(read, Comprehensive3DSR)
    assert texts(data) == [[paragraph.text for paragraph in section.paragraphs] for section in REPORT.sections]
    assert isinstance(read.content, MeasurementReport)
    group = read.content.get_image_measurement_groups()[1]
    assert [i.referenced_sop_instance_uid for i in group.source_images] == [f"{STUDY_UID}.1.1", f"{STUDY_UID}.2.1"]
    assert group.source_images[1].referenced_frame_numbers == [7]
    assert group.finding_type is not None
    assert group.finding_type.meaning == "Findings"
    assert item_of(group[0], "111000").ConceptCodeSequence[0].CodeValue == "123110"
    assert item_of(group[0], "111001").TextValue == REPORT.device.model


def test_what_it_is_stands_first_and_no_flag_says_otherwise() -> None:
    for report, banner in (
        (REPORT, BANNER),
        (replace(REPORT, banner=ACCEPTED_BANNER, accepted_by="Maria"), ACCEPTED_BANNER),
    ):
        dataset = dcmread(BytesIO(document(report)))
        first = next(item for item in dataset.ContentSequence if item.RelationshipType == "CONTAINS")
        assert first.TextValue == banner
        flags = (dataset.CompletionFlag, dataset.VerificationFlag, dataset.PreliminaryFlag)
        assert flags == ("PARTIAL", "UNVERIFIED", "PRELIMINARY")
        assert check(document(report)) == ()


def test_a_version_names_its_predecessor_and_tracks_the_same_sections() -> None:
    first, second = dcmread(BytesIO(document())), dcmread(BytesIO(document(number=2)))
    (study,) = second.PredecessorDocumentsSequence
    (reference,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert (reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID) == (
        first.SOPClassUID,
        first.SOPInstanceUID,
    )
    assert item_of(group_of(first), "112040").UID == item_of(group_of(second), "112040").UID
    assert item_of(group_of(first, 0), "112040").UID != item_of(group_of(first, 1), "112040").UID
    assert check(document(number=2)) == ()


@pytest.mark.parametrize("report", [REPORT, replace(REPORT, procedure=None, requested=(), accepted_by="Maria")])
def test_dciodvfy_and_dsrdump_find_no_error(report: DraftReport, tmp_path: Path) -> None:
    verdict = run_tool(["dciodvfy", "-new"], document(report), tmp_path)
    assert verdict.returncode == 0
    assert not [line for line in verdict.stderr.splitlines() if line.startswith(("Error", "Warning"))]
    dumped = run_tool(["dsrdump"], document(report), tmp_path)
    assert dumped.returncode == 0
    assert not [line for line in dumped.stderr.splitlines() if line.startswith(("E:", "F:"))]


@given(st.lists(SPOKEN, min_size=1, max_size=3))
@settings(max_examples=50)
def test_any_phrase_comes_back_byte_for_byte(said: list[str]) -> None:
    assert texts(document(with_sections(findings(*said)))) == [said]


@pytest.mark.parametrize("text", ["", "a\tb", "ends in a space ", "one\rtwo"])
def test_what_no_content_item_can_hold_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        document(with_sections(findings(text)))


def test_a_section_without_text_is_refused() -> None:
    with pytest.raises(Refused, match="no paragraph"):
        document(with_sections(replace(findings("x"), paragraphs=())))


Fault = Callable[[Dataset], object]


def put(keyword: str, value: object) -> Fault:
    return lambda dataset: setattr(dataset, keyword, value)


def drop(name: str) -> Fault:
    return lambda dataset: dataset.ContentSequence.remove(item_of(dataset, name))


def drop_in_group(name: str) -> Fault:
    return lambda dataset: group_of(dataset).ContentSequence.remove(item_of(group_of(dataset), name))


def say_nothing(dataset: Dataset) -> None:
    items = group_of(dataset).ContentSequence
    for item in [i for i in items if (i.ValueType, i.RelationshipType) == ("TEXT", "CONTAINS")]:
        items.remove(item)


def banner_last(dataset: Dataset) -> None:
    banner = item_of(dataset, "55112-7")
    dataset.ContentSequence.remove(banner)
    dataset.ContentSequence.append(banner)


def measure(dataset: Dataset) -> None:
    number = Dataset()
    number.RelationshipType, number.ValueType = "CONTAINS", "NUM"
    number.ConceptNameCodeSequence = item_of(dataset, "55112-7").ConceptNameCodeSequence
    number.MeasuredValueSequence = []
    group_of(dataset).ContentSequence.append(number)


def another_family(dataset: Dataset) -> None:
    item_of(group_of(dataset), "111000").ConceptCodeSequence[0].CodeValue = "111004"


def another_template(dataset: Dataset) -> None:
    dataset.ContentTemplateSequence[0].TemplateIdentifier = "2000"


def two_families(dataset: Dataset) -> None:
    group_of(dataset).ContentSequence.append(item_of(group_of(dataset), "111000"))


def image_of_nobody(dataset: Dataset) -> None:
    item_of(group_of(dataset), "121112").ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.9"


FAULTS: dict[str, tuple[Rule, Fault]] = {
    "complete": (Rule.DRAFT, put("CompletionFlag", "COMPLETE")),
    "verified": (Rule.DRAFT, put("VerificationFlag", "VERIFIED")),
    "final": (Rule.DRAFT, put("PreliminaryFlag", "FINAL")),
    "a series of another name": (Rule.DRAFT, put("SeriesDescription", "REPORT")),
    "another character set": (Rule.TEXT, put("SpecificCharacterSet", "ISO_IR 100")),
    "no banner": (Rule.BANNER, drop("55112-7")),
    "banner last": (Rule.BANNER, banner_last),
    "an empty banner": (Rule.BANNER, lambda dataset: setattr(item_of(dataset, "55112-7"), "TextValue", " ")),
    "no language": (Rule.TEMPLATE, drop("121049")),
    "no procedure": (Rule.TEMPLATE, drop("121058")),
    "no sections": (Rule.TEMPLATE, lambda dataset: setattr(dataset.ContentSequence[-1], "ContentSequence", [])),
    "no measurements": (Rule.TEMPLATE, drop("126010")),
    "another title": (Rule.TEMPLATE, lambda d: setattr(d.ConceptNameCodeSequence[0], "CodeValue", "126001")),
    "another template": (Rule.TEMPLATE, another_template),
    "a Basic Text SR by its class": (Rule.TEMPLATE, put("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.11")),
    "a Comprehensive SR by its class": (Rule.TEMPLATE, put("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33")),
    "a measurement": (Rule.TEMPLATE, measure),
    "a group of another name": (Rule.TEMPLATE, lambda d: setattr(group_of(d), "ValueType", "TEXT")),
    "no text": (Rule.TEMPLATE, say_nothing),
    "no algorithm": (Rule.TEMPLATE, drop_in_group("111001")),
    "no version of the algorithm": (Rule.TEMPLATE, drop_in_group("111003")),
    "no family": (Rule.TEMPLATE, drop_in_group("111000")),
    "two families": (Rule.TEMPLATE, two_families),
    "another family": (Rule.TEMPLATE, another_family),
    "no tracking UID": (Rule.TEMPLATE, drop_in_group("112040")),
    "no observer": (Rule.OBSERVER, drop("121012")),
    "an image of nobody": (Rule.EVIDENCE, image_of_nobody),
    "no evidence": (Rule.EVIDENCE, put("CurrentRequestedProcedureEvidenceSequence", [])),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_under_its_rule(name: str) -> None:
    rule, make = FAULTS[name]
    dataset = dcmread(BytesIO(document()))
    make(dataset)
    buffer = BytesIO()
    dcmwrite(buffer, dataset)
    found = check(buffer.getvalue())
    assert rule in {fault.rule for fault in found}, found


def test_sections_of_one_code_stand_as_sections_of_their_own() -> None:
    twice: tuple[ReportSection, ...] = (findings("Liver normal."), findings("Kidneys normal."))
    assert texts(document(with_sections(*twice))) == [["Liver normal."], ["Kidneys normal."]]
