"""Text as DICOM stores it: what a content item keeps byte for byte, and what fits the short value representations."""

from __future__ import annotations

import re

from dicom_io.errors import Refused

_LINE_END = re.compile(r"\r\n|\r|\n")
# controls but CR and LF, and lone surrogates
_NO_TEXT = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# all controls, and the backslash, which stands between values
_NO_IDENTIFIER = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\\\\]")


def ut_text(text: str) -> str:
    """The text as the UT value of a content item: LF becomes CR LF, every other character stays as it is.

    A content item's text may hold line ends but no other control character (Text Value (0040,A160) in PS3.3). UT is
    padded with spaces that readers drop (PS3.5 6.2), so that a last space could not be told from padding.

    Raises:
        Refused: it is blank, ends in a space, or holds a carriage return (which could not be told from the end of any
            line), tab, form feed, NUL, other control or lone surrogate.
    """
    if not text.strip():
        raise Refused("the text is blank; a content item needs some")
    if text.endswith(" "):
        raise Refused("the text ends in a space, which DICOM drops as padding; strip it before it becomes a report")
    if "\r" in text:
        raise Refused("the text holds a carriage return; end its lines with a line feed alone")
    if stray := stray_character(text):
        raise Refused(f"{stray}, which no content item can hold; replace it before it becomes a report")
    return text.replace("\n", "\r\n")


def plain_text(value: str) -> str:
    """A UT value as text whose lines end in LF: what ut_text() was given."""
    return _LINE_END.sub("\n", value)


def stray_character(text: str) -> str:
    """Which character cannot stand in a content item's text, and where; empty when all can."""
    found = _NO_TEXT.search(text)
    return f"the text has U+{ord(found[0]):04X} at character {found.start() + 1}" if found else ""


def shortened(text: str, limit: int) -> str:
    """A description that fits SH, LO or ST: one line, no backslash, cut at `limit` characters."""
    line = " ".join(_NO_TEXT.sub(" ", text).replace("\\", "/").split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def identifier(text: str, limit: int) -> str:
    """The identifier when SH or LO can hold it as it is, else empty: a cut identifier would be somebody else's."""
    text = text.strip()
    return "" if len(text) > limit or _NO_IDENTIFIER.search(text) else text
