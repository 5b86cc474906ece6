"""A draft in each shape that a PACS can be sent: structured reports, a PDF, page images.

Each shape has a series of its own in the study, in which the versions of a draft follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydicom.dataset import Dataset

from dicom_io import page_objects, structured_report
from dicom_io.clinical_header import read_header, with_patient
from dicom_io.page_drawing import pdf
from dicom_io.page_objects import encapsulated_pdf, secondary_capture
from dicom_io.report import DocumentIds, DraftReport, Predecessor
from dicom_io.report_pages import Page, lay_out
from dicom_io.structured_report import BASIC_TEXT, COMPREHENSIVE_3D
from dicom_io.study import Study
from dicom_io.typefaces import Typefaces
from dicom_io.uids import mint_uid
from radplug.domain import Case, Document, DocumentKind, Draft, KeptInstance
from radplug.records.viewing import Viewing
from radplug.settings import Shape
from radplug.study_store import StudyStore

KINDS: Final[Mapping[Shape, DocumentKind]] = MappingProxyType(
    {
        "basic-text-sr": DocumentKind.SR,
        "comprehensive-3d-sr": DocumentKind.SR_3D,
        "pdf": DocumentKind.PDF,
        "secondary-capture": DocumentKind.CAPTURE,
    }
)
SERIES_NUMBERS: Final[Mapping[DocumentKind, int]] = MappingProxyType(
    {kind: 9900 + number for number, kind in enumerate(KINDS.values())}  # far from what modalities count
)
# A DiagnosticReport has the SOP Instance UID of the SR within it.
HOLDS: Final[Mapping[DocumentKind, DocumentKind]] = MappingProxyType({DocumentKind.FHIR: DocumentKind.SR})
FORMS: Final = MappingProxyType({DocumentKind.SR: BASIC_TEXT, DocumentKind.SR_3D: COMPREHENSIVE_3D})
SOP_CLASSES: Final[Mapping[Shape, str]] = MappingProxyType(
    {
        "basic-text-sr": BASIC_TEXT.sop_class_uid,
        "comprehensive-3d-sr": COMPREHENSIVE_3D.sop_class_uid,
        "pdf": page_objects.PDF_SOP_CLASS,
        "secondary-capture": page_objects.CAPTURE_SOP_CLASS,
    }
)
PAGES_A_VERSION: Final = 1000  # instance numbers of pages: 1001, 1002, … of version 1


Build = Callable[[DocumentIds], bytes]


@dataclass(frozen=True, slots=True)
class _Work:
    """What all shapes of a draft are made from."""

    report: DraftReport
    study: Study
    header: Dataset
    version: int
    written_at: datetime


class Shapes:
    """Makes and keeps the objects; `fonts` are for pages, besides the one that comes along."""

    def __init__(self, store: StudyStore, viewing: Viewing, fonts: Sequence[Path]) -> None:
        self._store = store
        self._viewing = viewing
        self._fonts = fonts

    def make(
        self,
        shapes: Sequence[Shape],
        report: DraftReport,
        case: Case,
        draft: Draft,
        instances: Sequence[KeptInstance],
        source: KeptInstance,
    ) -> dict[Shape, list[Document]]:
        """The documents of each shape; their UIDs are minted here and their files written.

        Raises:
            Refused: the report, or the study itself, cannot stand in one of the shapes.
        """
        study = Study.of(kept.instance for kept in instances)
        work = _Work(report, study, self._header(case, source), draft.version, draft.drafted_at.astimezone())
        return {shape: list(self._make(KINDS[shape], case, work)) for shape in shapes}

    def pdf(self, report: DraftReport, case: Case, draft: Draft, source: KeptInstance) -> bytes:
        """The draft on pages, by itself.

        Raises:
            Refused: its text cannot be drawn.
        """
        at = draft.drafted_at.astimezone()
        pages = lay_out(report, self._header(case, source), draft.version, at, self._typefaces)
        return pdf(pages, f"{pages[0].watermark}: {report.title.meaning}", at, self._typefaces)

    def _header(self, case: Case, source: KeptInstance) -> Dataset:
        return with_patient(read_header(self._store.path(source.file)), case.patient, source.instance.patient)

    def _make(self, kind: DocumentKind, case: Case, work: _Work) -> Iterator[Document]:
        before = self._before(kind, case, work.version)
        series_uid = before.series_uid if before else mint_uid()
        for number, build in self._builds(kind, work, before):
            ids = DocumentIds(mint_uid(), series_uid, SERIES_NUMBERS[kind], number)
            name = f"{kind}-{ids.sop_instance_uid}.dcm"
            file = self._store.keep_document(case.id, work.version, name, build(ids))
            yield Document(kind, ids.sop_instance_uid, series_uid, file)

    def _before(self, kind: DocumentKind, case: Case, version: int) -> Document | None:
        """The same kind's document, sent by itself or in another, of the latest draft before `version`."""
        earlier = [
            delivery.document
            for delivery in self._viewing.deliveries(case.id)
            if HOLDS.get(delivery.document.kind, delivery.document.kind) is kind and delivery.version < version
        ]
        return earlier[-1] if earlier else None

    def _builds(self, kind: DocumentKind, work: _Work, before: Document | None) -> Iterator[tuple[int, Build]]:
        """The instance number of each object of a shape, and what makes its bytes."""
        report, study, header, at = work.report, work.study, work.header, work.written_at
        if form := FORMS.get(kind):
            predecessor = Predecessor(before.id, before.series_uid) if before else None
            yield work.version, lambda ids: structured_report.build(report, study, header, ids, at, predecessor, form)
            return
        typefaces = self._typefaces
        pages = lay_out(report, header, work.version, at, typefaces)
        if kind is DocumentKind.PDF:
            yield work.version, lambda ids: encapsulated_pdf(pages, report, study, header, ids, at, typefaces)
            return

        def capture_of(page: Page) -> Build:
            return lambda ids: secondary_capture(page, report, study, header, ids, at, typefaces)

        for number, page in enumerate(pages, start=work.version * PAGES_A_VERSION + 1):
            yield number, capture_of(page)

    @cached_property
    def _typefaces(self) -> Typefaces:
        return Typefaces(self._fonts)
