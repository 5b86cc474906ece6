"""Points in time as HL7 writes them (DTM, HL7 2.5.1 chapter 2.A.22): as many digits as are known."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

from hl7.errors import Malformed

_DATE = r"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d(?:\.\d{1,4})?)?)?"
_KNOWN = re.compile(f"{_DATE}(?:{_TIME})?", re.ASCII)
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d$", re.ASCII)
_FORMATS: Final = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}  # by known digits


def moment(when: datetime) -> str:
    """`when`, to the second and with its distance from UTC.

    Raises:
        Malformed: it has no time zone, so a receiver elsewhere would misread it.
    """
    if when.tzinfo is None:
        raise Malformed("a time without time zone cannot be sent: give it one, such as UTC")
    return f"{when:%Y%m%d%H%M%S%z}"


def known_digits(dicom: str) -> str:
    """The longest beginning of a DICOM date, or of a date with its time behind it, that is a DTM.

    Never a guess: what stands behind a mistake is left out, and without a whole date nothing is left.
    """
    found = _KNOWN.match(dicom.strip())
    try:
        return found[0] if found and date.fromisoformat(found[0][:8]) else ""
    except ValueError:  # no such day
        return ""


def read_moment(text: str) -> datetime | None:
    """A DTM as a moment, to the second; naive where it has no distance from UTC, None where it has no whole day."""
    digits = known_digits(text).partition(".")[0]
    if not digits:
        return None
    told = datetime.strptime(digits, _FORMATS[len(digits)])
    offset = _OFFSET.search(text.strip())
    return told.replace(tzinfo=datetime.strptime(offset[0], "%z").tzinfo) if offset else told
