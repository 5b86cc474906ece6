"""Reports, studies and documents that the tests of structured reports share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_io.report import (
    FINDING,
    FINDINGS,
    IMPRESSION,
    IMPRESSIONS,
    INDICATIONS,
    REQUEST,
    Code,
    Device,
    DocumentIds,
    DraftReport,
    ImageReference,
    Paragraph,
    ReportSection,
    RequestedProcedure,
)
from dicom_io.structured_report import build
from dicom_io.study import Instance, Study
from dicom_io.uids import uid_for

PYDICOM_DATA = Path(pydicom.__file__).parent / "data"
SHARED_DATA = Path(__file__).parents[3] / "shared" / "dicom"

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"

STUDY_UID = "1.2.3"
WRITTEN_AT = datetime(2026, 11, 23, 14, 5, 6, 789, tzinfo=timezone(timedelta(hours=1)))
IDS = DocumentIds(uid_for("document 1"), uid_for("series"), series_number=9901)
DEVICE = Device(
    uid=uid_for("radplug at a test"),
    name="radplug",
    manufacturer="The radplug developers",
    model="phantom drafter",
    version="0.1.0",
    serial="TEST-1",
    description="Draft text: model sha256:0123abcd, 48 steps, rendering 1",
)
CT_HEAD = Code("24725-4", "LN", "CT Head")


def instance(number: int, *, series: int = 1, frames: int = 1, modality: str = "CT") -> Instance:
    return Instance(
        sop_instance_uid=f"{STUDY_UID}.{series}.{number}",
        sop_class_uid=CT_IMAGE if frames == 1 else ENHANCED_CT_IMAGE,
        series_uid=f"{STUDY_UID}.{series}",
        study_uid=STUDY_UID,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality=modality,
        series_number=series,
        instance_number=number,
        frames=frames,
        has_pixels=modality == "CT",
    )


STUDY = Study.of([instance(1), instance(2), instance(1, series=2, frames=20)])


def header(**values: object) -> Dataset:
    """A clinical header that is valid, but for the values given; None takes an element away."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.StudyInstanceUID = STUDY_UID
    dataset.PatientName = "Phantom^Fiona"
    dataset.PatientID = "PH-0001"
    dataset.PatientBirthDate = "19500102"
    dataset.PatientSex = "F"
    dataset.StudyDate = "20261123"
    dataset.StudyTime = "134500"
    dataset.ReferringPhysicianName = "Referrer^Rolf"
    dataset.StudyID = "S1"
    dataset.AccessionNumber = "ACC0001"
    dataset.StudyDescription = "CT head"
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def findings(*paragraphs: Paragraph | str) -> ReportSection:
    return ReportSection(FINDINGS, FINDING, tuple(p if isinstance(p, Paragraph) else Paragraph(p) for p in paragraphs))


REPORT = DraftReport(
    sections=(
        ReportSection(INDICATIONS, REQUEST, (Paragraph("Headache."),)),
        findings(
            Paragraph(
                "No acute intracranial haemorrhage.\nVentricles: 7 mm – normal.",
                (ImageReference(f"{STUDY_UID}.1.1"), ImageReference(f"{STUDY_UID}.2.1", frame=7)),
            ),
            "No fracture.",
        ),
        ReportSection(IMPRESSIONS, IMPRESSION, (Paragraph("1. No acute finding."),)),
    ),
    device=DEVICE,
    procedure=CT_HEAD,
    requested=(RequestedProcedure("ACC0001", "PLACER-1", "FILLER-1", "RP1", "CT head without contrast", CT_HEAD),),
)


def document(report: DraftReport = REPORT, study: Study = STUDY, source: Dataset | None = None) -> bytes:
    return build(report, study, source or header(), IDS, WRITTEN_AT)


def with_sections(*sections: ReportSection) -> DraftReport:
    return replace(REPORT, sections=sections)


def run_tool(command: Sequence[str], data: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command-line tool on a document's file; the test is skipped where the tool is not installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: make peers")
    file = folder / "document.dcm"
    file.write_bytes(data)
    return subprocess.run(
        [*command, str(file)], capture_output=True, text=True, errors="replace", timeout=30, check=False
    )
