"""A draft report as pages of lines, for those who take no structured report: A4, in points from the top left corner.

Joined again, the lines of a paragraph are its text, byte for byte: a line keeps the spaces at which it was broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from dicom_io.clinical_header import patient_and_study
from dicom_io.errors import Refused
from dicom_io.report import DraftReport
from dicom_io.typefaces import Typefaces

WIDTH, HEIGHT = 595.0, 842.0
WATERMARK: Final = "AI DRAFT - NOT REVIEWED"
ACCEPTED_WATERMARK: Final = "AI DRAFT - NOT VERIFIED"

_LEFT, _TOP, _BOTTOM = 56.0, 50.0, 770.0
_FOOT: Final = 800.0
_TEXT, _SMALL = 10.5, 8.0
_LEADING: Final = 1.4  # from line to line, in sizes


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: `y` is its baseline."""

    x: float
    y: float
    size: float
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    lines: tuple[Line, ...]
    watermark: str


def lay_out(
    report: DraftReport, header: Dataset, version: int, written_at: datetime, typefaces: Typefaces
) -> tuple[Page, ...]:
    """The report's pages; each says whose it is and that it is a draft. `header` is as for structured_report.build.

    Raises:
        Refused: a text, or every form of the patient's name, has a character that cannot be drawn.
    """
    whose = [part for text in _whose(header, typefaces) for part in _broken(text, _SMALL, typefaces)]
    head = tuple(_down(_TOP, _SMALL, whose))
    top = head[-1].y + 2 * _TEXT
    pages: list[list[Line]] = [[]]
    y = top
    for paragraph in _paragraphs(report):
        for text in _broken(paragraph, _TEXT, typefaces):
            y += _TEXT * _LEADING
            if y > _BOTTOM:
                pages.append([])
                y = top + _TEXT * _LEADING
            pages[-1].append(Line(_LEFT, y, _TEXT, text))
    watermark = ACCEPTED_WATERMARK if report.accepted_by else WATERMARK
    device = f"{report.device.manufacturer}, {report.device.model}, {report.device.version}"
    about = f"{watermark}  draft {version}, {written_at:%Y-%m-%d %H:%M %z}"
    return tuple(
        Page(
            (*head, *lines, *_down(_FOOT, _SMALL, [f"{about}  page {number} of {len(pages)}", device])),
            watermark,
        )
        for number, lines in enumerate(pages, start=1)
    )


def _down(y: float, size: float, texts: list[str]) -> Iterator[Line]:
    for number, text in enumerate(texts):
        yield Line(_LEFT, y + number * size * _LEADING, size, text)


def _whose(header: Dataset, typefaces: Typefaces) -> list[str]:
    whose = patient_and_study(header)
    return [
        _name(whose.PatientName, typefaces),
        f"Patient ID {whose.PatientID or '-'}   born {whose.PatientBirthDate or '-'}   sex {whose.PatientSex or '-'}",
        f"Accession number {whose.AccessionNumber or '-'}   study of {whose.StudyDate or '-'}",
        whose.get("StudyDescription", "") or "-",
    ]


def _name(name: PersonName | str, typefaces: Typefaces) -> str:
    """The forms of the name that can be drawn: alphabetic, ideographic, phonetic; one is enough.

    Raises:
        Refused: there is a name and none of its forms can be drawn.
    """
    drawn, refused = [], None
    for form in filter(None, str(name).split("=")):
        text = " ".join(form.replace("^", " ").split())
        try:
            typefaces.width(text, _SMALL)
            drawn.append(text)
        except Refused as error:
            refused = error
    if refused and not drawn:
        raise Refused(f"the patient's name: {refused}") from refused
    return "   ".join(drawn) or "-"


def _paragraphs(report: DraftReport) -> Iterator[str]:
    yield report.banner
    for section in report.sections:
        yield ""
        yield section.heading.meaning.upper()
        for paragraph in section.paragraphs:
            yield from paragraph.text.split("\n")


def _broken(paragraph: str, size: float, typefaces: Typefaces) -> Iterator[str]:
    """The paragraph in lines that fit; a word that is longer than a line is cut."""

    def fits(text: str) -> bool:
        return typefaces.width(text.rstrip(" "), size) <= WIDTH - 2 * _LEFT

    line = ""
    for word in re.findall(r"[^ ]+ *| +", paragraph):
        if line and not fits(line + word):
            yield line
            line = ""
        line += word
        while not fits(line):
            end = next(n for n in range(len(line) - 1, 0, -1) if fits(line[:n]))
            yield line[:end]
            line = line[end:]
    yield line
