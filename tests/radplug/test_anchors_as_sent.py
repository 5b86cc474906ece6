"""Dictated phrases in the documents that leave the house: there byte for byte and in order, or nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO

import pytest
import tiny_checkpoint
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from highdicom.sr import MeasurementReport, srread
from houses import send_study
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io import report_checks
from hl7 import checks, oru
from hl7.message import Message
from model_runtime.assembly import Token, assemble
from model_runtime.canvas import FREE, Anchor, Template, lay
from model_runtime.draft_text import SectionText
from model_runtime.errors import AnchorDoesNotFit, AnchorRefused
from radplug import pipeline
from radplug.documents import Documents
from radplug.domain import Case, DocumentKind, Draft, KeptInstance, NotDraftable
from radplug.fhir import checks as fhir_checks
from radplug.settings import Settings
from radplug.wiring import House

CANVAS, END = 600, 0x10FFFF + 1
STYLES = ("repeat", "line", "ft")
SHAPES = ("basic-text-sr", "comprehensive-3d-sr")
WORDS = ["No pleural effusion.", "heart size", " ", " normal", "12 mm", "ö", "e\u0301", "漢字", "한글", "😀", "⚕️\u200d"]
ODD = ["|^~\\&", "\\", "\\.br\\", "\\X0A\\", "\\E\\", "MSH|", "~", "\n", "\n\n", "\u2028", "\u00a0", "\ufeff", "\uffff"]
UNSENDABLE = ["\r\n", "\r", "\t", " "]  # in one of the documents; the space at a section's end only

texts = st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(ODD), st.text(max_size=3)), min_size=1, max_size=5)
anchors = st.lists(
    st.builds(
        Anchor,
        st.sampled_from(["FINDINGS", "IMPRESSION"]),
        st.builds(
            "{}{}".format, texts.map("".join), st.integers(0, 15).map(lambda n: (["", *UNSENDABLE] + [""] * 11)[n])
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@dataclass(frozen=True)
class Desk:
    """Where documents are written: a case whose draft's text is exchanged."""

    house: House
    pacs_alone: Documents
    case: Case
    draft: Draft
    template: Template
    instances: list[KeptInstance]

    def in_version(self, version: str) -> Documents:
        """For the PACS, for reporting systems of one version, and for a FHIR server."""
        house, own = self.house, self.house.settings
        reporting = [each.model_copy(update={"version": version}) for each in own.reporting]
        return Documents(house.store, house.viewing, own.device, (), pacs=own.pacs, reporting=reporting, fhir=own.fhir)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    model = tiny_checkpoint.write(folder / "model", canvas_length=256, steps=1)
    there = {"host": "127.0.0.1", "port": 1}
    house = House(
        Settings(
            store={"data": folder / "data", "keep_free_mib": 1},
            assembly={"quiet_seconds": 0.001},
            model={"checkpoint": model, "threads": 1},
            pacs=[{"name": "pacs", "ae_title": "PACS", "shapes": SHAPES, **there}],
            reporting=[{"name": style, "text_style": style, **there} for style in STYLES],
            fhir=[{"name": "fhir", "url": "http://127.0.0.1:1"}],
        ),
        "test",
    )
    house.database.migrate()
    case = send_study(house, folder / "study")
    pipeline.draft(house, case.id, "worker")
    (draft,) = house.viewing.drafts(case.id)
    template = next(file.template for file in house.templates if file.template.name == draft.template)
    pacs_alone = Documents(
        house.store, house.viewing, house.settings.device, (), pacs=house.settings.pacs, reporting=(), fhir=()
    )
    yield Desk(house, pacs_alone, house.viewing.case(case.id), draft, template, house.drafting.instances(case.id))
    house.database.close()


