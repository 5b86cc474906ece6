"""The worklist page, and its rows by themselves for a page that is open already."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import HTMLResponse, Response

from radplug.domain import CaseState, Priority
from radplug.people import Person, Right
from radplug.records.worklist import DEEPEST, Sort, Wanted
from radplug.web.answers import PRINTED
from radplug.web.who import Acting, LookingOn, Site, needs
from radplug.web.words import pages
from radplug.wiring import House

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Right.CASES))])


def wanted(
    state: Annotated[list[CaseState] | None, Query(description="Repeatable; left out: any")] = None,
    modality: Annotated[str, Query(max_length=16, pattern=PRINTED)] = "",
    q: Annotated[str, Query(max_length=200, pattern=PRINTED, description="Words, each of which must be found")] = "",
    sort: Sort = Sort.PRIORITY,
    page: Annotated[int, Query(ge=1, le=DEEPEST)] = 1,
) -> Wanted:
    return Wanted(frozenset(state or ()), modality, q, sort, page)


Asked = Annotated[Wanted, Depends(wanted)]
Searched = Annotated[str | None, Header()]


@router.get("/", response_class=HTMLResponse)
def whole(request: Request, house: Site, person: Acting, asked: Asked) -> Response:
    house.audit_by(person.name).note("worklist viewed")
    return pages.TemplateResponse(request, "worklist.html", _context(house, person, asked, request))


@router.get("/rows", response_class=HTMLResponse)
def rows(request: Request, house: Site, person: LookingOn, asked: Asked, x_searched: Searched = None) -> Response:
    if x_searched:  # else the page looks again by itself
        house.audit_by(person.name).note("worklist searched")
    return pages.TemplateResponse(request, "rows.html", _context(house, person, asked, request))


def _context(house: House, person: Person, asked: Wanted, request: Request) -> dict[str, Any]:
    return {
        "person": person,
        "patients": person.may(Right.PATIENTS),
        "reports": person.may(Right.REPORTS),
        "asked": asked,
        "page": house.worklist.page(asked, house.now(), patients=person.may(Right.PATIENTS)),
        "states": CaseState,
        "sorts": Sort,
        "stat": Priority.STAT,
        "urgent": Priority.URGENT,
        "others": urlencode([(key, value) for key, value in request.query_params.multi_items() if key != "page"]),
    }
