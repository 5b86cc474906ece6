"""Any structured report as a person would read it aloud: its headings and what stands under them."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from dicom_io.report_reading import ContentLine, tree


def report_text(document: bytes | Dataset) -> str:
    """Its headings, texts, codes, measurements and dates, a line each; not who observed, nor of which image.

    Raises:
        Unreadable: it does not decode, or is cut short.
    """
    return "\n".join(filter(None, map(_read_aloud, _said(tree(document)))))


def _said(lines: tuple[ContentLine, ...]) -> Iterator[ContentLine]:
    """What the report contains, without what is told about it, and without all that hangs on that."""
    silent: int | None = None  # the depth of a branch that is left out
    for line in lines[1:]:
        if silent is not None and line.depth > silent:
            continue
        silent = None if line.relationship == "CONTAINS" else line.depth
        if silent is None:
            yield line


def _read_aloud(line: ContentLine) -> str:
    if line.value_type == "CONTAINER":
        return f"{line.name}:" if line.name else ""
    if line.value_type == "TEXT":
        return line.value
    if line.value_type in ("CODE", "NUM", "DATE", "DATETIME") and line.value:
        return f"{line.name}: {line.value}"
    return ""
