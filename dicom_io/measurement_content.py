"""A draft report as TID 1500 Measurement Report (PS3.16): what viewers show that show no other structured report.

Each section is a measurement group (TID 1501) with a finding, its text and its images, and no measurement: the draft
has none. In front of the groups stands, in words, what the document is; the template may be extended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    ContainerContentItem,
    ContentSequence,
    LanguageOfContentItemAndDescendants,
    MeasurementsAndQualitativeEvaluations,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from highdicom.sr import RelationshipTypeValues as Relationship
from pydicom.sr.codedict import codes

from dicom_io.errors import Refused
from dicom_io.report import BEST_ILLUSTRATION, SUMMARY, Code, Device, DraftReport, Paragraph, ReportSection
from dicom_io.report_content import concept, observers, referenced, text_item
from dicom_io.study import Instance
from dicom_io.text_values import shortened
from dicom_io.uids import uid_for

ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")  # CID 7162
ANY_PROCEDURE: Final = Code("363679005", "SCT", "Imaging procedure")  # the template wants one


def measurement_tree(report: DraftReport, images: Mapping[str, Instance], series_uid: str) -> ContainerContentItem:
    """The root container; `images` are those that may be referenced, by SOP Instance UID.

    A section is tracked under the same UID in all versions of a draft, which are in one series.

    Raises:
        Refused: a text cannot stand in a content item, a section is empty, or an image or frame is not in `images`.
    """
    items = ContentSequence()
    items.extend(LanguageOfContentItemAndDescendants(concept(report.language)))
    items.extend(observers(report))
    procedure = concept(report.procedure or ANY_PROCEDURE)
    items.append(CodeContentItem(codes.DCM.ProcedureReported, procedure, Relationship.HAS_CONCEPT_MOD))
    items.append(text_item(Paragraph(report.banner), SUMMARY, "the banner"))
    measurements = ContainerContentItem(codes.DCM.ImagingMeasurements, is_content_continuous=False)
    measurements.RelationshipType = Relationship.CONTAINS.value
    measurements.ContentSequence = ContentSequence()
    algorithm = _algorithm(report.device)
    for number, section in enumerate(report.sections, start=1):
        tracking = TrackingIdentifier(uid_for(f"{series_uid}/{number}"), shortened(section.heading.meaning, 64))
        measurements.ContentSequence.extend(_group(section, images, tracking, algorithm))
    items.append(measurements)
    root = ContainerContentItem(codes.DCM.ImagingMeasurementReport, is_content_continuous=False, template_id="1500")
    root.ContentSequence = items
    return root


def _algorithm(device: Device) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        shortened(device.model, 64),
        shortened(device.version, 64),
        parameters=[shortened(device.description, 1024)] if device.description else None,
        family=concept(ARTIFICIAL_INTELLIGENCE),
        manufacturer=shortened(device.manufacturer, 64),
    )


def _group(
    section: ReportSection,
    images: Mapping[str, Instance],
    tracking: TrackingIdentifier,
    algorithm: AlgorithmIdentification,
) -> MeasurementsAndQualitativeEvaluations:
    where = f"section {section.heading.meaning}"
    if not section.paragraphs:
        raise Refused(f"{where} has no paragraph; give it one or leave it out")
    measured = [paragraph for paragraph in section.paragraphs if paragraph.purpose == BEST_ILLUSTRATION]
    shown = dict.fromkeys(reference for paragraph in measured for reference in paragraph.images)
    sources = []
    for reference in shown:
        sop_class_uid, sop_instance_uid, frame = referenced(reference, images, where)
        sources.append(SourceImageForMeasurementGroup(sop_class_uid, sop_instance_uid, [frame] if frame else None))
    group = MeasurementsAndQualitativeEvaluations(
        tracking, finding_type=concept(section.heading), algorithm_id=algorithm, source_images=sources
    )
    group[0].ContinuityOfContent = "SEPARATE"
    for number, paragraph in enumerate(section.paragraphs, start=1):
        group[0].ContentSequence.append(text_item(paragraph, section.element, f"{where}, paragraph {number}"))
    return group
