"""How a case is left: its draft accepted, thrown away, or left to somebody else; and taken out as plain text."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from radplug import pipeline
from radplug.clock import BellBroken
from radplug.desk import Desk, Ending, Flaw
from radplug.web.answers import REFUSALS, WHO, DeskAnswer
from radplug.web.api import Bell, Body, CaseId, done, on_desk, reads, steers
from radplug.web.who import Acting, Site

router = APIRouter(prefix="/api/v1/cases/{case}", tags=["ending"], responses=REFUSALS, dependencies=WHO)
NOT_REVIEWED = "AI draft, not reviewed"
ACCEPTED = "AI draft, accepted as a draft, not verified"


class Discard(Body):
    reason: Flaw


@router.post("/accept", dependencies=[steers])
def accept(case: CaseId, body: Body, request: Request, house: Site, person: Acting) -> DeskAnswer:
    """Let the text stand: it goes to every destination as a draft still, unverified, with who has accepted it."""
    desk = pipeline.accept(house, on_desk(house, case, body), person.name)
    bell: Bell | None = request.app.state.bell
    if bell:
        with suppress(BellBroken):  # the clock rings for it
            bell.deliver(case)
    return done(request, house, desk, person.name, "accepted the draft")


@router.post("/discard", dependencies=[steers])
def discard(case: CaseId, body: Discard, request: Request, house: Site, person: Acting) -> DeskAnswer:
    """Throw the draft away. What has been sent stays where it is, as an unreviewed draft."""
    desk = house.desks.discard(on_desk(house, case, body), body.reason, by=person.name, now=house.now())
    return done(request, house, desk, person.name, "discarded the draft")


@router.post("/take", dependencies=[steers])
def take(case: CaseId, body: Body, request: Request, house: Site, person: Acting) -> DeskAnswer:
    """Go on with the draft that late images have brought; what was pinned and struck before holds there too."""
    desk = house.desks.take(on_desk(house, case, body), by=person.name, now=house.now())
    return done(request, house, desk, person.name, "took the later draft")


@router.post("/return", dependencies=[steers], status_code=204)
def leave(case: CaseId, house: Site, person: Acting) -> None:
    """Leave the case to others, as it stands."""
    house.readers.leaves(case, person.name)
    house.audit_by(person.name).note("returned", case)


@router.get(
    "/text",
    dependencies=reads,
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def text(case: CaseId, house: Site, person: Acting) -> PlainTextResponse:
    """The report as plain text, under a line that says what it is."""
    desk = house.desks.of(case, house.now())
    house.audit_by(person.name).note("copied as text", case, edit=desk.edit.number)
    return PlainTextResponse(plain(desk))


def plain(desk: Desk) -> str:
    banner = ACCEPTED if desk.ending is Ending.ACCEPTED else NOT_REVIEWED
    sections = (f"{section.heading}\n{section.text}" for section in desk.shown.sections)
    return "\n\n".join((banner.upper(), *sections)) + "\n"
