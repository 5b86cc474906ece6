"""What an open report means to the house: its texts are dictation on a study, and the study's draft is wanted there."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from dicom_io.uids import uid_for
from radplug.anchors import check
from radplug.desk import Ending
from radplug.domain import Case, CaseState, Dictation, Draft, SeveralCases, UnknownCase
from radplug.fhir import content
from radplug.fhir.dictation import Unusable, dictated
from radplug.fhir.open_report import OpenReport
from radplug.fhir.resources import Element, identifiers_of
from radplug.notices import Dictated, Withdrawn
from radplug.passages import parts, sections_by_name
from radplug.patient_guard import Claim, Known, Source, contradictions, stopped
from radplug.settings import FhircastSettings
from radplug.study_store import write_durably
from radplug.wiring import House

QUARANTINE = Path("fhircast-quarantine")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shareable:
    """A draft as the entries of an update that puts it into the open report."""

    case_id: str
    case_version: int  # as it was looked at: the latest draft may be one that is only offered
    version: int
    entries: list[Element]


class ReadingRoom:
    """One session, `name` in settings and logs."""

    def __init__(self, house: House, settings: FhircastSettings, name: str) -> None:
        self._house, self._settings = house, settings
        self._source = f"FHIRcast {name}"
        self._ours = identifiers_of(uid_for(house.settings.device.identity))
        self._shared: dict[str, tuple[str, int]] = {}  # case and its version that each report has been looked at for

    def heard(self, report: OpenReport, before: OpenReport | None) -> list[str]:
        """Act upon all that is in the report now; why some of what has changed in it could not be taken.

        `before` is the same report as it was, None where it has just been opened: what earlier sessions have left
        stands until something is said in this one.
        """
        if report.signed:
            return []
        phrases, refused = self._phrases(report)
        said_before = self._phrases(before)[0] if before else []
        if _words(phrases) != _words(said_before) and not (refused and not phrases):
            withdrawn = Withdrawn(report.accession_number, report.study_uid, self._source)
            self._house.notices.act(Dictated(tuple(phrases)) if phrases else withdrawn, self._house.now())
            self._house.audit.note("dictated", phrases=len(phrases), source=self._source)
        known = before.content if before else {}
        changed = [reason for key, reason in refused.items() if known.get(key) != report.content[key]]
        return list(dict.fromkeys(changed))

    def refused(self, raw: str | bytes, reason: str) -> None:
        """Keep what could not be taken, as it came. Raises NoSpace."""
        house = self._house
        file = QUARANTINE / house.now().strftime("%Y-%m-%d") / f"{uuid.uuid4().hex}.json"
        write_durably(house.store.path(str(file)), raw.encode() if isinstance(raw, str) else raw)
        house.audit.note("content refused", reason=reason, file=str(file), source=self._source)
        log.warning("content refused", reason=reason, file=str(file), source=self._source)

    def draft_for(self, report: OpenReport) -> Shareable | None:
        """The latest draft on the report's study, where it may stand there and does not yet.

        While a newer one is in the making, the one before is not wanted any more.
        """
        house, case = self._house, self._case(report)
        if case is None or case.state not in (CaseState.DRAFTED, CaseState.DELIVERED) or report.signed:
            return None
        if self._shared.get(report.report) == (case.id, case.version):
            return None
        chosen, hub = case.routing.destinations, self._settings
        if not hub.publish or (chosen is not None and hub.name not in chosen):
            return None
        if house.desks.in_hand(case.id) and house.desks.of(case.id, house.now()).ending is Ending.DISCARDED:
            return None
        draft = next((each for each in reversed(house.viewing.drafts(case.id)) if not each.offered), None)
        if draft is None:
            return None
        if self._is_stopped(report, case, draft):
            return None
        drafted = house.documents.drafted(case, draft, house.drafting.instances(case.id))
        found = Shareable(case.id, case.version, draft.version, content.draft_as_content(report, drafted))
        if faults := content.unfit(found.entries):
            house.audit.note("draft not shared", case.id, reason=f"not fit to be sent: {'; '.join(faults)}")
        if faults or not found.entries:
            self._shared[report.report] = (case.id, case.version)
            return None
        return found

    def _is_stopped(self, report: OpenReport, case: Case, draft: Draft) -> bool:
        """Whether the wrong-patient guard keeps the draft out of the report; it is looked at once for each version."""
        known = self._house.identities.of(case.id, draft.version)
        opened = Claim(Source.REPORT, (), report.accession_number, report.study_uid)
        wrong = contradictions(Known(known.case, (*known.others, opened)))
        if wrong:
            self._shared[report.report] = (case.id, case.version)
            about: dict[str, str | int] = {"destination": self._source, "version": draft.version}
            self._house.audit.note("wrong patient stopped", case.id, alarm=True, outcome=stopped(wrong), **about)
        return bool(wrong)

    def shared(self, report: OpenReport, draft: Shareable) -> None:
        """It stands there now."""
        self._shared[report.report] = (draft.case_id, draft.case_version)
        self._house.audit.note("draft shared", draft.case_id, version=draft.version, destination=self._source)

    def _case(self, report: OpenReport) -> Case | None:
        viewing = self._house.viewing
        if report.study_uid:
            return viewing.case_of_study(report.study_uid)
        with suppress(UnknownCase, SeveralCases):
            return viewing.case(viewing.case_id(report.accession_number))
        return None

    def _phrases(self, report: OpenReport) -> tuple[list[Dictation], dict[str, str]]:
        """What is said in the report; and by resource, why some of it cannot be taken."""
        house, at = self._house, self._house.now()
        sections = [section for one in house.templates for section in one.template.sections]
        known = sections_by_name(sections, house.settings.hl7.sections)
        phrases: list[Dictation] = []
        refused: dict[str, str] = {}
        for said in dictated(report, self._ours):
            if isinstance(said, Unusable):
                refused[said.resource] = said.reason
            elif reason := check(said.text):
                refused[said.resource] = f"holds a text that cannot be dictated: {reason}"
            else:
                phrases += [
                    Dictation(section, text, self._source, at, report.accession_number, report.study_uid)
                    for section, text in parts(said.called, said.text, known)
                ]
        return phrases, refused


def _words(phrases: list[Dictation]) -> list[tuple[str, str]]:
    return [(phrase.section, phrase.text) for phrase in phrases]
