"""The objects that we make, attribute by attribute: read off objects that are made for it, of nobody.

Each is made once, and once more with each of the things that it comes from being another. Where an attribute changes,
it comes from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from io import BytesIO
from typing import Any, Final

from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from dicom_io import structured_report
from dicom_io.page_objects import encapsulated_pdf, secondary_capture
from dicom_io.report import (
    DIAGNOSTIC_IMAGING_REPORT,
    FINDING,
    FINDINGS,
    Code,
    Device,
    DocumentIds,
    DraftReport,
    ImageReference,
    Paragraph,
    ReportSection,
    RequestedProcedure,
)
from dicom_io.report_pages import lay_out
from dicom_io.study import Instance, Study
from dicom_io.typefaces import Typefaces
from dicom_io.uids import uid_for
from radplug.domain import DocumentKind
from radplug.settings import DeviceSettings, Shape
from radplug.shapes import FORMS, KINDS, SERIES_NUMBERS

LONGEST_VALUE: Final = 64  # characters that are shown of a value that is always the same


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the data set's first level."""

    name: str
    tag: str
    vr: str
    presence: str  # PS3.2's words: ALWAYS, EMPTY, VNAP (value not always present), ANAP (attribute not always present)
    source: str  # what it comes from, or the value that it always has


def attributes(shape: Shape, device: DeviceSettings) -> tuple[Attribute, ...]:
    """Those of a first draft in that shape."""
    made = partial(_made, KINDS[shape], _Sample(device))
    whole, bare = made(), made(patient=2)
    others = {source: made(**change) for source, change in _CHANGES.items()}
    return tuple(
        Attribute(
            element.name,
            f"({element.tag.group:04X},{element.tag.element:04X})",
            element.VR,
            _presence(element, bare),
            ", ".join(source for source, other in others.items() if other.get(element.tag) != element)
            or _fixed(element),
        )
        for element in whole
    )


def _presence(element: DataElement, bare: Dataset) -> str:
    if element.tag not in bare:
        return "ANAP"
    if element.is_empty:
        return "EMPTY"
    return "VNAP" if bare[element.tag].is_empty else "ALWAYS"


def _fixed(element: DataElement) -> str:
    if element.is_empty:
        return ""
    value = "\\".join(map(str, element.value)) if element.VM > 1 and element.VR != "SQ" else str(element.value)
    return f"`{value}`" if element.VR != "SQ" and len(value) <= LONGEST_VALUE else "always the same"


# What the images say in one sample, in another, and (as far as it must be there at all) in one that knows nothing.
_PATIENT: Final[Mapping[str, tuple[str, str]]] = {
    "StudyInstanceUID": ("1.2.4", "1.2.5"),
    "PatientName": ("NOBODY", "ELSE"),
    "PatientID": ("0", "1"),
    "PatientBirthDate": ("19000101", "19010101"),
    "PatientSex": ("O", "F"),
    "StudyDate": ("20000101", "20010101"),
    "StudyTime": ("120000", "130000"),
    "ReferringPhysicianName": ("NOBODY", "ELSE"),
    "StudyID": ("0", "1"),
    "AccessionNumber": ("0", "1"),
    "IssuerOfPatientID": ("NOBODY", "ELSE"),
    "PatientAge": ("100Y", "099Y"),
    "StudyDescription": ("NOTHING", "ELSE"),
}


@dataclass(frozen=True, slots=True)
class _Sample:
    """What an object comes from."""

    device: DeviceSettings
    patient: int = 0  # column of _PATIENT; 2: nothing is known
    text: str = "No pneumothorax."
    model: str = "model"
    title: Code = DIAGNOSTIC_IMAGING_REPORT
    order: str = "0"
    uids: tuple[str, str] = ("1.2.3.1", "1.2.3.2")
    instance_number: int = 1
    at: datetime = datetime(2000, 1, 1, tzinfo=UTC)


_CHANGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "images": {"patient": 1},
    "order": {"order": "1"},
    "draft": {"text": "Small effusion."},
    "template": {"title": Code("11528-7", "LN", "Radiology Report")},
    "model": {"model": "other"},
    "settings": {"device": DeviceSettings(manufacturer="other", station_name="other", serial_number="other")},
    "generated": {
        "uids": ("1.2.3.3", "1.2.3.4"),
        "instance_number": 2,
        "at": datetime(2001, 2, 2, 2, 2, 2, 2, timezone(timedelta(hours=1))),
    },
}


def _made(kind: DocumentKind, sample: _Sample, **changes: Any) -> Dataset:
    sample = replace(sample, **changes)
    header = Dataset()
    header.StudyInstanceUID = _PATIENT["StudyInstanceUID"][0]
    for keyword, values in _PATIENT.items() if sample.patient < 2 else ():
        setattr(header, keyword, values[sample.patient])
    image = _image(str(header.StudyInstanceUID))
    report, study = _report(sample, image), Study.of([image])
    ids = DocumentIds(*sample.uids, SERIES_NUMBERS[kind], sample.instance_number)
    if form := FORMS.get(kind):
        data = structured_report.build(report, study, header, ids, sample.at, form=form)
    else:
        fonts = Typefaces(())
        pages = lay_out(report, header, 1, sample.at, fonts)
        arguments = (report, study, header, ids, sample.at, fonts)
        data = (
            encapsulated_pdf(pages, *arguments) if kind is DocumentKind.PDF else secondary_capture(pages[0], *arguments)
        )
    return dcmread(BytesIO(data))


def _image(study_uid: str) -> Instance:
    sop_class, syntax = DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
    return Instance(
        f"{study_uid}.1", sop_class, f"{study_uid}.2", study_uid, syntax, "DX", rows=8, columns=8, has_pixels=True
    )


def _report(sample: _Sample, image: Instance) -> DraftReport:
    device = Device(
        uid_for(sample.device.identity),
        sample.device.station_name,
        sample.device.manufacturer,
        *(sample.model, sample.model),
        sample.device.serial_number,
        sample.model,
    )
    paragraph = Paragraph(sample.text, (ImageReference(image.sop_instance_uid),))
    requested = RequestedProcedure(sample.order, sample.order, sample.order, sample.order, sample.order)
    return DraftReport(
        (ReportSection(FINDINGS, FINDING, (paragraph,)),), device, title=sample.title, requested=(requested,)
    )
