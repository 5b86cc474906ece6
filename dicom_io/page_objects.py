"""Pages as DICOM objects of the study: an Encapsulated PDF (PS3.3 A.45.1), and Secondary Captures (A.8.1), a page each.

Neither can say PRELIMINARY. That they are drafts stands in the title or the derivation, in the name of the series, and
across each page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, SecondaryCaptureImageStorage

from dicom_io.draft_object import begin, encode
from dicom_io.page_drawing import image, pdf
from dicom_io.report import DocumentIds, DraftReport
from dicom_io.report_content import concept
from dicom_io.report_pages import Page
from dicom_io.sop_reference import sop_reference
from dicom_io.study import Study
from dicom_io.text_values import shortened
from dicom_io.typefaces import Typefaces

PDF_SOP_CLASS: Final = EncapsulatedPDFStorage
CAPTURE_SOP_CLASS: Final = SecondaryCaptureImageStorage
PDF_TYPE: Final = "application/pdf"
VERIFICATION_FLAG: Final = "UNVERIFIED"
SYNTHETIC: Final = "SYN"  # Conversion Type: the pages were never on paper or film
IMAGE_TYPE: Final = ("DERIVED", "SECONDARY")


def encapsulated_pdf(
    pages: Sequence[Page],
    report: DraftReport,
    study: Study,
    header: Dataset,
    ids: DocumentIds,
    written_at: datetime,
    typefaces: Typefaces,
) -> bytes:
    """The pages in one Part 10 file; the same arguments give the same bytes. Arguments as for structured_report.build.

    Raises:
        Refused: as for structured_report.build, or a text cannot be drawn.
        ValueError: as there.
    """
    document = begin(PDF_SOP_CLASS, "DOC", study, header, ids, written_at, report.device)
    document.ConversionType = SYNTHETIC
    document.AcquisitionDateTime = ""
    document.BurnedInAnnotation = "YES"
    document.DocumentTitle = shortened(f"{pages[0].watermark}: {report.title.meaning}", 1024)
    document.ConceptNameCodeSequence = [concept(report.title)]
    document.VerificationFlag = VERIFICATION_FLAG
    document.SourceInstanceSequence = [sop_reference(instance) for instance in study.images]
    document.MIMETypeOfEncapsulatedDocument = PDF_TYPE
    data = pdf(pages, document.DocumentTitle, written_at, typefaces)
    document.EncapsulatedDocument = data
    document.EncapsulatedDocumentLength = len(data)
    return encode(document)


def secondary_capture(
    page: Page,
    report: DraftReport,
    study: Study,
    header: Dataset,
    ids: DocumentIds,
    written_at: datetime,
    typefaces: Typefaces,
) -> bytes:
    """A page as a grey image in a Part 10 file; otherwise as encapsulated_pdf."""
    document = begin(CAPTURE_SOP_CLASS, "OT", study, header, ids, written_at, report.device)
    document.ConversionType = SYNTHETIC
    document.ImageType = list(IMAGE_TYPE)
    document.DerivationDescription = shortened(f"{page.watermark}: page of a {report.title.meaning}", 1024)
    document.BurnedInAnnotation = "YES"
    document.Laterality = document.PatientOrientation = ""  # of a page neither is known, which is to be said
    drawn = image(page, typefaces)
    document.SamplesPerPixel = 1
    document.PhotometricInterpretation = "MONOCHROME2"
    document.Columns, document.Rows = drawn.size
    document.BitsAllocated = document.BitsStored = 8
    document.HighBit = 7
    document.PixelRepresentation = 0
    document.PixelData = drawn.tobytes()
    document["PixelData"].VR = "OB"
    return encode(document)