def drafted(template: Template, said: list[Anchor], words: str) -> tuple[SectionText, ...]:
    """The draft's sections if the model wrote `words` into every gap; one token is one character."""
    roomy = replace(template, sections=tuple(replace(section, tokens=200) for section in template.sections))
    layout = lay(roomy, said, encode=lambda text: [ord(c) for c in text], canvas_length=CANVAS, end_id=END)
    tokens = [Token("" if i in (END, FREE) else chr(i), 1.0) for i in layout.ids]
    for piece in (piece for name in roomy.sections for piece in layout.gaps(name.name)):
        tokens[piece.start] = Token(words, 0.5)
    return assemble(roomy, said, layout, tokens)


def in_order(text: str, said: list[Anchor]) -> bool:
    at = 0
    data = text.encode()
    for anchor in said:
        found = data.find(anchor.text.encode(), at)
        if found < 0:
            return False
        at = found + len(anchor.text.encode())
    return True


def sr_texts(data: bytes) -> dict[str, str]:
    """Text values by the section's code, read by pydicom; DICOM ends lines with CR LF where we have LF."""

    def narrative(container: Dataset) -> str:
        (text,) = (item.TextValue for item in container.ContentSequence if item.ValueType == "TEXT")
        assert isinstance(text, str)
        assert "\n" not in text.replace("\r\n", "")
        return text.replace("\r\n", "\n")

    root = dcmread(BytesIO(data))
    sections = [item for item in root.ContentSequence if item.ValueType == "CONTAINER"]
    return {str(item.ConceptNameCodeSequence[0].CodeValue): narrative(item) for item in sections}


def measurement_texts(data: bytes) -> dict[str, str]:
    """As sr_texts, of a TID 1500 report as highdicom reads it: the texts of its groups by their finding."""
    content = srread(BytesIO(data)).content
    assert isinstance(content, MeasurementReport)
    texts = {}
    for group in content.get_image_measurement_groups():
        (item,) = (i for i in group[0].ContentSequence if (i.ValueType, i.RelationshipType) == ("TEXT", "CONTAINS"))
        assert group.finding_type is not None
        texts[group.finding_type.value] = str(item.TextValue).replace("\r\n", "\n")
    return texts


@given(
    said=anchors,
    words=st.sampled_from(["", "The heart is normal.", " is seen", "."]),
    pacs_alone=st.booleans(),
    version=st.sampled_from(list(oru.VERSIONS)),
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_anchors_stand_in_every_document_or_the_draft_is_refused_with_a_reason(
    desk: Desk, said: list[Anchor], words: str, pacs_alone: bool, version: str
) -> None:
    try:
        sections = drafted(desk.template, said, words)
    except (AnchorDoesNotFit, AnchorRefused):
        return
    draft = replace(desk.draft, text=replace(desk.draft.text, sections=sections))
    try:
        documents = desk.pacs_alone if pacs_alone else desk.in_version(version)
        outgoing = documents.compose(desk.case, draft, desk.instances)
    except NotDraftable:
        assert any(unsendable(section.text) for section in sections)
        return
    assert [name for name, _ in outgoing] == ["pacs", "pacs", *([] if pacs_alone else [*STYLES, "fhir"])]
    for _, document in outgoing:
        data = desk.house.store.path(document.file).read_bytes()
        if document.kind is DocumentKind.FHIR:
            assert not fhir_checks.check(data)
            texts = fhir_texts(data)
        elif document.kind is not DocumentKind.ORU:
            assert not report_checks.check(data)
            texts = sr_texts(data) if document.kind is DocumentKind.SR else measurement_texts(data)
        else:
            assert not checks.check(data)
            assert Message.parse(data).get("MSH", 12) == version
            texts = {section.code: section.text for section in oru.read(data).sections}
        for section in sections:
            mine = [anchor for anchor in said if anchor.section == section.name]
            assert in_order(texts[section.code.value], mine)
            if section.text:
                assert texts[section.code.value] == section.text


def fhir_texts(data: bytes) -> dict[str, str]:
    contained = DiagnosticReport.model_validate_json(data).contained
    observations = [each for each in contained if each.get_resource_type() == "Observation"]
    return {each.code.coding[0].code: each.valueString for each in observations}


def unsendable(text: str) -> bool:
    return "\r" in text or "\t" in text or text.endswith(" ")
