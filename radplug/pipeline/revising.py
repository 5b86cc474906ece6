"""A report that somebody has in hand was sent for a patient whose data have changed: its text goes out anew."""

from __future__ import annotations

from dataclasses import replace

from radplug.domain import NotDraftable, Outdated, StaleWork
from radplug.parts import House


def revise(house: House, outdated: Outdated) -> None:
    """What was sent last becomes the case's next version, and goes to every destination with its predecessor.

    Nothing is taken out of anybody's hands: what they accept later follows upon it.
    """
    case = house.viewing.case(outdated.case_id)
    *_, sent = (draft for draft in house.viewing.drafts(case.id) if not draft.offered)
    made = replace(
        sent,
        version=case.version + 1,
        order=house.drafting.order(case),
        drafted_at=house.now(),
        seconds={},
        revises=sent.version,
    )
    try:
        outgoing = house.documents.compose(case, made, house.drafting.instances(case.id))
    except NotDraftable as reason:
        house.revising.leave(outdated)
        house.audit.note("report not revised", case.id, reason=str(reason))
        return
    try:
        house.revising.keep(outdated, made, outgoing)
    except StaleWork:
        return  # it moved on just now: it stays due
    house.audit.note("report revised", case.id, version=made.version, revises=made.revises)
