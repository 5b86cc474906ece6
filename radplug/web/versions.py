"""Every state that a case's report has had, and what differs between any two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from model_runtime.draft_text import SectionText
from radplug.differences import Change, difference
from radplug.people import Right
from radplug.web.answers import REFUSALS, WHO
from radplug.web.api import CaseId, reads
from radplug.web.who import Acting, Site, needs
from radplug.web.words import pages
from radplug.wiring import House

api = APIRouter(prefix="/api/v1/cases/{case}", tags=["versions"], responses=REFUSALS, dependencies=[*WHO, *reads])
router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Right.REPORTS))])
StateId = Annotated[str, Query(pattern="^(draft|edit)-[0-9]{1,6}$", description="draft-2 or edit-5")]


@dataclass(frozen=True, slots=True)
class State:
    """A draft as it came, or an edit of it."""

    id: str
    what: str
    by: str
    at: datetime
    sections: Sequence[SectionText]


class StateAnswer(BaseModel):
    id: str = Field(description="draft-2 or edit-5")
    what: str
    by: str
    at: datetime


class PieceAnswer(BaseModel):
    change: Change
    text: str


class DifferenceAnswer(BaseModel):
    """A section: all pieces but the new ones are the old text, all but the gone ones the new."""

    heading: str
    pieces: list[PieceAnswer]


def states(house: House, case_id: str) -> list[State]:
    """Oldest first. The edit that a desk begins with, and the one that accepts, are drafts themselves."""
    drafts = [
        State(f"draft-{d.version}", _what(d.version, d.accepted_by), d.accepted_by, d.drafted_at, d.text.sections)
        for d in house.viewing.drafts(case_id)
    ]
    edits = [
        State(f"edit-{e.number}", f"edit {e.number}, {e.what}", e.by, e.at, e.text.sections)
        for e in house.desks.edits(case_id)
        if e.text and e.number
    ]
    return sorted(drafts + edits, key=lambda state: state.at)


@api.get("/states")
def listed(case: CaseId, house: Site) -> list[StateAnswer]:
    """Every draft and every edit, oldest first."""
    return [StateAnswer(id=s.id, what=s.what, by=s.by, at=s.at) for s in states(house, case)]


@api.get("/difference")
def differing(case: CaseId, old: StateId, new: StateId, house: Site) -> list[DifferenceAnswer]:
    """What differs between two states, by section: words that are the same, gone or new."""
    found = states(house, case)
    return [
        DifferenceAnswer(
            heading=section.heading, pieces=[PieceAnswer(change=p.change, text=p.text) for p in section.pieces]
        )
        for section in difference(_of(found, old).sections, _of(found, new).sections)
    ]


@router.get("/cases/{case_id}/versions", response_class=HTMLResponse)
def page(
    case_id: Annotated[str, Path(pattern="^[0-9a-f]{1,32}$")],
    request: Request,
    house: Site,
    person: Acting,
    old: StateId | None = None,
    new: StateId | None = None,
) -> Response:
    case, found = house.viewing.case(case_id), states(house, case_id)
    house.audit_by(person.name).note("compared versions", case_id)
    chosen = (_of(found, old) if old else found[0], _of(found, new) if new else found[-1]) if found else None
    context = {
        "person": person,
        "patients": person.may(Right.PATIENTS),
        "case": case,
        "states": found,
        "chosen": chosen,
        "sections": difference(chosen[0].sections, chosen[1].sections) if chosen else (),
    }
    return pages.TemplateResponse(request, "versions.html", context)


def _of(found: Sequence[State], name: str) -> State:
    for state in found:
        if state.id == name:
            return state
    raise HTTPException(404, f"this case has no {name.replace('-', ' ')}")


def _what(version: int, accepted_by: str) -> str:
    return f"draft {version}, accepted" if accepted_by else f"draft {version}"
