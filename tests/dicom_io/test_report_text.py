"""A structured report read as text, whoever has written it."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pytest
from dimse_peers import bundled
from pydicom import Dataset, config, dcmread

from dicom_io.errors import Unreadable
from dicom_io.report_text import ReportsText, report_text, reports_text


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


@pytest.mark.parametrize(
    ("time", "offset", "written_at"),
    [
        ("103015.25", "+0100", datetime(2026, 3, 1, 9, 30, 15, tzinfo=UTC)),
        ("1030", "-0500", datetime(2026, 3, 1, 15, 30, tzinfo=UTC)),
        ("103015", "", datetime(2026, 3, 1, 10, 30, 15).astimezone()),
        ("", "+0000", datetime(2026, 3, 1, tzinfo=UTC)),
        ("nonsense", "", None),
    ],
)
def test_when_the_last_of_several_reports_was_written(time: str, offset: str, written_at: datetime | None) -> None:
    def report(day: str) -> bytes:
        document = dcmread(bundled("test-SR.dcm"))
        document.SOPInstanceUID, document.ContentDate, document.TimezoneOffsetFromUTC = f"1.2.{day}", day, offset
        document["ContentTime"].validation_mode = config.IGNORE
        document["ContentTime"].value = time
        written = BytesIO()
        document.save_as(written)
        return written.getvalue()

    assert reports_text([report("20260301"), report("20250301")]).written_at == written_at
    assert reports_text([]) == ReportsText("", None)
