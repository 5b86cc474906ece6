"""A draft in the radiologist's hands: its gaps drafted anew, and what stands there accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from model_runtime.canvas import Template
from model_runtime.draft_text import SectionText
from radplug.desk import BadEdit, Desk, Ending, Frame, StaleEdit, without, without_struck
from radplug.domain import (
    Brief,
    CaseState,
    NotDraftable,
    StaleWork,
)
from radplug.parts import House


def redraft(house: House, case_id: str) -> None:
    """Draft the gaps of an edited case anew, its steps before the eyes of whoever has it open."""
    desk = house.desks.waiting(case_id)
    if desk is None:
        return
    edit, case, instances = desk.edit, house.viewing.case(case_id), house.drafting.instances(case_id)
    (draft,) = (each for each in house.viewing.drafts(case_id) if each.version == edit.version)

    def tell(step: int, sections: Sequence[SectionText]) -> bool:
        written = tuple((section.name, without(section.text, edit.struck)) for section in sections)
        return house.desks.frame(edit, Frame(edit.number, step, written))

    try:
        plan = house.draftsman.plan(case, instances, house.drafting.order(case))
        if draft.sections:
            plan = replace(plan, template=Template(draft.template, draft.title, draft.sections))
        text = house.draftsman.redraft(Brief(plan, draft.images, (), draft.priors), desk, tell)
    except NotDraftable as reason:
        house.desks.refuse(edit, str(reason))
    else:
        if text is not None:
            house.desks.keep(edit, without_struck(text, edit.struck))


def accept(house: House, desk: Desk, by: str) -> Desk:
    """What stands on the desk is the case's next version, as a draft still, and goes to every destination.

    Raises:
        BadEdit: its gaps are being drafted, or images have come since whose draft is yet to be seen.
        StaleEdit: somebody else was faster.
        NotDraftable: the text cannot stand in a document.
    """
    edit, case = desk.edit, house.viewing.case(desk.edit.case_id)
    if desk.ending is Ending.DISCARDED:
        raise BadEdit("it has been discarded; undo takes it up again")
    if edit.text is None:
        raise BadEdit("the gaps are still being drafted; accept what comes of them")
    if case.state not in (CaseState.DRAFTED, CaseState.DELIVERED):
        raise BadEdit("images have come since; their draft is on its way: see it first")
    (begun_with,) = (each for each in house.viewing.drafts(case.id) if each.version == edit.version)
    made = replace(
        begun_with,
        version=case.version + 1,
        text=edit.text,
        doubtful=edit.text.doubtful(house.policy.floor),
        order=house.drafting.order(case),
        drafted_at=house.now(),
        seconds={},
        accepted_by=by,
        offered=False,
    )
    outgoing = house.documents.compose(case, made, house.drafting.instances(case.id))
    try:
        return house.desks.accept(edit, made, outgoing)
    except StaleWork as stale:
        raise StaleEdit("the case has changed since; look at it first") from stale
