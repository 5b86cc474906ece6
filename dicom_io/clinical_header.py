"""What a report takes over from its images: patient and study as the images have them, cleaned of what is not valid."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.valuerep import DA

from dicom_io.elements import DAMAGE
from dicom_io.errors import Unreadable
from dicom_io.study import Patient

# Type 2 in PS3.3 C.7.1.1 and C.7.2.1: always written, empty when the images do not know.
PATIENT_AND_STUDY: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
# Type 3: what archives match by and viewers show. Comments, histories and other names of the patient stay behind.
_WHEN_GIVEN: Final = (
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientAge",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "ProcedureCodeSequence",
    "TimezoneOffsetFromUTC",
)


def read_header(file: Path) -> Dataset:
    """The data set of a stored image, without its pixels.

    Raises:
        Unreadable: it does not decode.
    """
    try:
        return dcmread(file, stop_before_pixels=True)
    except (InvalidDicomError, *DAMAGE) as error:
        raise Unreadable(f"the header does not decode as that of a DICOM file ({type(error).__name__})") from None


def with_patient(header: Dataset, now: Patient, before: Patient) -> Dataset:
    """The header with what is known of the patient by now, where it is not what the image says (`before`)."""
    told = {
        "PatientName": (now.name, before.name),
        "PatientID": (now.id, before.id),
        "IssuerOfPatientID": (now.issuer, before.issuer),
        "PatientBirthDate": (now.birth_date, before.birth_date),
        "PatientSex": (now.sex, before.sex),
    }
    for keyword, (present, past) in told.items():
        if present and present != past:
            setattr(header, keyword, present)
    if (now.id, now.issuer) != (before.id, before.issuer):
        header.pop("IssuerOfPatientIDQualifiersSequence", None)  # they speak of the former id
    return header


def patient_and_study(source: Dataset) -> Dataset:
    """The Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1) of an image, in UTF-8; the image is left as it is.

    Names, identifiers and descriptions are the source's, even where they are longer than DICOM allows: archives match
    by them. Dates, times, ages and coded values that are not valid become empty, as if they had not been given.

    Raises:
        AttributeError: the source has no Study Instance UID.
    """
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.StudyInstanceUID = source.StudyInstanceUID
    for keyword in PATIENT_AND_STUDY:
        setattr(header, keyword, _cleaned(source, keyword))
    for keyword in _WHEN_GIVEN:
        if value := _cleaned(source, keyword):
            setattr(header, keyword, value)
    return header


def _cleaned(source: Dataset, keyword: str) -> Any:
    try:
        if keyword in _VALID:
            return _VALID[keyword](_ascii(source, keyword))
        value = source.get(keyword)
        if isinstance(value, Sequence):
            # by way of JSON, which is Unicode: no bytes in the source's own character set are left in the items
            return [Dataset.from_json(item.to_json_dict(suppress_invalid_tags=True)) for item in value]
        return value or ""
    except DAMAGE:
        return ""


def _ascii(source: Dataset, keyword: str) -> str:
    """The value from its bytes where there are any: pydicom's conversion warns of what is invalid and quotes it."""
    value = source.get_item(keyword).value if keyword in source else ""
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")).strip(" \0")


def _date(text: str) -> str:
    """YYYYMMDD, also from ACR-NEMA's YYYY.MM.DD; empty for what is no day of the calendar."""
    try:
        return DA(text).strftime("%Y%m%d") if text else ""
    except ValueError:
        return ""


def _matching(pattern: str) -> Callable[[str], str]:
    return lambda text: text if re.fullmatch(pattern, text, re.ASCII) else ""


_VALID: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "PatientBirthDate": _date,
        "PatientSex": _matching("[MFO]"),
        "PatientAge": _matching("[0-9]{3}[DWMY]"),
        "StudyDate": _date,
        "StudyTime": _matching(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?"),
        "TimezoneOffsetFromUTC": _matching(r"[+-](0\d|1[0-4])[0-5]\d"),
    }
)
