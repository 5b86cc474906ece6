"""Which earlier studies are the patient's own, and which of them are wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from dicom_io.study import Patient
from radplug.priors import Candidate, Choice, LeftOut, PriorRule, choose, stranger

OURS = Patient("4711", "HOSP", "Doe^Jane", "19610203", "F")
TODAY = date(2026, 5, 17)


def study(
    uid: str, taken_on: date | None, patient: Patient = OURS, modality: str = "DX", part: str = "CHEST"
) -> Candidate:
    return Candidate(uid, patient, taken_on, frozenset({modality}), part)


def chosen(candidates: list[Candidate], by: PriorRule, patient: Patient = OURS) -> Choice:
    return choose(candidates, patient, "1.1", TODAY, by)


@pytest.mark.parametrize("fact", ["id", "issuer", "birth_date"])
def test_who_differs_in_a_single_fact_is_a_stranger(fact: str) -> None:
    assert "another" in stranger(OURS, replace(OURS, **{fact: "19610204"}))


@pytest.mark.parametrize("fact", ["id", "issuer", "birth_date"])
def test_a_fact_that_either_lacks_proves_nothing(fact: str) -> None:
    lacking = replace(OURS, **{fact: ""})
    assert stranger(OURS, lacking).startswith("the earlier study has no")
    assert stranger(lacking, OURS).startswith("this study has no")
    assert stranger(lacking, lacking)


def test_a_name_neither_proves_nor_disproves() -> None:
    assert stranger(OURS, replace(OURS, name="Roe^Jane", sex="")) == ""


def test_a_strangers_study_is_left_out_with_its_reason_and_without_the_patients_data() -> None:
    theirs = study("1.3", date(2025, 1, 1), replace(OURS, birth_date="19710203"))
    choice = chosen([study("1.2", date(2024, 1, 1)), theirs], PriorRule(most=2))
    assert [one.study_uid for one in choice.wanted] == ["1.2"]
    reason = "its birth date is another, so it may be another patient's"
    assert choice.left_out == (LeftOut(theirs, reason),)


def test_the_newest_come_first() -> None:
    candidates = [study(f"1.{year}", date(year, 1, 1)) for year in (2021, 2025, 2023)]
    assert [one.study_uid for one in chosen(candidates, PriorRule(most=2)).wanted] == ["1.2025", "1.2023", "1.2021"]


def test_what_an_archive_does_not_tell_is_seen_when_the_study_is_here() -> None:
    lacking = study("1.2", date(2024, 1, 1), replace(OURS, issuer=""))
    choice = chosen([lacking], PriorRule(most=1))
    assert (choice.wanted, choice.left_out) == ((lacking,), ())
    assert stranger(OURS, lacking.patient)


@pytest.mark.parametrize(
    ("candidate", "by", "wanted"),
    [
        (study("1.1", date(2026, 1, 1)), PriorRule(1), False),  # the study at hand
        (study("1.2", date(2026, 5, 18)), PriorRule(1), False),
        (study("1.2", TODAY), PriorRule(1), True),
        (study("1.2", None), PriorRule(1), False),
        (study("1.2", date(2026, 5, 7)), PriorRule(1, within_days=10), True),
        (study("1.2", date(2026, 5, 6)), PriorRule(1, within_days=10), False),
        (study("1.2", TODAY, modality="CT"), PriorRule(1, modalities=frozenset({"DX", "CR"})), False),
        (study("1.2", TODAY), PriorRule(1, modalities=frozenset({"DX", "CR"})), True),
        (study("1.2", TODAY, part="HEAD"), PriorRule(1, body_parts=frozenset({"CHEST"})), False),
        (study("1.2", TODAY, part=""), PriorRule(1, body_parts=frozenset({"CHEST"})), True),  # it may be one
        (study("1.2", TODAY), PriorRule(1, body_parts=frozenset({"CHEST"})), True),
    ],
)
def test_what_is_wanted(candidate: Candidate, by: PriorRule, wanted: bool) -> None:
    assert bool(chosen([candidate], by).wanted) is wanted


def test_what_is_named_twice_is_taken_once() -> None:
    twice = [study("1.2", date(2024, 1, 1))] * 2
    assert len(chosen(twice, PriorRule(most=2)).wanted) == 1


def test_what_a_rule_asks_and_an_archive_does_not_tell() -> None:
    untold = Candidate("1.2", OURS, TODAY, frozenset())
    assert PriorRule(1, modalities=frozenset({"DX"})).lacks(untold) == "modality"
    assert PriorRule(1, body_parts=frozenset({"CHEST"})).lacks(untold) == "body part"
    assert PriorRule(1).lacks(untold) == ""
    assert PriorRule(1, modalities=frozenset({"DX"})).lacks(study("1.2", TODAY)) == ""
