"""A draft report as a tree of content items: TID 2000 Basic Diagnostic Imaging Report (PS3.16)."""

from __future__ import annotations

from collections.abc import Mapping

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    ImageContentItem,
    LanguageOfContentItemAndDescendants,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    TextContentItem,
)
from highdicom.sr import RelationshipTypeValues as Relationship
from pydicom.sr.codedict import codes

from dicom_io.errors import Refused
from dicom_io.report import SUMMARY, Code, Device, DraftReport, ImageReference, Paragraph, ReportSection
from dicom_io.study import Instance
from dicom_io.text_values import shortened, ut_text


def concept(code: Code) -> CodedConcept:
    """The code as an item of a code sequence, its meaning cut to the 64 characters of LO."""
    return CodedConcept(code.value, code.scheme, shortened(code.meaning, 64))


def content_tree(report: DraftReport, images: Mapping[str, Instance]) -> ContainerContentItem:
    """The root container; `images` are those that may be referenced, by SOP Instance UID.

    Raises:
        Refused: a text cannot stand in a content item, a section is empty, or an image or frame is not in `images`.
    """
    items = ContentSequence()
    if report.procedure is not None:
        name, value = codes.DCM.ProcedureReported, concept(report.procedure)
        items.append(CodeContentItem(name, value, Relationship.HAS_CONCEPT_MOD))
    items.extend(LanguageOfContentItemAndDescendants(concept(report.language)))
    items.extend(observers(report))
    banner = ReportSection(SUMMARY, SUMMARY, (Paragraph(report.banner),))
    items.extend([_section(section, images) for section in (banner, *report.sections)])
    root = ContainerContentItem(concept(report.title), is_content_continuous=False, template_id="2000")
    root.ContentSequence = items
    return root


def observers(report: DraftReport) -> list[ContentItem]:
    """Who wrote the report, and who has read it: the observation context (TID 1001)."""
    return [*_observer(report.device), *(_reader(report.accepted_by) if report.accepted_by else ())]


def _observer(device: Device) -> ObserverContext:
    return ObserverContext(
        codes.DCM.Device,
        DeviceObserverIdentifyingAttributes(
            uid=device.uid,
            name=shortened(device.name, 64),
            manufacturer_name=shortened(device.manufacturer, 64),
            model_name=shortened(device.model, 64),
            serial_number=shortened(device.serial, 64) or None,
        ),
    )


def _reader(name: str) -> ObserverContext:
    """Who has read what the device wrote (TID 1003). Verifying would be said in the header, and never is.

    A single component of a person name ends with a caret (PS3.5 6.2.1.2).
    """
    return ObserverContext(codes.DCM.Person, PersonObserverIdentifyingAttributes(f"{shortened(name, 63)}^"))


def _section(section: ReportSection, images: Mapping[str, Instance]) -> ContainerContentItem:
    where = f"section {section.heading.meaning}"
    if not section.paragraphs:
        raise Refused(f"{where} has no paragraph; give it one or leave it out")
    container = ContainerContentItem(
        concept(section.heading), is_content_continuous=False, relationship_type=Relationship.CONTAINS
    )
    container.ContentSequence = ContentSequence(
        [
            _paragraph(paragraph, section.element, images, f"{where}, paragraph {number}")
            for number, paragraph in enumerate(section.paragraphs, start=1)
        ]
    )
    return container


def _paragraph(paragraph: Paragraph, element: Code, images: Mapping[str, Instance], where: str) -> TextContentItem:
    item = text_item(paragraph, element, where)
    if paragraph.images:
        item.ContentSequence = ContentSequence(
            [
                ImageContentItem(concept(paragraph.purpose), *shown, relationship_type=Relationship.INFERRED_FROM)
                for shown in (referenced(reference, images, where) for reference in paragraph.images)
            ]
        )
    return item


def text_item(paragraph: Paragraph, element: Code, where: str) -> TextContentItem:
    """The paragraph's text alone, byte for byte.

    Raises:
        Refused: it cannot stand in a content item.
    """
    try:
        return TextContentItem(concept(element), ut_text(paragraph.text), Relationship.CONTAINS)
    except Refused as error:
        raise Refused(f"{where}: {error}") from error


def referenced(reference: ImageReference, images: Mapping[str, Instance], where: str) -> tuple[str, str, int | None]:
    """SOP class, SOP instance and frame of an image that a paragraph refers to.

    Raises:
        Refused: it, or its frame, is none of `images`.
    """
    instance = images.get(reference.sop_instance_uid)
    if instance is None:
        raise Refused(f"{where} refers to an image that is none of the study's, nor of a given earlier one's")
    if reference.frame is not None and not 1 <= reference.frame <= instance.frames:
        raise Refused(f"{where} refers to frame {reference.frame} of an image that has {instance.frames}")
    # the one frame of a single-frame image has no number (PS3.3 10.3)
    frame = reference.frame if instance.frames > 1 else None
    return instance.sop_class_uid, instance.sop_instance_uid, frame
