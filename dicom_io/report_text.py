"""Any structured report as a person would read it aloud: its headings and what stands under them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset

from dicom_io.content_items import items, references_by_series, text
from dicom_io.report_reading import ContentLine, parse, tree
from dicom_io.structured_report import PRELIMINARY_FLAG


@dataclass(frozen=True, slots=True)
class ReportsText:
    """What a study's reports say together."""

    text: str  # empty: nothing
    written_at: datetime | None  # the last of them; None: it does not say when


def report_text(document: bytes | Dataset) -> str:
    """Its headings, texts, codes, measurements and dates, a line each; not who observed, nor of which image.

    Raises:
        Unreadable: it does not decode, or is cut short.
    """
    return "\n".join(filter(None, map(_read_aloud, _said(tree(document)))))


def reports_text(documents: Sequence[bytes]) -> ReportsText:
    """The texts of a study's reports, without those that another replaces; drafts are no reports.

    A report without Timezone Offset From UTC (0008,0201) was written in this machine's time zone.

    Raises:
        Unreadable: one does not decode, or is cut short.
    """
    reports = [parse(document) for document in documents]
    final = [report for report in reports if text(report, "PreliminaryFlag") != PRELIMINARY_FLAG]
    replaced = {
        uid
        for report in final
        for study in items(report, "PredecessorDocumentsSequence")
        for _, uid in references_by_series(study)
    }
    stand = sorted(
        (report for report in final if text(report, "SOPInstanceUID") not in replaced),
        key=lambda report: (text(report, "ContentDate"), text(report, "ContentTime"), text(report, "SOPInstanceUID")),
    )
    said = "\n".join(filter(None, map(report_text, stand)))
    return ReportsText(said, _written_at(stand[-1]) if said else None)


def _written_at(report: Dataset) -> datetime | None:
    """Content Date and Time (0008,0023), (0008,0033), to the second as far as they are told."""
    day, time = text(report, "ContentDate"), text(report, "ContentTime").partition(".")[0]
    offset = text(report, "TimezoneOffsetFromUTC")
    try:
        told = datetime.strptime(day + time.ljust(6, "0"), "%Y%m%d%H%M%S")
        return (told.replace(tzinfo=datetime.strptime(offset, "%z").tzinfo) if offset else told).astimezone()
    except ValueError:
        return None


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
