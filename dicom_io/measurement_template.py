"""TID 1500, Measurement Report (PS3.16): what stands where in the tree of a draft report without measurements.

The template is extensible, so that much may stand anywhere. What a draft of ours needs is looked for, and what a draft
must not have: a number that nobody has measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from dicom_io.content_items import code, descendants, items, name, text
from dicom_io.measurement_content import ARTIFICIAL_INTELLIGENCE

_LANGUAGE, _PROCEDURE, _MEASUREMENTS, _GROUP = "121049", "121058", "126010", "125007"
_TRACKING, _TRACKING_UID, _FINDING = "112039", "112040", "121071"
_ALGORITHM, _VERSION, _FAMILY = "111001", "111003", "111000"
_NEEDED_IN_GROUP: Final = (  # TID 1501 and 4019: relationship, value type, name
    ("HAS OBS CONTEXT", "TEXT", _TRACKING),
    ("HAS OBS CONTEXT", "UIDREF", _TRACKING_UID),
    ("CONTAINS", "CODE", _FINDING),
    ("HAS CONCEPT MOD", "TEXT", _ALGORITHM),
    ("HAS CONCEPT MOD", "TEXT", _VERSION),
    ("HAS CONCEPT MOD", "CODE", _FAMILY),
)


def departures(document: Dataset) -> Iterator[str]:
    """Where a document's tree is not as the template and our drafts have it, in words."""
    if text(document, "ValueType") != "CONTAINER" or name(document) != "126000":
        yield "the root is not a container of the title Imaging Measurement Report"
    templates = items(document, "ContentTemplateSequence")
    if [(text(t, "MappingResource"), text(t, "TemplateIdentifier")) for t in templates] != [("DCMR", "1500")]:
        yield "the root does not name TID 1500 of DCMR"
    for wanted, what in ((_LANGUAGE, "language"), (_PROCEDURE, "procedure reported")):
        found = [item for item in items(document) if (text(item, "RelationshipType"), name(item)) == _modifier(wanted)]
        if len(found) != 1:
            yield f"the {what} is not given, or not once"
    containers = [item for item in items(document) if text(item, "ValueType") == "CONTAINER"]
    if [name(container) for container in containers] != [_MEASUREMENTS]:
        yield "the root does not hold one container, of Imaging Measurements"
    groups = [group for container in containers for group in items(container)]
    if not groups:
        yield "there is no section"
    for group in groups:
        yield from _departures_of_group(group)
    if any(text(item, "ValueType") in ("NUM", "SCOORD", "SCOORD3D", "TCOORD") for item in descendants(document)):
        yield "it holds a measurement or a region, of which a draft has none"


def _modifier(concept: str) -> tuple[str, str]:
    return "HAS CONCEPT MOD", concept


def _departures_of_group(group: Dataset) -> Iterator[str]:
    if (text(group, "RelationshipType"), text(group, "ValueType"), name(group)) != ("CONTAINS", "CONTAINER", _GROUP):
        yield "an item under Imaging Measurements is not a measurement group"
    there = [(text(item, "RelationshipType"), text(item, "ValueType"), name(item)) for item in items(group)]
    for needed in _NEEDED_IN_GROUP:
        if there.count(needed) != 1:
            yield f"a measurement group has no item {needed[2]} as {needed[0]} {needed[1]}, or not one"
    if not any((relationship, value_type) == ("CONTAINS", "TEXT") for relationship, value_type, _ in there):
        yield "a section is empty"
    families = [code(item, "ConceptCodeSequence") for item in items(group) if name(item) == _FAMILY]
    if families != [ARTIFICIAL_INTELLIGENCE.value]:
        yield "the algorithm's family is not Artificial Intelligence"
