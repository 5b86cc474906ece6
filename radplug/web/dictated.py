"""Phrases from dictation systems that come before the draft, or even the study, that they are about: they are kept."""

from __future__ import annotations

import hashlib

from radplug.anchors import check
from radplug.desk import BadEdit
from radplug.domain import SETTLED, Case, Dictation, UnknownCase
from radplug.people import Person
from radplug.web.answers import Kept
from radplug.wiring import House

LONGEST_ACCESSION = 16  # characters; VR SH


def sent_once(key: str | None, person: Person, case: str, body: str) -> str | None:
    """What a request is known by when it comes again: the same words for the same case by the same sender."""
    if key is None:
        return None
    return hashlib.sha256("\n".join((person.name, case, key, body)).encode()).hexdigest()


def case_to_be(house: House, named: str) -> Case | None:
    """The case; None where `named` is an accession number whose study has not come.

    Raises:
        UnknownCase: nor can it be an accession number.
        SeveralCases: more than one case has it.
    """
    try:
        return house.viewing.case(house.viewing.case_id(named))
    except UnknownCase:
        if len(named) <= LONGEST_ACCESSION and named == named.strip() and "\\" not in named:
            return None
        raise


def keep(house: House, case: Case | None, phrase: Dictation, by: Person, key: str | None) -> Kept:
    """Keep a phrase until the first draft is made, which is made around it.

    Raises:
        BadEdit: no template has such a section, the words cannot stand in a report, or none will be drafted.
    """
    sections = {section.name for file in house.templates for section in file.template.sections}
    if phrase.section and phrase.section not in sections:
        raise BadEdit(f"no template has such a section; sections are {', '.join(sorted(sections))}")
    if reason := check(phrase.text):
        raise BadEdit(reason)
    if case and case.state in SETTLED:
        raise BadEdit(f"this case is {case.state}: there is no report that the phrase could stand in")
    if house.receiving.add_dictation(phrase, key):
        house.audit_by(by.name).note("dictated", case.id if case else "", phrases=1)
    return Kept(stands="waits for its draft", case=case.id) if case else Kept(stands="waits for its study", case=None)
