"""A draft in the format of each destination: DICOM objects, HL7 ORU^R01, FHIR DiagnosticReport.

Documents are minted here, once. They are written before the draft's row, so a resend is the same document, and under
names of their own: what a worker that has lost its case still writes is beside the other's, and never sent.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dicom_io import report as sr
from dicom_io.errors import Refused
from dicom_io.study import Instance
from dicom_io.uids import uid_for
from hl7 import oru
from hl7.errors import Malformed
from hl7.header import Application, Header
from hl7.orders import Order
from hl7.overrides import overrides
from hl7.patient import Patient
from hl7.result import Device, Result, ResultSection
from model_runtime.canvas import Code
from model_runtime.draft_text import DraftText
from radplug import __version__
from radplug.domain import Case, Document, DocumentKind, Draft, KeptInstance, NotDraftable
from radplug.fhir import resources
from radplug.records.viewing import Viewing
from radplug.settings import DeviceSettings, FhirDestination, ObjectDestination, ReportingDestination, Shape
from radplug.shapes import Shapes
from radplug.study_store import StudyStore

ELEMENTS = {sr.FINDINGS.value: sr.FINDING, sr.IMPRESSIONS.value: sr.IMPRESSION}  # what a section's text is, CID 7002
SR_WITHIN: Shape = "basic-text-sr"  # what a DiagnosticReport holds
COMPARED = "Compared with the report on the"
EMPTY = "(No text was drafted for this section.)"


class Documents:
    """Composes for the destinations of one site."""

    def __init__(
        self,
        store: StudyStore,
        viewing: Viewing,
        device: DeviceSettings,
        fonts: Sequence[Path],
        *,
        pacs: Sequence[ObjectDestination],
        reporting: Sequence[ReportingDestination],
        fhir: Sequence[FhirDestination],
    ) -> None:
        self._store = store
        self._shapes = Shapes(store, viewing, fonts)
        self._device = device
        self._pacs = pacs
        self._reporting = reporting
        self._fhir = fhir

    def compose(self, case: Case, draft: Draft, instances: Sequence[KeptInstance]) -> list[tuple[str, Document]]:
        """(destination, document) for every destination that the case is for.

        Each shape and the DiagnosticReport are made once, an ORU for each reporting system.

        Raises:
            NotDraftable: the draft's text, or the study itself, cannot stand in a document.
        """
        try:
            return self._compose(case, draft, instances)
        except (Refused, Malformed) as error:
            raise NotDraftable(f"the draft cannot be sent: {error}") from error

    def _compose(self, case: Case, draft: Draft, instances: Sequence[KeptInstance]) -> list[tuple[str, Document]]:
        source = _source(draft, instances)
        chosen = case.routing.destinations
        pacs = [each for each in self._pacs if chosen is None or each.name in chosen]
        reporting = [each for each in self._reporting if chosen is None or each.name in chosen]
        fhir = [each for each in self._fhir if chosen is None or each.name in chosen]
        within: list[Shape] = [SR_WITHIN] if fhir else []
        shapes = list(dict.fromkeys((*(shape for each in pacs for shape in each.shapes), *within)))
        made = self._shapes.make(shapes, self._report(case, draft, source.instance), case, draft, instances, source)
        outgoing = [
            (each.name, document) for each in pacs for shape in dict.fromkeys(each.shapes) for document in made[shape]
        ]
        for each in reporting:
            outgoing.append((each.name, self._oru(case, draft, source.instance, each)))
            if each.pdf:
                outgoing.append((each.name, self._oru_pdf(case, draft, source, each)))
        if fhir:
            document = self._diagnostic_report(case, draft, instances, made[SR_WITHIN][0])
            outgoing += [(each.name, document) for each in fhir]
        return outgoing

    def drafted(self, case: Case, draft: Draft, instances: Sequence[KeptInstance]) -> resources.Drafted:
        """The draft as FHIR resources are made from it."""
        report = self._report(case, draft, _source(draft, instances).instance)
        return resources.Drafted(report, case.patient, case.study_uid, case.study_date, draft.drafted_at)

    def _diagnostic_report(
        self, case: Case, draft: Draft, instances: Sequence[KeptInstance], sr_within: Document
    ) -> Document:
        made = resources.standalone(self.drafted(case, draft, instances), self._store.path(sr_within.file).read_bytes())
        data = json.dumps(made, ensure_ascii=False).encode()
        file = self._store.keep_document(case.id, draft.version, f"fhir-{sr_within.id}.json", data)
        return Document(DocumentKind.FHIR, sr_within.id, sr_within.series_uid, file)

    def _report(self, case: Case, draft: Draft, source: Instance) -> sr.DraftReport:
        shown = tuple(sr.ImageReference(image.sop_instance_uid, image.frame) for image in draft.images)
        order, procedure = draft.order, _procedure(draft, source)
        return sr.DraftReport(
            sections=(
                *_compared(draft),
                *(
                    sr.ReportSection(
                        heading=_sr_code(section.code),
                        element=ELEMENTS.get(section.code.value, sr.FINDING),
                        paragraphs=(
                            sr.Paragraph(section.text, shown if section.code.value == sr.FINDINGS.value else ()),
                        ),
                    )
                    for section in _told_apart(draft.text)
                ),
            ),
            title=_sr_code(draft.title),
            device=self._observer(draft),
            banner=_banner(draft),
            accepted_by=draft.accepted_by,
            procedure=procedure,
            requested=(
                sr.RequestedProcedure(
                    accession_number=case.accession_number,
                    placer_order_number=order.placer_order_number if order else "",
                    filler_order_number=order.filler_order_number if order else "",
                    requested_procedure_id=order.requested_procedure_id if order else "",
                    description=procedure.meaning if procedure else case.study_description,
                    code=procedure,
                ),
            ),
            priors=tuple(image for prior in draft.priors for image in prior.images),
        )

    def _observer(self, draft: Draft) -> sr.Device:
        model, device = draft.text.identity, self._device
        return sr.Device(
            uid=uid_for(device.identity),
            name=device.station_name,
            manufacturer=device.manufacturer,
            model=model.name,
            version=f"radplug {__version__}, model {model.version}",
            serial=device.serial_number,
            description=(
                f"Draft report text; model sha256:{model.fingerprint}; "
                f"adapter {f'sha256:{model.adapter}' if model.adapter else 'none'}; seed {model.seed}; "
                f"{', '.join(f'{name} {value}' for name, value in asdict(model.sampler).items())}; "
                f"transformers {model.transformers}; torch {model.torch}; {model.device}; rows {model.rows}; "
                f"template {draft.template}"
            ),
        )

    def _oru(self, case: Case, draft: Draft, source: Instance, to: ReportingDestination) -> Document:
        control_id = uuid.uuid4().hex[:20]
        result = self._result(case, draft, source, to, control_id)
        data = oru.build(result, version=to.version, text_style=to.text_style, overrides=overrides(to.fields))
        file = self._store.keep_document(case.id, draft.version, f"oru-{control_id}.hl7", data)
        return Document(DocumentKind.ORU, control_id, "", file)

    def _oru_pdf(self, case: Case, draft: Draft, source: KeptInstance, to: ReportingDestination) -> Document:
        control_id = uuid.uuid4().hex[:20]
        result = self._result(case, draft, source.instance, to, control_id)
        pdf = self._shapes.pdf(self._report(case, draft, source.instance), case, draft, source)
        title = (draft.title.value, draft.title.scheme, draft.title.meaning)
        data = oru.build_pdf(result, title, pdf, version=to.version, overrides=overrides(to.fields))
        file = self._store.keep_document(case.id, draft.version, f"oru-pdf-{control_id}.hl7", data)
        return Document(DocumentKind.ORU_PDF, control_id, "", file)

    def _result(self, case: Case, draft: Draft, source: Instance, to: ReportingDestination, control_id: str) -> Result:
        patient, observer = case.patient, self._observer(draft)
        if not patient.id:
            raise NotDraftable("the study has no Patient ID, so no reporting system could file its draft; correct it")
        procedure = _procedure(draft, source)
        known = draft.order or Order(case.accession_number)
        if not known.filler_order_number and not known.accession_number:
            known = replace(known, filler_order_number=f"{case.id}^RADPLUG")  # OBR-3 must not be empty
        codes = (
            (procedure.value, procedure.scheme, procedure.meaning) if procedure else ("", "", case.study_description)
        )
        return Result(
            header=Header(
                Application(observer.name, to.sending_facility),
                Application(to.receiving_application, to.receiving_facility),
                control_id,
                draft.drafted_at,
                to.processing_id,
            ),
            patient=Patient(
                patient.id, patient.name, patient.birth_date, patient.sex, patient.issuer or to.assigning_authority
            ),
            order=replace(known, procedure_code=codes),
            study_uid=case.study_uid,
            sections=(
                *_prior_results(draft),
                *(
                    ResultSection(section.code.value, section.code.scheme, section.name, section.text)
                    for section in _told_apart(draft.text)
                ),
            ),
            banner=_banner(draft),
            device=Device(observer.model, observer.manufacturer.upper(), observer.uid),
            study_datetime=source.study_date + source.study_time,
            status=to.status,
        )


@dataclass(frozen=True, slots=True)
class _Section:
    """A section as documents have it."""

    code: Code
    name: str
    text: str


def _told_apart(text: DraftText) -> list[_Section]:
    """The sections; where several have one code, headings tell them apart, in front of their texts and as names."""
    times = Counter((section.code.scheme, section.code.value) for section in text.sections)
    told: list[_Section] = []
    for section in text.sections:
        code, words = section.code, section.text or EMPTY
        if times[code.scheme, code.value] > 1:
            told.append(_Section(code, section.heading.rstrip(":"), f"{section.heading}\n{words}"))
        else:
            told.append(_Section(code, code.meaning, words))
    return told


def _source(draft: Draft, instances: Sequence[KeptInstance]) -> KeptInstance:
    """The image that tells of patient and study: one that was shown."""
    shown = {image.sop_instance_uid for image in draft.images}
    return next(kept for kept in instances if kept.instance.sop_instance_uid in shown)


def _compared(draft: Draft) -> tuple[sr.ReportSection, ...]:
    """What the model was supplied with, cited by date."""
    cited = tuple(
        sr.Paragraph(
            f"{COMPARED} {prior.cited}.",
            tuple(sr.ImageReference(image.sop_instance_uid) for image in prior.images),
            sr.BASELINE,
        )
        for prior in draft.priors
    )
    return (sr.ReportSection(sr.PRIOR_PROCEDURES, sr.PROCEDURE_DESCRIPTION, cited),) if cited else ()


def _prior_results(draft: Draft) -> tuple[ResultSection, ...]:
    heading, text = sr.PRIOR_PROCEDURES, "\n".join(f"{COMPARED} {prior.cited}." for prior in draft.priors)
    return (ResultSection(heading.value, heading.scheme, heading.meaning, text),) if text else ()


def _banner(draft: Draft) -> str:
    return sr.ACCEPTED_BANNER if draft.accepted_by else sr.BANNER


def _sr_code(code: Code) -> sr.Code:
    return sr.Code(code.value, code.scheme, code.meaning)


def _procedure(draft: Draft, source: Instance) -> sr.Code | None:
    """What was done, in codes: as ordered, else as the modality says."""
    ordered = draft.order.procedure_code if draft.order else ("", "", "")
    value, scheme, meaning = ordered if all(ordered) else source.procedure_code
    return sr.Code(value, scheme, meaning) if value and scheme and meaning else None
