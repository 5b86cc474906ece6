"""A structured report read as text, whoever has written it."""

from __future__ import annotations

import pytest
from dimse_peers import bundled
from pydicom import Dataset, dcmread

from dicom_io.errors import Unreadable
from dicom_io.report_text import report_text


def item(value_type: str, name: str, relationship: str = "CONTAINS", **values: object) -> Dataset:
    made, concept = Dataset(), Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = "1", "99TEST", name
    made.ValueType, made.RelationshipType, made.ConceptNameCodeSequence = value_type, relationship, [concept]
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def measured(value: str, unit: str) -> Dataset:
    units, made = Dataset(), Dataset()
    units.CodeValue = unit
    made.NumericValue, made.MeasurementUnitsCodeSequence = value, [units]
    return made


def test_what_a_report_says_and_nothing_about_it() -> None:
    because = item("TEXT", "Note", "INFERRED FROM", TextValue="an aside")
    finding = item("TEXT", "Finding", TextValue="Nodule, seen again.", ContentSequence=[because])
    size = item("NUM", "Diameter", MeasuredValueSequence=[measured("6", "mm")])
    observer = item("PNAME", "Observer", "HAS OBS CONTEXT", PersonName="Doe^Jane")
    section = item("CONTAINER", "Findings", ContentSequence=[finding, size])
    report = item("CONTAINER", "CT Chest", ContentSequence=[observer, section])
    assert report_text(report) == "Findings:\nNodule, seen again.\nDiameter: 6 mm"


def test_a_report_of_somebody_elses() -> None:
    assert "was detected." in report_text(bundled("test-SR.dcm").read_bytes())


def test_what_is_cut_short_is_not_read() -> None:
    with pytest.raises(Unreadable):
        report_text(bundled("test-SR.dcm").read_bytes()[:2000])


def test_an_image_says_nothing() -> None:
    assert report_text(dcmread(bundled("CT_small.dcm"))) == ""
