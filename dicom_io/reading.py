"""Encoded data sets to the facts of study.Instance, pixels never touched; tolerant, and it says what is missing."""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_io.elements import DAMAGE, Element, Header
from dicom_io.errors import Unreadable
from dicom_io.part10 import read_transfer_syntax
from dicom_io.study import Instance, Patient

# Of a deflated data set no more than this is inflated, and no single value of a header is read that is longer.
LONGEST_HEADER: Final = 64 << 20  # bytes

# What identifies an instance (PS3.3 C.7.2.1, C.7.3.1, C.12.1): without any one of these it cannot be kept.
IDENTIFYING: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")  # PS3.5 9.1, but for the leading zeros that do occur
_PIXELS: Final = frozenset(map(Tag, ("FloatPixelData", "DoubleFloatPixelData", "PixelData")))
_WANTED: Final[list[BaseTag | int]] = [
    Tag(keyword)
    for keyword in (
        *IDENTIFYING,
        "Modality",
        *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"),
        *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "StudyDescription"),
        *("ProcedureCodeSequence", "RequestedProcedureCodeSequence"),
        *("SeriesNumber", "SeriesDescription", "BodyPartExamined", "Laterality", "ImageLaterality", "ViewPosition"),
        *("InstanceNumber", "ImageType", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated"),
        *("PhotometricInterpretation", "BurnedInAnnotation", "FrameOfReferenceUID", "SliceThickness"),
        *("ImagePositionPatient", "ImageOrientationPatient"),
        *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    )
]


def read_instance(source: bytes | Path) -> Instance:
    """The facts of a DICOM file, given as its bytes or its path; of a path only the header is read.

    Raises:
        Unreadable: it is no DICOM file, or lacks what identifies it.
        OSError: the path cannot be opened.
    """
    with source.open("rb") if isinstance(source, Path) else BytesIO(source) as stream:
        return _facts(stream, read_transfer_syntax(stream))


def identify(data_set: bytes, transfer_syntax_uid: str) -> Instance:
    """The facts of an encoded data set without file meta information, as an association brings it.

    Raises:
        Unreadable: it lacks what identifies it.
    """
    return _facts(BytesIO(data_set), transfer_syntax_uid)


def _facts(stream: BinaryIO, syntax: str) -> Instance:
    header, has_pixels = _read_header(stream, syntax)
    uids = {keyword: header.code(keyword) for keyword in IDENTIFYING}
    if flaws := [f"{keyword} is {flaw}" for keyword, uid in uids.items() if (flaw := _flaw(uid))]:
        raise Unreadable(", ".join(flaws))
    return Instance(
        sop_instance_uid=uids["SOPInstanceUID"],
        sop_class_uid=uids["SOPClassUID"],
        series_uid=uids["SeriesInstanceUID"],
        study_uid=uids["StudyInstanceUID"],
        transfer_syntax_uid=syntax,
        modality=header.code("Modality"),
        patient=Patient(
            id=header.text("PatientID"),
            issuer=header.text("IssuerOfPatientID"),
            name=header.text("PatientName"),
            birth_date=header.code("PatientBirthDate"),
            sex=header.code("PatientSex"),
        ),
        accession_number=header.text("AccessionNumber"),
        study_id=header.text("StudyID"),
        study_date=header.code("StudyDate"),
        study_time=header.code("StudyTime"),
        study_description=header.text("StudyDescription"),
        procedure_code=_procedure_code(header),
        series_number=header.integer("SeriesNumber"),
        series_description=header.text("SeriesDescription"),
        body_part=header.code("BodyPartExamined").upper(),
        laterality=header.code("ImageLaterality") or header.code("Laterality"),
        view_position=header.code("ViewPosition"),
        instance_number=header.integer("InstanceNumber"),
        image_type=header.codes("ImageType"),
        rows=header.integer("Rows"),
        columns=header.integer("Columns"),
        frames=max(header.integer("NumberOfFrames") or 1, 1),
        samples_per_pixel=header.integer("SamplesPerPixel"),
        bits_allocated=header.integer("BitsAllocated"),
        photometric_interpretation=header.code("PhotometricInterpretation"),
        has_pixels=has_pixels,
        burned_in_annotation=header.code("BurnedInAnnotation"),
        position=_position(header),
        orientation=_orientation(header),
        frame_of_reference_uid=header.code("FrameOfReferenceUID"),
        slice_thickness=next(iter(_of_first_frame(header, "PixelMeasuresSequence", "SliceThickness")), None),
    )


def _read_header(stream: BinaryIO, syntax: str) -> tuple[Header, bool]:
    """The wanted elements, as far as the bytes make sense, and whether pixel data follow them."""
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = BytesIO(_inflated(stream.read(LONGEST_HEADER)))
    seen: set[int] = set()

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag in _PIXELS:
            seen.add(tag)
        return bool(seen)

    elements: list[Element] = []
    with suppress(*DAMAGE):
        elements.extend(
            data_element_generator(
                stream,
                is_implicit_VR=syntax == ImplicitVRLittleEndian,
                is_little_endian=syntax != ExplicitVRBigEndian,
                stop_when=at_pixels,
                defer_size=LONGEST_HEADER,
                specific_tags=_WANTED,
            )
        )
    return Header(elements), bool(seen)


def _inflated(data: bytes) -> bytes:
    """The beginning of a deflated data set (PS3.5 A.5): however much it swells, LONGEST_HEADER is all that is taken."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, LONGEST_HEADER)
    except zlib.error:
        raise Unreadable("the data set does not inflate, though its transfer syntax is a deflated one") from None


def _flaw(uid: str) -> str:
    if not uid:
        return "absent"
    if len(uid) > 64:
        return f"{len(uid)} characters long"
    return "" if _UID.fullmatch(uid) else "not of digits and dots"


def _procedure_code(header: Header) -> tuple[str, str, str]:
    for keyword in ("ProcedureCodeSequence", "RequestedProcedureCodeSequence"):
        item = header.item(keyword)
        code = (item.text("CodeValue"), item.text("CodingSchemeDesignator"), item.text("CodeMeaning"))
        if any(code):
            return code
    return ("", "", "")


def _position(header: Header) -> tuple[float, float, float] | None:
    match _of_first_frame(header, "PlanePositionSequence", "ImagePositionPatient"):
        case (x, y, z):
            return (x, y, z)
    return None


def _orientation(header: Header) -> tuple[float, float, float, float, float, float] | None:
    match _of_first_frame(header, "PlaneOrientationSequence", "ImageOrientationPatient"):
        case (a, b, c, d, e, f):
            return (a, b, c, d, e, f)
    return None


def _of_first_frame(header: Header, macro: str, keyword: str) -> tuple[float, ...]:
    """A number of the image itself, or of its first frame's functional groups, or of those that all frames share."""
    return (
        header.decimals(keyword)
        or header.item("PerFrameFunctionalGroupsSequence").item(macro).decimals(keyword)
        or header.item("SharedFunctionalGroupsSequence").item(macro).decimals(keyword)
    )
