"""Earlier studies of a patient: which of those that an archive names are this patient's, and which of them are wanted.

Pure rules. Nothing is known of how they are asked for. A study that is left out comes with its reason, for whoever
reads the case; the reason holds no patient data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from dicom_io.study import Instance, Patient


@dataclass(frozen=True, slots=True)
class PriorRule:
    """Which earlier studies are wanted; None is not asked."""

    most: int
    within_days: int | None = None  # before the study at hand
    modalities: frozenset[str] | None = None
    body_parts: frozenset[str] | None = None

    def lacks(self, one: Candidate) -> str:
        """What would have to be known of a study, and is not told."""
        if self.modalities is not None and not one.modalities:
            return "modality"
        return "body part" if self.body_parts is not None and not one.body_part else ""

    def admits(self, one: Candidate) -> bool:
        """Whether nothing that is told of a study speaks against it."""
        if self.modalities is not None and one.modalities and not self.modalities & one.modalities:
            return False
        return self.body_parts is None or not one.body_part or one.body_part in self.body_parts


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study as an archive names it: nothing of it is believed before its patient has been compared."""

    study_uid: str
    patient: Patient
    taken_on: date | None
    modalities: frozenset[str]  # of its series; empty: not told
    body_part: str = ""  # empty: not told
    description: str = ""
    archive: str = ""  # the name of whose it is
    accession_number: str = ""  # empty: not told


@dataclass(frozen=True, slots=True)
class LeftOut:
    study: Candidate
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    wanted: tuple[Candidate, ...]  # the newest first; more than the rule wants, should some of them not come
    left_out: tuple[LeftOut, ...]  # those of somebody else, or of whom that is not certain


class PriorState(StrEnum):
    COMING = "coming"  # it was asked for
    HERE = "here"  # with its report, and it is the patient's
    SUPPLIED = "supplied"  # to the model
    LEFT_OUT = "left out"  # `why` says why


@dataclass(frozen=True, slots=True)
class Prior:
    """An earlier study and what has become of it; where it has no UID, an archive that could not be asked."""

    study_uid: str
    archive: str
    state: PriorState
    why: str = ""
    taken_on: date | None = None
    modality: str = ""
    description: str = ""
    report: str = ""  # its text
    images: tuple[Instance, ...] = ()  # that stand for it

    @property
    def cited(self) -> str:
        """How documents name it: by its day."""
        return f"{self.modality or 'study'} of {self.taken_on or 'an unknown day'}"

    @property
    def title(self) -> str:
        """How pages name it."""
        if not self.study_uid:
            return f"archive {self.archive}" if self.archive else "earlier studies"
        return f"{self.cited}, {self.description}" if self.description else self.cited


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """What the structured reports of a study say."""

    text: str
    written_at: datetime | None  # None: not told


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A report that a reporting system has sent as signed: nothing is believed before its patient has been compared."""

    patient: Patient
    accession_number: str  # of its study, empty: not told
    study_uid: str  # likewise
    source: str  # who has sent it: MSH-3 and MSH-4, a bar between
    signed_at: datetime
    sections: tuple[tuple[str, str], ...]  # heading, which may be empty, and text; none: it was withdrawn

    @property
    def key(self) -> str:
        """What its sender's further versions of it are known by."""
        return self.accession_number or self.study_uid

    @property
    def text(self) -> str:
        return "\n".join(f"{heading}:\n{text}" if heading else text for heading, text in self.sections)


def report_of(written: WrittenReport | None, signed: Sequence[SignedReport]) -> tuple[str, str]:
    """The text of an earlier study's report, and why there is none: who has spoken last counts.

    There is at least one, and `signed` are the patient's. Where it is not told when the structured reports were
    written, they count.
    """
    last = max(signed, key=lambda one: one.signed_at, default=None)
    if last and (not written or (written.written_at and last.signed_at > written.written_at)):
        return last.text, "" if last.sections else "its report has been withdrawn"
    assert written  # there is at least one
    return written.text, ""


def differs(ours: Patient, theirs: Patient) -> str:
    """Why it cannot be one patient for us, whatever `theirs` still lacks; empty where it can."""
    for what, mine, other in _facts(ours, theirs):
        if not mine:
            return f"this study has no {what}, so the patient is not certain"
        if other and mine != other:
            return f"its {what} is another, so it may be another patient's"
    return ""


def stranger(ours: Patient, theirs: Patient, what: str = "the earlier study") -> str:
    """Why it is not certain that both are one patient; empty where it is. `what` tells of theirs.

    ID, issuer and birth date must all be given and equal. A name proves nothing: it changes, and is shared.
    """
    lacking = (fact for fact, _, other in _facts(ours, theirs) if not other)
    return differs(ours, theirs) or next(
        (f"{what} has no {fact}, so the patient is not certain" for fact in lacking), ""
    )


def _facts(ours: Patient, theirs: Patient) -> tuple[tuple[str, str, str], ...]:
    return (
        ("Patient ID", ours.id, theirs.id),
        ("issuer of the Patient ID", ours.issuer, theirs.issuer),
        ("birth date", ours.birth_date, theirs.birth_date),
    )


def choose(candidates: Sequence[Candidate], patient: Patient, study_uid: str, taken_on: date, by: PriorRule) -> Choice:
    """The wanted ones among archives' studies, for a study of that UID and day.

    What an archive does not tell of the patient is seen once the study is here; see also `PriorRule.lacks`.
    """
    wanted = [one for one in candidates if one.study_uid != study_uid and _is_wanted(one, taken_on, by)]
    reasons = [(one, differs(patient, one.patient)) for one in wanted]
    possible = {one.study_uid: one for one, why in reasons if not why}
    newest = sorted(possible.values(), key=lambda one: (one.taken_on or date.min, one.study_uid), reverse=True)
    return Choice(tuple(newest), tuple(LeftOut(one, why) for one, why in reasons if why))


def _is_wanted(one: Candidate, taken_on: date, by: PriorRule) -> bool:
    """A study without a day is no prior: nobody could cite it, or say that it came before."""
    if one.taken_on is None or one.taken_on > taken_on:
        return False
    if by.within_days is not None and (taken_on - one.taken_on).days > by.within_days:
        return False
    return by.admits(one)
