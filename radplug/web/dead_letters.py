"""Documents that did not arrive: why, and the way to send them again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from radplug.people import Right
from radplug.web.who import Acting, Site, needs
from radplug.web.words import pages

router = APIRouter(prefix="/dead-letters", include_in_schema=False)


@router.get("", response_class=HTMLResponse, dependencies=[Depends(needs(Right.CASES))])
def listed(request: Request, house: Site, person: Acting) -> Response:
    house.audit_by(person.name).note("dead letters viewed")
    context = {"person": person, "letters": house.viewing.dead_letters(), "resends": person.may(Right.DELIVERIES)}
    return pages.TemplateResponse(request, "dead_letters.html", context)


@router.post("/{case_id}", dependencies=[Depends(needs(Right.DELIVERIES))])
def resend(case_id: Annotated[str, Path(pattern="^[0-9a-f]{1,32}$")], house: Site, person: Acting) -> Response:
    """Put a case's dead letters back in the queue, as the same documents."""
    case = house.viewing.case(case_id)
    letters = house.delivering.resend(case.id, house.now())
    house.audit_by(person.name).note("resend asked for", case.id, letters=letters)
    return RedirectResponse("/dead-letters", 303)
