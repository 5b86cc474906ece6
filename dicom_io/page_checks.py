"""Whether pages of a draft report may leave the house: run on each object before it is sent, as report_checks is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from types import MappingProxyType
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, EncapsulatedPDFStorage, SecondaryCaptureImageStorage

from dicom_io.clinical_header import PATIENT_AND_STUDY
from dicom_io.content_items import text
from dicom_io.draft_object import SERIES_DESCRIPTION
from dicom_io.page_drawing import WATERMARK_GREY, watermark
from dicom_io.page_objects import IMAGE_TYPE, PDF_TYPE, SYNTHETIC, VERIFICATION_FLAG
from dicom_io.report_pages import ACCEPTED_WATERMARK, WATERMARK
from dicom_io.report_reading import parse

_WATERMARKS: Final = (WATERMARK, ACCEPTED_WATERMARK)
_VALUED: Final = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "ContentDate",
    "ContentTime",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceUID",
    "ContributingEquipmentSequence",
)
_OF_BOTH: Final = MappingProxyType(
    {
        "SeriesDescription": SERIES_DESCRIPTION,
        "BurnedInAnnotation": "YES",
        "ConversionType": SYNTHETIC,
        "SpecificCharacterSet": "ISO_IR 192",
    }
)
_OF_PDF: Final = MappingProxyType(
    {
        "SOPClassUID": EncapsulatedPDFStorage,
        "Modality": "DOC",
        "VerificationFlag": VERIFICATION_FLAG,
        "MIMETypeOfEncapsulatedDocument": PDF_TYPE,
    }
)
_OF_CAPTURE: Final = MappingProxyType(
    {
        "SOPClassUID": SecondaryCaptureImageStorage,
        "Modality": "OT",
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": "1",
        "BitsAllocated": "8",
        "BitsStored": "8",
    }
)
_PAGE: Final = re.compile(rb"/Type /Page\b(?!s)")
_STILL_THERE: Final = 0.98  # of the watermark's pixels: another release of the drawing library may move its edge


def check_pdf(document: bytes | Dataset) -> tuple[str, ...]:
    """Each way in which the object is not a draft in a PDF as ours are, in words without patient data.

    Raises:
        Unreadable: it does not decode, or is cut short.
    """
    dataset = parse(document)
    return tuple(chain(_header(dataset, {**_OF_BOTH, **_OF_PDF}, "DocumentTitle"), _pdf(dataset)))


def check_capture(document: bytes | Dataset) -> tuple[str, ...]:
    """Each way in which the object is not a page of a draft as ours are, in words without patient data.

    Raises:
        Unreadable: it does not decode, or is cut short.
    """
    dataset = parse(document)
    return tuple(chain(_header(dataset, {**_OF_BOTH, **_OF_CAPTURE}, "DerivationDescription"), _capture(dataset)))


def _header(dataset: Dataset, wanted: dict[str, str], says: str) -> Iterator[str]:
    for keyword, value in wanted.items():
        if text(dataset, keyword) != value:
            yield f"{keyword} is not {value}"
    if not text(dataset, says).startswith(_WATERMARKS):
        yield f"{says} does not begin with what it is"
    for keyword in _VALUED:
        if keyword not in dataset or dataset[keyword].is_empty:
            yield f"{keyword} is absent or empty"
    for keyword in PATIENT_AND_STUDY:
        if keyword not in dataset:
            yield f"{keyword} is absent"
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "DeviceUID"):
        if not UID(text(dataset, keyword)).is_valid:
            yield f"{keyword} is not a UID"


def _pdf(dataset: Dataset) -> Iterator[str]:
    data = dataset.get("EncapsulatedDocument") or b""
    length = dataset.get("EncapsulatedDocumentLength")
    if not isinstance(length, int) or not 0 <= len(data) - length <= 1:
        yield "the length of the PDF is not the one that is given"
    yield from check_pages(data)


def check_pages(data: bytes) -> Iterator[str]:
    """Each way in which a PDF is not a draft's."""
    if not data.startswith(b"%PDF-") or not data.rstrip(b"\0\r\n").endswith(b"%%EOF"):
        yield "it holds no whole PDF"
    pages = len(_PAGE.findall(data))
    if not pages or pages not in [data.count(f"({words}) Tj".encode()) for words in _WATERMARKS]:
        yield "not each page of the PDF has the watermark"


def _capture(dataset: Dataset) -> Iterator[str]:
    if list(dataset.get("ImageType") or ()) != list(IMAGE_TYPE):
        yield "ImageType is not DERIVED, SECONDARY"
    masks = [np.asarray(watermark(words)) == 255 for words in _WATERMARKS]
    rows, columns = masks[0].shape
    pixels = np.frombuffer(dataset.get("PixelData") or b"", np.uint8)
    if (dataset.get("Rows"), dataset.get("Columns")) != (rows, columns) or not 0 <= pixels.size - rows * columns <= 1:
        yield f"it is not a page of {rows} rows and {columns} columns"
        return
    page = pixels[: rows * columns].reshape(rows, columns)
    if (
        not any((page[mask] <= WATERMARK_GREY).mean() >= _STILL_THERE for mask in masks)
        or (page > WATERMARK_GREY).mean() < 0.5
    ):
        yield "the watermark is not burned in"
