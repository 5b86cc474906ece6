"""The parts of a content item (PS3.3 C.17.3), whatever a document lacks: what is absent or of another type is empty."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence


def items(dataset: Dataset, keyword: str = "ContentSequence") -> tuple[Dataset, ...]:
    """The items of a sequence; the children of a content item when no other is named."""
    value = dataset.get(keyword)
    return tuple(value) if isinstance(value, Sequence) else ()


def text(dataset: Dataset, keyword: str) -> str:
    """A value as text."""
    value = dataset.get(keyword)
    return "" if value is None else str(value)


def code(dataset: Dataset, keyword: str) -> str:
    """The code value of the first item of a code sequence, if its scheme and meaning are there too (PS3.3 8.8)."""
    for item in items(dataset, keyword)[:1]:
        if text(item, "CodingSchemeDesignator") and text(item, "CodeMeaning"):
            return text(item, "CodeValue") or text(item, "LongCodeValue") or text(item, "URNCodeValue")
    return ""


def name(item: Dataset) -> str:
    """The code of what a content item is."""
    return code(item, "ConceptNameCodeSequence")


def references(item: Dataset) -> tuple[tuple[str, str], ...]:
    """The (SOP class, SOP instance) UIDs that an item or a series refers to."""
    return tuple(
        (text(reference, "ReferencedSOPClassUID"), text(reference, "ReferencedSOPInstanceUID"))
        for reference in items(item, "ReferencedSOPSequence")
    )


def references_by_series(study: Dataset) -> tuple[tuple[str, str], ...]:
    """All that a Hierarchical SOP Instance Reference refers to (PS3.3 C.17.2.1)."""
    return tuple(r for series in items(study, "ReferencedSeriesSequence") for r in references(series))


def descendants(item: Dataset) -> Iterator[Dataset]:
    """All content items under an item, depth first."""
    for child in items(item):
        yield child
        yield from descendants(child)
