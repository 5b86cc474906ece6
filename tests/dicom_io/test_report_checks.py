"""The checks before sending: each fault is found under its rule, in a document as it would go over the wire."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from report_samples import DEVICE, IDS, PYDICOM_DATA, REPORT, STUDY, WRITTEN_AT, document, header

from dicom_io.errors import Unreadable
from dicom_io.report import Predecessor
from dicom_io.report_checks import Rule, check
from dicom_io.structured_report import build
from dicom_io.uids import uid_for

# pydicom warns of the values that are invalid here on purpose
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

Fault = Callable[[Dataset], object]

PREDECESSOR = Predecessor(uid_for("document 0"), IDS.series_uid)
GOOD = build(REPORT, STUDY, header(), IDS, WRITTEN_AT, PREDECESSOR)


def good() -> Dataset:
    return dcmread(BytesIO(GOOD))


def encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, dataset)
    return buffer.getvalue()


def code(value: str, scheme: str = "DCM", meaning: str = "meaning") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content_item(relationship: str, value_type: str, name: str, **values: object) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    item.ConceptNameCodeSequence = [code(name)]
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def named(dataset: Dataset, name: str) -> Dataset:
    """The item at the top of the tree that has this name."""
    return next(i for i in dataset.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == name)


def findings(dataset: Dataset) -> Dataset:
    return named(dataset, "59776-5")


def first_text(dataset: Dataset) -> Dataset:
    return findings(dataset).ContentSequence[0]


def first_reference(dataset: Dataset) -> Dataset:
    return first_text(dataset).ContentSequence[0].ReferencedSOPSequence[0]


def put(keyword: str, value: object) -> Fault:
    return lambda dataset: setattr(dataset, keyword, value)


def without(keyword: str, where: Callable[[Dataset], Dataset] = lambda dataset: dataset) -> Fault:
    return lambda dataset: delattr(where(dataset), keyword)


def drop(name: str) -> Fault:
    return lambda dataset: dataset.ContentSequence.remove(named(dataset, name))


def insert(index: int, item: Dataset) -> Fault:
    return lambda dataset: dataset.ContentSequence.insert(index, item)


def say(text: str) -> Fault:
    return lambda dataset: setattr(first_text(dataset), "TextValue", text)


def verify(dataset: Dataset) -> None:
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = "Doe^Jane", "Hospital"
    observer.VerificationDateTime = "20261123"
    dataset.VerifyingObserverSequence = [observer]


def attest(dataset: Dataset) -> None:
    participant = Dataset()
    participant.ParticipationType, participant.ObserverType = "ATTEST", "PSN"
    dataset.ParticipantSequence = [participant]


def observe_as_person(dataset: Dataset) -> None:
    named(dataset, "121005").ConceptCodeSequence = [code("121006")]


def swap(dataset: Dataset) -> None:
    """Language after the observer: each item is right, the order is not."""
    items = dataset.ContentSequence
    language = named(dataset, "121049")
    items.remove(language)
    items.insert(4, language)


def banner_last(dataset: Dataset) -> None:
    banner = named(dataset, "55112-7")
    dataset.ContentSequence.remove(banner)
    dataset.ContentSequence.append(banner)


FAULTS: dict[str, tuple[Rule, Fault]] = {
    # it is a draft
    "complete": (Rule.DRAFT, put("CompletionFlag", "COMPLETE")),
    "verified": (Rule.DRAFT, put("VerificationFlag", "VERIFIED")),
    "final": (Rule.DRAFT, put("PreliminaryFlag", "FINAL")),
    "preliminary flag of no known value": (Rule.DRAFT, put("PreliminaryFlag", "DRAFT")),
    "no completion flag": (Rule.DRAFT, without("CompletionFlag")),
    "no verification flag": (Rule.DRAFT, without("VerificationFlag")),
    "no preliminary flag": (Rule.DRAFT, without("PreliminaryFlag")),
    "a verifying observer": (Rule.DRAFT, verify),
    "an attesting participant": (Rule.DRAFT, attest),
    "a series that does not say that it is a draft": (Rule.DRAFT, put("SeriesDescription", "Report")),
    # observer
    "a person as the author": (
        Rule.OBSERVER,
        lambda dataset: setattr(dataset.AuthorObserverSequence[0], "ObserverType", "PSN"),
    ),
    "a person as the observer": (Rule.OBSERVER, observe_as_person),
    "a person beside the device": (
        Rule.OBSERVER,
        insert(3, content_item("HAS OBS CONTEXT", "PNAME", "121008", PersonName="Doe^Jane")),
    ),
    "no observer type": (Rule.OBSERVER, drop("121005")),
    "no device UID": (Rule.OBSERVER, drop("121012")),
    "another device": (Rule.OBSERVER, put("DeviceUID", "1.2.3.4")),
    # template
    "an Enhanced SR": (Rule.TEMPLATE, put("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.22")),
    "another modality": (Rule.TEMPLATE, put("Modality", "OT")),
    "no template": (Rule.TEMPLATE, without("ContentTemplateSequence")),
    "another template": (
        Rule.TEMPLATE,
        lambda dataset: setattr(dataset.ContentTemplateSequence[0], "TemplateIdentifier", "1500"),
    ),
    "continuous content": (Rule.TEMPLATE, put("ContinuityOfContent", "CONTINUOUS")),
    "no language": (Rule.TEMPLATE, drop("121049")),
    "two languages": (
        Rule.TEMPLATE,
        lambda dataset: dataset.ContentSequence.insert(0, deepcopy(named(dataset, "121049"))),
    ),
    "rows out of order": (Rule.TEMPLATE, swap),
    "an algorithm in the tree (TID 4019)": (
        Rule.TEMPLATE,
        insert(1, content_item("HAS CONCEPT MOD", "TEXT", "111001", TextValue="net")),
    ),
    "a modifier that is not in the template": (
        Rule.TEMPLATE,
        insert(1, content_item("HAS CONCEPT MOD", "CODE", "121140", ConceptCodeSequence=[code("1")])),
    ),
    "a wrong relationship at the top": (
        Rule.TEMPLATE,
        lambda dataset: setattr(dataset.ContentSequence[0], "RelationshipType", "INFERRED FROM"),
    ),
    "a number in Basic Text": (
        Rule.TEMPLATE,
        lambda dataset: findings(dataset).ContentSequence.append(content_item("CONTAINS", "NUM", "121206")),
    ),
    "an image that is contained by a paragraph": (
        Rule.TEMPLATE,
        lambda dataset: setattr(first_text(dataset).ContentSequence[0], "RelationshipType", "CONTAINS"),
    ),
    "something under an image": (
        Rule.TEMPLATE,
        lambda dataset: setattr(
            first_text(dataset).ContentSequence[0],
            "ContentSequence",
            [content_item("HAS CONCEPT MOD", "CODE", "1", ConceptCodeSequence=[code("1")])],
        ),
    ),
    "a section in a section": (
        Rule.TEMPLATE,
        lambda dataset: findings(dataset).ContentSequence.append(deepcopy(findings(dataset))),
    ),
    "text outside the sections": (
        Rule.TEMPLATE,
        lambda dataset: dataset.ContentSequence.append(content_item("CONTAINS", "TEXT", "121071", TextValue="x")),
    ),
    "an empty section": (Rule.TEMPLATE, without("ContentSequence", findings)),
    "no tree": (Rule.TEMPLATE, without("ContentSequence")),
    # banner
    "no banner": (Rule.BANNER, drop("55112-7")),
    "the banner at the end": (Rule.BANNER, banner_last),
    "a banner that says nothing": (
        Rule.BANNER,
        lambda dataset: setattr(named(dataset, "55112-7").ContentSequence[0], "TextValue", " "),
    ),
    # text
    "a tab": (Rule.TEXT, say("a\tb")),
    "a form feed": (Rule.TEXT, say("a\x0cb")),
    "an escape": (Rule.TEXT, say("a\x1bb")),
    "a control character of the second set": (Rule.TEXT, say("a\x85b")),
    "a bare line feed": (Rule.TEXT, say("a\nb")),
    "a bare carriage return": (Rule.TEXT, say("a\rb")),
    "no text": (Rule.TEXT, say("")),
    "another character set": (Rule.TEXT, put("SpecificCharacterSet", "ISO_IR 100")),
    "no character set": (Rule.TEXT, without("SpecificCharacterSet")),
    # evidence
    "no evidence": (Rule.EVIDENCE, without("CurrentRequestedProcedureEvidenceSequence")),
    "an image that is not evidence": (
        Rule.EVIDENCE,
        lambda dataset: setattr(first_reference(dataset), "ReferencedSOPInstanceUID", "1.2.3.9"),
    ),
    "an image of another class": (
        Rule.EVIDENCE,
        lambda dataset: setattr(first_reference(dataset), "ReferencedSOPClassUID", "1.2.840.10008.5.1.4.1.1.4"),
    ),
    "an image item without its image": (
        Rule.EVIDENCE,
        without("ReferencedSOPSequence", lambda dataset: first_text(dataset).ContentSequence[0]),
    ),
    "evidence of another study": (
        Rule.EVIDENCE,
        lambda dataset: setattr(dataset.CurrentRequestedProcedureEvidenceSequence[0], "StudyInstanceUID", "9.9"),
    ),
    # relations
    "a request without an identifier": (
        Rule.RELATIONS,
        without("RequestedProcedureCodeSequence", lambda dataset: dataset.ReferencedRequestSequence[0]),
    ),
    "a request for another study": (
        Rule.RELATIONS,
        lambda dataset: setattr(dataset.ReferencedRequestSequence[0], "StudyInstanceUID", "9.9"),
    ),
    "a predecessor in another study": (
        Rule.RELATIONS,
        lambda dataset: setattr(dataset.PredecessorDocumentsSequence[0], "StudyInstanceUID", "9.9"),
    ),
    "itself as predecessor": (Rule.RELATIONS, put("SOPInstanceUID", PREDECESSOR.sop_instance_uid)),
    "a predecessor without a name": (
        Rule.RELATIONS,
        without("ReferencedSeriesSequence", lambda dataset: dataset.PredecessorDocumentsSequence[0]),
    ),
    # attributes
    "a title without its code": (Rule.ATTRIBUTES, without("CodeValue", lambda d: d.ConceptNameCodeSequence[0])),
    "a heading without its meaning": (
        Rule.ATTRIBUTES,
        without("CodeMeaning", lambda dataset: findings(dataset).ConceptNameCodeSequence[0]),
    ),
    "a language without its code": (
        Rule.ATTRIBUTES,
        without("CodeValue", lambda dataset: named(dataset, "121049").ConceptCodeSequence[0]),
    ),
    "a UID that is none": (Rule.ATTRIBUTES, put("SeriesInstanceUID", "1.2.x")),
}

# Without any of these the document is not valid or does not say who made it (types 1 and 2, and ours).
REQUIRED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SeriesNumber",
    "InstanceNumber",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
    "CompletionFlag",
    "CompletionFlagDescription",
    "VerificationFlag",
    "PreliminaryFlag",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceUID",
    "ContributingEquipmentSequence",
    "AuthorObserverSequence",
    "CurrentRequestedProcedureEvidenceSequence",
    "ValueType",
    "ConceptNameCodeSequence",
    "ContinuityOfContent",
    "ContentTemplateSequence",
    "ContentSequence",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "PerformedProcedureCodeSequence",
    "ReferencedPerformedProcedureStepSequence",
)


@pytest.mark.parametrize("data", [GOOD, document(), document(source=header(PatientID="X" * 70))])
def test_our_documents_have_no_fault(data: bytes) -> None:
    assert check(data) == ()


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_under_its_rule(name: str) -> None:
    rule, make = FAULTS[name]
    dataset = good()
    make(dataset)
    found = check(encoded(dataset))
    assert rule in {fault.rule for fault in found}, found


@pytest.mark.parametrize("keyword", REQUIRED)
def test_a_required_attribute_that_is_missing_is_found(keyword: str) -> None:
    dataset = good()
    delattr(dataset, keyword)
    assert any(fault.rule is Rule.ATTRIBUTES and keyword in fault.text for fault in check(dataset))


def test_all_faults_of_a_document_are_named_not_only_the_first() -> None:
    dataset = good()
    dataset.PreliminaryFlag = "FINAL"
    first_text(dataset).TextValue = "a\tb"
    del dataset.StudyID
    assert {fault.rule for fault in check(dataset)} == {Rule.DRAFT, Rule.TEXT, Rule.ATTRIBUTES}


def test_faults_name_no_patient_and_quote_no_text() -> None:
    dataset = dcmread(BytesIO(document(source=header(PatientName="Secretive^Sue", PatientID="SECRET-1"))))
    for _, make in FAULTS.values():
        broken = deepcopy(dataset)
        broken.PredecessorDocumentsSequence = deepcopy(good().PredecessorDocumentsSequence)
        make(broken)
        words = " ".join(fault.text for fault in check(broken))
        assert not [w for w in ("Secret", "SECRET", "haemorrhage", "ACC0001", DEVICE.uid) if w in words]


@pytest.mark.parametrize("file", ["CT_small.dcm", "reportsi.dcm", "test-SR.dcm", "rtdose_1frame.dcm"])
def test_documents_of_others_are_no_drafts_of_ours(file: str) -> None:
    rules = {fault.rule for fault in check((PYDICOM_DATA / "test_files" / file).read_bytes())}
    assert {Rule.DRAFT, Rule.TEMPLATE, Rule.BANNER} <= rules


@pytest.mark.parametrize("data", [b"", b"not DICOM"])
def test_what_does_not_decode_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        check(data)


@given(st.integers(1, len(GOOD) - 1))
@settings(max_examples=100, deadline=None)
def test_what_is_cut_short_never_passes(end: int) -> None:
    """pydicom reads a file that ends in the middle of a text as if the text were whole."""
    try:
        faults = check(GOOD[:end])
    except Unreadable:
        return
    assert faults


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_is_taken_away_the_checks_answer(data: st.DataObject) -> None:
    """Elements are removed at any depth: the checks find faults or none, and never fail themselves."""
    dataset = good()
    for _ in range(data.draw(st.integers(1, 4))):
        level = dataset
        while True:
            element = level[data.draw(st.sampled_from(sorted(level.keys())))] if len(level) else None
            if element is None:
                break
            if element.VR == "SQ" and element.value and data.draw(st.booleans()):
                level = data.draw(st.sampled_from(list(element.value)))
                continue
            del level[element.tag]
            break
    check(dataset)


@given(st.binary(max_size=4), st.integers(0, len(GOOD) - 1))
@settings(max_examples=100, deadline=None)
def test_damaged_bytes_are_answered_or_unreadable(damage: bytes, at: int) -> None:
    with suppress(Unreadable):
        check(GOOD[:at] + damage + GOOD[at + len(damage) :])
