"""Earlier studies of a patient: which of those that an archive names are this patient's, and which of them are wanted.

Pure rules. Nothing is known of how they are asked for. A study that is left out comes with its reason, for whoever
reads the case; the reason holds no patient data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from dicom_io.study import Patient


@dataclass(frozen=True, slots=True)
class PriorRule:
    """Which earlier studies are wanted; None is not asked."""

    most: int
    within_days: int | None = None  # before the study at hand
    modalities: frozenset[str] | None = None
    body_parts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study as an archive names it: nothing of it is believed before its patient has been compared."""

    study_uid: str
    patient: Patient
    taken_on: date | None
    modalities: frozenset[str]
    body_part: str = ""  # empty: not told


@dataclass(frozen=True, slots=True)
class LeftOut:
    study_uid: str
    taken_on: date | None
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    taken: tuple[Candidate, ...]  # the newest first
    left_out: tuple[LeftOut, ...]  # those of somebody else, or of whom that is not certain


def stranger(ours: Patient, theirs: Patient) -> str:
    """Why it is not certain that both are one patient; empty where it is.

    ID, issuer and birth date must all be given and equal. A name proves nothing: it changes, and is shared.
    """
    facts = (
        ("Patient ID", ours.id, theirs.id),
        ("issuer of the Patient ID", ours.issuer, theirs.issuer),
        ("birth date", ours.birth_date, theirs.birth_date),
    )
    for what, mine, other in facts:
        if not mine or not other:
            return f"{'this' if not mine else 'the earlier'} study has no {what}, so the patient is not certain"
        if mine != other:
            return f"its {what} is another, so it may be another patient's"
    return ""


def choose(candidates: Sequence[Candidate], patient: Patient, study_uid: str, taken_on: date, by: PriorRule) -> Choice:
    """The wanted ones among an archive's studies, for a study of that UID and day."""
    wanted = [one for one in candidates if one.study_uid != study_uid and _is_wanted(one, taken_on, by)]
    reasons = [(one, stranger(patient, one.patient)) for one in wanted]
    certain = {one.study_uid: one for one, why in reasons if not why}
    newest = sorted(certain.values(), key=lambda one: (one.taken_on or date.min, one.study_uid), reverse=True)
    return Choice(
        tuple(newest[: by.most]), tuple(LeftOut(one.study_uid, one.taken_on, why) for one, why in reasons if why)
    )


def _is_wanted(one: Candidate, taken_on: date, by: PriorRule) -> bool:
    """A study without a day is no prior: nobody could cite it, or say that it came before."""
    if one.taken_on is None or one.taken_on > taken_on:
        return False
    if by.within_days is not None and (taken_on - one.taken_on).days > by.within_days:
        return False
    if by.modalities is not None and not by.modalities & one.modalities:
        return False
    return by.body_parts is None or one.body_part in by.body_parts
