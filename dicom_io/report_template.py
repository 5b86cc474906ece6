"""TID 2000, Basic Diagnostic Imaging Report (PS3.16): what may stand where in the tree of a draft report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pydicom.dataset import Dataset

from dicom_io.content_items import items, name, text

# By relationship, in the order of the template's rows, the value types that an item may have there.
_Rows = Mapping[str, frozenset[str]]
_DOCUMENT: Final[_Rows] = MappingProxyType(
    {
        "HAS CONCEPT MOD": frozenset({"CODE"}),
        "HAS OBS CONTEXT": frozenset({"CODE", "TEXT", "UIDREF", "PNAME"}),
        "CONTAINS": frozenset({"CONTAINER"}),
    }
)
_SECTION: Final[_Rows] = MappingProxyType({"CONTAINS": frozenset({"TEXT", "CODE", "IMAGE"})})  # TID 2002
_PARAGRAPH: Final[_Rows] = MappingProxyType({"INFERRED FROM": frozenset({"IMAGE"})})  # TID 2001
_LEAF: Final[_Rows] = MappingProxyType({})

_LANGUAGE: Final = "121049"
_MODIFIERS: Final = frozenset({_LANGUAGE, "121058", "122142", "123014", "121023", "121050"})  # rows 2 to 6, DCM


def departures(document: Dataset) -> Iterator[str]:
    """Where a document's tree is not as the template has it, in words."""
    if text(document, "ValueType") != "CONTAINER" or text(document, "ContinuityOfContent") != "SEPARATE":
        yield "the root is not a container of separate items"
    templates = items(document, "ContentTemplateSequence")
    if [(text(t, "MappingResource"), text(t, "TemplateIdentifier")) for t in templates] != [("DCMR", "2000")]:
        yield "the root does not name TID 2000 of DCMR"
    yield from _misplaced(document, _DOCUMENT)
    relationships = [text(item, "RelationshipType") for item in items(document)]
    rows = [list(_DOCUMENT).index(relationship) for relationship in relationships if relationship in _DOCUMENT]
    if rows != sorted(rows):
        yield "the items under the root are not in the order of the template"
    modifiers = [name(item) for item in items(document) if text(item, "RelationshipType") == "HAS CONCEPT MOD"]
    if not _MODIFIERS.issuperset(modifiers):
        yield "the title has a modifier that the template, which is not extensible, does not have"
    if modifiers.count(_LANGUAGE) != 1:
        yield "the language is not given, or not once"
    if not sections(document):
        yield "there is no section"
    if not all(items(section) for section in sections(document)):
        yield "a section is empty"


def sections(document: Dataset) -> tuple[Dataset, ...]:
    return tuple(item for item in items(document) if text(item, "ValueType") == "CONTAINER")


def _misplaced(parent: Dataset, rows: _Rows) -> Iterator[str]:
    for item in items(parent):
        relationship, value_type = text(item, "RelationshipType"), text(item, "ValueType")
        if value_type not in rows.get(relationship, ()):
            yield f"an item stands as {relationship} {value_type} where the template has none"
        yield from _misplaced(item, _rows_below(rows, value_type))


def _rows_below(rows: _Rows, value_type: str) -> _Rows:
    if rows is _DOCUMENT and value_type == "CONTAINER":
        return _SECTION
    if rows is _SECTION and value_type in ("TEXT", "CODE"):
        return _PARAGRAPH
    return _LEAF
