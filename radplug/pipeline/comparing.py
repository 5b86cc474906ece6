"""The patient's earlier studies, found and fetched while the draft waits for them, but not for long."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from dicom_io.errors import NoSpace
from dicom_io.study import Instance, date_of
from radplug.domain import ArchiveFailed, Case, Received
from radplug.parts import House
from radplug.priors import Candidate, Prior, PriorRule, PriorState, choose, stranger


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
    """Whether it is here, with its report, and the patient's."""
    prior, archive = _prior(candidate, PriorState.COMING), candidate.archive
    house.comparing.put(case.id, prior, house.now())

    def keep(instance: Instance, header: bytes, data_set: bytes) -> None:
        if instance.study_uid == candidate.study_uid:
            keep_prior(house, instance, header, data_set)

    try:
        house.prior_archives.fetch(archive, candidate.study_uid, keep, _left(house, until))
    except (ArchiveFailed, NoSpace) as failed:
        _leave_out(house, case, replace(prior, state=PriorState.LEFT_OUT, why=str(failed)))
        return False
    instances = house.comparing.instances(candidate.study_uid)
    ours = house.prior_archives.patient(archive, case.patient)
    theirs = {house.prior_archives.patient(archive, kept.instance.patient) for kept in instances}
    if why := next(filter(None, (stranger(ours, patient) for patient in theirs)), ""):
        for file in house.comparing.forget(candidate.study_uid):
            house.store.remove(file)
    elif not (report := house.prior_reports.read(instances)):
        why = "no report came with it"
    if why:
        _leave_out(house, case, replace(prior, state=PriorState.LEFT_OUT, why=why))
        return False
    images = house.prior_reports.images(instances)
    here = replace(prior, state=PriorState.HERE, report=report, images=images)
    house.comparing.put(case.id, here, house.now())
    return True


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
