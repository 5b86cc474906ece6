"""The patient's earlier studies, found and fetched while the draft waits for them, but not for long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from dicom_io.errors import NoSpace
from dicom_io.study import Instance, Patient, date_of
from radplug.domain import ArchiveFailed, Case, KeptInstance, Received
from radplug.parts import House
from radplug.priors import (
    Candidate,
    Prior,
    PriorRule,
    PriorState,
    SignedReport,
    choose,
    report_of,
    stranger,
)

NO_REPORT = "no report came with it"
SENT = "the report that was sent for it"  # by HL7


def compare(house: House, case_id: str) -> None:
    """Have those here that the case's rule wants. What does not come in time is left out, and the draft goes on."""
    until = house.comparing.begin(case_id, house.now())
    if until is None:
        return
    case, here = house.viewing.case(case_id), 0
    if by := case.routing.priors:
        for candidate in _wanted(house, case, by, until):
            if here == by.most or house.now() >= until:
                break
            if described := _described(house, case, candidate, by, until):
                here += _fetched(house, case, described, until)
    house.comparing.end(case_id)


def keep_prior(house: House, instance: Instance, header: bytes, data_set: bytes) -> Received:
    """Keep an instance of an earlier study. Raises NoSpace."""
    now = house.now()
    stored = house.store.keep(header, data_set, house.store.digest(data_set), now)
    if not house.comparing.add(instance, stored, now):
        house.store.discard(stored)
    return Received.PRIOR


def _wanted(house: House, case: Case, by: PriorRule, until: datetime) -> list[Candidate]:
    """The studies that archives name, the newest first; what is amiss with any is noted."""
    taken_on, wanted = date_of(case.study_date), list[Candidate]()
    if taken_on is None:
        _leave_out(house, case, Prior("", "", PriorState.LEFT_OUT, "this study has no date, so none is earlier"))
        return wanted
    for archive in house.prior_archives.names:
        try:
            found = house.prior_archives.find(archive, case.patient, _left(house, until))
        except ArchiveFailed as failed:
            _leave_out(house, case, Prior("", archive, PriorState.LEFT_OUT, str(failed)))
            continue
        patient = house.prior_archives.patient(archive, case.patient)
        choice = choose(found, patient, case.study_uid, taken_on, by)
        wanted += choice.wanted
        for left_out in choice.left_out:
            _leave_out(house, case, _prior(left_out.study, PriorState.LEFT_OUT, left_out.why))
    newest = sorted(wanted, key=lambda one: (one.taken_on or date.min, one.study_uid), reverse=True)
    return list({one.study_uid: one for one in newest}.values())


def _described(house: House, case: Case, candidate: Candidate, by: PriorRule, until: datetime) -> Candidate | None:
    """The study with what the rule asks for and its archive did not tell at first; None where it is not wanted."""
    if not by.lacks(candidate):
        return candidate
    try:
        candidate = house.prior_archives.describe(candidate, _left(house, until))
    except ArchiveFailed as failed:
        _leave_out(house, case, _prior(candidate, PriorState.LEFT_OUT, str(failed)))
        return None
    if lacking := by.lacks(candidate):
        _leave_out(house, case, _prior(candidate, PriorState.LEFT_OUT, f"its archive does not tell its {lacking}"))
        return None
    return candidate if by.admits(candidate) else None


def _fetched(house: House, case: Case, candidate: Candidate, until: datetime) -> bool:
    """Whether it is the patient's, and its report is here."""
    prior = _prior(candidate, PriorState.COMING)
    house.comparing.put(case.id, prior, house.now())

    def keep(instance: Instance, header: bytes, data_set: bytes) -> None:
        if instance.study_uid == candidate.study_uid:
            keep_prior(house, instance, header, data_set)

    failure = ""
    try:
        house.prior_archives.fetch(candidate.archive, candidate.study_uid, keep, _left(house, until))
    except (ArchiveFailed, NoSpace) as failed:
        failure = str(failed)
    instances = house.comparing.instances(candidate.study_uid)
    theirs = {kept.instance.patient for kept in instances}
    report = ""
    if why := next(filter(None, (_stranger(house, case, candidate, patient) for patient in theirs)), ""):
        for file in house.comparing.forget(candidate.study_uid):
            house.store.remove(file)
    else:
        report, why = _report(house, case, candidate, instances, failure)
    if why:
        _leave_out(house, case, replace(prior, state=PriorState.LEFT_OUT, why=why))
        return False
    images = house.prior_reports.images(instances)
    here = replace(prior, state=PriorState.HERE, report=report, images=images)
    house.comparing.put(case.id, here, house.now())
    return True


def _report(
    house: House, case: Case, candidate: Candidate, instances: Sequence[KeptInstance], failure: str
) -> tuple[str, str]:
    """What its report says, and why there is none. Of a study that could not be fetched, what has come is not whole."""
    written = None if failure else house.prior_reports.read(instances)
    numbers = {candidate.accession_number, *(kept.instance.accession_number for kept in instances)}
    theirs, why = list[SignedReport](), ""
    for report in house.comparing.signed(candidate.study_uid, numbers):
        if reason := _stranger(house, case, candidate, report.patient, SENT):
            why = f"{SENT} is left out: {reason}"
            house.audit.note("signed report left out", case.id, archive=candidate.archive, reason=reason)
        else:
            theirs.append(report)
    if written or theirs:
        return report_of(written, theirs)
    return "", "; ".join(filter(None, (failure, why))) or NO_REPORT


def _stranger(house: House, case: Case, candidate: Candidate, patient: Patient, what: str = "the earlier study") -> str:
    """Why it is not certain that what is here of a study is the case's patient's; empty where it is."""
    ours, theirs = (house.prior_archives.patient(candidate.archive, each) for each in (case.patient, patient))
    return stranger(ours, theirs, what)


def _leave_out(house: House, case: Case, prior: Prior) -> None:
    house.comparing.put(case.id, prior, house.now())
    house.audit.note("prior left out", case.id, archive=prior.archive, reason=prior.why)


def _prior(candidate: Candidate, state: PriorState, why: str = "") -> Prior:
    return Prior(
        candidate.study_uid,
        candidate.archive,
        state,
        why,
        candidate.taken_on,
        ", ".join(sorted(candidate.modalities - {"SR", "KO", "PR"})),
        candidate.description,
    )


def _left(house: House, until: datetime) -> float:
    return max((until - house.now()).total_seconds(), 0.1)
