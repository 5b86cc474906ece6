"""Routing rules for scripts and for the page: JSON under /api/v1/rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from radplug.people import Right
from radplug.rules import Answer, Rule, RulesText, Study, ask
from radplug.rules.saved import NAME, check
from radplug.texts.difference import difference
from radplug.texts.history import History
from radplug.texts.reading import BadText
from radplug.web.answers import BIGGEST, PRINTED, REFUSALS, WHO
from radplug.web.texts import Written, text_of, versions_of
from radplug.web.who import Acting, LookingOn, Site, needs
from radplug.wiring import House

router = APIRouter(
    prefix="/api/v1/rules", tags=["rules"], responses=REFUSALS, dependencies=[*WHO, Depends(needs(Right.RULES))]
)


class ToTry(Written):
    case: str = Field(min_length=1, max_length=64, pattern=PRINTED, description="A case's id, or its accession number")


Why = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTED, description="Why the rules are changed")]
On = Annotated[int, Field(ge=0, le=BIGGEST, description="The newest version that its author has seen; 0: none")]


class NewRules(Written):
    on: On
    why: Why


def history(house: Site) -> History[RulesText]:
    return house.past_rules


Past = Annotated[History[RulesText], Depends(history)]


@router.get("")
def rules_in_use(past: Past, house: Site, person: LookingOn) -> dict[str, Any]:
    """The text in use and its versions; version 0 is the file's, or that there are none."""
    house.audit_by(person.name).note("rules viewed", version=past.in_use or 0)
    return {
        "version": past.in_use or 0,
        "newest": past.newest,
        "text": house.rules_text.text,
        "file": house.rules_file.where,
        "versions": versions_of(past),
    }


@router.put("")
def save_rules(body: NewRules, house: Site, person: Acting) -> dict[str, Any]:
    """Save a new version, which counts from the next study on that closes."""
    check(body.text, house.known_to_rules)
    return _saved(house, body.text, body.on, person.name, body.why, "rules saved")


@router.delete("")
def take_out_rules(
    on: Annotated[On, Query()], why: Annotated[Why, Query()], house: Site, person: Acting
) -> dict[str, Any]:
    """Take what was saved here out of use; the file, where there is one, counts again."""
    return _saved(house, None, on, person.name, why, "rules taken out of use")


@router.post("/check")
def check_rules(body: Written, house: Site, person: LookingOn) -> dict[str, Any]:
    """What is wrong with a text, if anything, or what saving it would change; nothing is saved."""
    try:
        rules = check(body.text, house.known_to_rules)
    except BadText as error:
        return {"ok": False, "mistakes": [asdict(mistake) for mistake in error.mistakes]}
    changes = difference(house.rules_text.text, body.text)
    return {"ok": True, "rules": in_words(rules), "difference": [asdict(passage) for passage in changes]}


@router.post("/try", dependencies=[Depends(needs(Right.CASES))])
def try_rules(body: ToTry, house: Site, person: LookingOn) -> dict[str, Any]:
    """Which rule of a text would take a case's study, and why each one before it would not; nothing changes."""
    study, answers = tried(house, body, person.name)
    return {
        "modality": study.modality,
        "body_part": study.body_part,
        "rule": next((answer.rule.name for answer in answers if answer.takes), None),
        "answers": [{"rule": answer.rule.name, "takes": answer.takes, "misfits": answer.misfits} for answer in answers],
    }


@router.get("/versions/{version}")
def rules_version(past: Past, version: int, house: Site, person: LookingOn) -> dict[str, Any]:
    text = text_of(past, version)
    house.audit_by(person.name).note("rules viewed", version=version)
    return {"version": version, "text": text}


@router.get("/difference")
def rules_difference(past: Past, old: int, new: int, house: Site, person: LookingOn) -> list[dict[str, Any]]:
    """What became of the lines of the version `old`, in passages."""
    passages = difference(text_of(past, old), text_of(past, new))
    house.audit_by(person.name).note("rules compared", old=old, new=new)
    return [asdict(passage) for passage in passages]


def in_words(rules: Sequence[Rule]) -> list[dict[str, str]]:
    return [{"name": rule.name, "studies": rule.when.in_words(), "are": rule.in_words()} for rule in rules]


def tried(house: House, body: ToTry, by: str) -> tuple[Study, list[Answer]]:
    """Raises BadText, UnknownCase, SeveralCases."""
    rules = check(body.text, house.known_to_rules)
    case = house.viewing.case(house.viewing.case_id(body.case))
    order = house.drafting.order(case)
    study = Study.of(house.drafting.instances(case.id), order, house.settings.drafting.assume_body_part)
    house.audit_by(by).note("rules tried", case.id)
    return study, [*ask(rules, study, house.now().astimezone().date())]


def _saved(house: House, text: str | None, on: int, by: str, why: str, event: str) -> dict[str, Any]:
    version = house.saved_rules.save(NAME, text, on=on, by=by, now=house.now(), why=why)
    house.audit_by(by).note(event, version=version, why=why)
    return {"version": version}
