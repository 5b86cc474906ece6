"""DICOM's own words: what a Study, a Series and an Instance are to us. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter

# Objects that show no image of the patient: kept with the study, never rendered, and they reopen no case.
NOT_IMAGES = frozenset({"SR", "KO", "PR", "DOC", "SEG", "RTSTRUCT", "RTDOSE", "REG", "FID", "AU", "HD", "ECG", "PLAN"})


@dataclass(frozen=True, slots=True)
class Patient:
    """The Patient Module as it arrived (PS3.3 C.7.1.1); an empty string is "not given", never a guess."""

    id: str = ""
    issuer: str = ""
    name: str = ""  # PN with its carets and component groups, decoded to Unicode
    birth_date: str = ""  # DA, YYYYMMDD
    sex: str = ""  # M, F, O or empty


@dataclass(frozen=True, slots=True)
class Instance:
    """The facts of one SOP Instance that decisions are made on; its pixels stay in its file.

    Numbers that a header lacks are None; texts that it lacks are empty.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    transfer_syntax_uid: str
    modality: str = ""
    patient: Patient = field(default_factory=Patient)
    # study
    accession_number: str = ""
    study_id: str = ""
    study_date: str = ""  # DA
    study_time: str = ""  # TM
    study_description: str = ""
    procedure_code: tuple[str, str, str] = ("", "", "")  # value, scheme, meaning
    # series
    series_number: int | None = None
    series_description: str = ""
    body_part: str = ""  # Body Part Examined, upper case
    laterality: str = ""
    view_position: str = ""
    # image
    instance_number: int | None = None
    image_type: tuple[str, ...] = ()
    rows: int | None = None
    columns: int | None = None
    frames: int = 1
    samples_per_pixel: int | None = None
    bits_allocated: int | None = None
    photometric_interpretation: str = ""
    has_pixels: bool = False
    burned_in_annotation: str = ""  # YES, NO or empty
    position: tuple[float, float, float] | None = None  # Image Position (Patient), mm
    orientation: tuple[float, float, float, float, float, float] | None = None  # Image Orientation (Patient)
    frame_of_reference_uid: str = ""
    slice_thickness: float | None = None  # mm

    @property
    def is_image(self) -> bool:
        """Whether the object shows the patient, as far as its modality and pixel module tell."""
        return self.has_pixels and self.modality not in NOT_IMAGES


@dataclass(frozen=True, slots=True)
class Series:
    uid: str
    instances: tuple[Instance, ...]

    @property
    def modality(self) -> str:
        return self.instances[0].modality


@dataclass(frozen=True, slots=True)
class Study:
    uid: str
    series: tuple[Series, ...]

    @classmethod
    def of(cls, instances: Iterable[Instance]) -> Study:
        """Group the instances of one study by series, series and instances in the order of their numbers.

        Raises:
            ValueError: no instance, or instances of two studies.
        """
        known = list(instances)
        studies = {i.study_uid for i in known}
        if len(studies) != 1:
            raise ValueError(f"one study is wanted, found {len(studies)}")
        known.sort(key=lambda i: (_last(i.series_number), i.series_uid, _last(i.instance_number), i.sop_instance_uid))
        series = tuple(Series(uid, tuple(group)) for uid, group in groupby(known, key=attrgetter("series_uid")))
        return cls(studies.pop(), series)

    @property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(i for s in self.series for i in s.instances)

    @property
    def images(self) -> tuple[Instance, ...]:
        return tuple(i for i in self.instances if i.is_image)


def _last(number: int | None) -> tuple[bool, int]:
    """Sort key: what has no number comes last."""
    return (number is None, number or 0)


def date_of(text: str) -> date | None:
    """A day as DICOM writes it (VR DA); None where the text is none."""
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
