"""What the page of a case does, and what a dictation system may do as well: JSON under /api/v1."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from radplug.clock import BellBroken
from radplug.desk import BadEdit, Desk, Edit, Phrase, Sign, StaleEdit, moved, names, pinned, unpinned
from radplug.domain import Dictation
from radplug.people import Right
from radplug.web.answers import BIGGEST, PRINTED, REFUSALS, WHO, CasePath, DeskAnswer, Kept, Number, desk_answer
from radplug.web.changes import OVER, STILL_THERE, STILL_THERE_EVERY, Stir, until
from radplug.web.dictated import case_to_be, keep, sent_once
from radplug.web.who import Acting, LookingOn, Site, needs, note_view, still_in
from radplug.wiring import House

LOOK_EVERY, IDLE = 0.04, 0.25  # seconds between two looks at a case: while its gaps are drafted, and else
OTHERS_EVERY = 2.0  # seconds between two looks at who else has the case open

router = APIRouter(prefix="/api/v1/cases/{case}", tags=["editing"], responses=REFUSALS, dependencies=WHO)
steers = Depends(needs(Right.STEER, Right.REPORTS))
Key = Annotated[
    str | None, Header(alias="Idempotency-Key", max_length=64, description="The same request sent again does nothing")
]


class Bell(Protocol):
    """Wakes the worker. Raises BellBroken where the queue cannot be reached."""

    def redraft(self, case_id: str) -> None: ...
    def deliver(self, case_id: str) -> None: ...


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    on: int | None = Field(
        None, ge=0, le=BIGGEST, description="The edit that this one is made on; left out: whatever is shown"
    )


class NewAnchor(Body):
    text: str = Field(min_length=1, max_length=10_000, description="Stands in the report byte for byte")
    section: str = Field("", max_length=64, pattern=PRINTED, description="Empty: the model chooses it")
    after: str | None = Field(
        None, max_length=64, description="The phrase that it follows; empty: the first place; left out: the last"
    )
    accepted: bool = Field(False, description="The model's own words, which are to stay")
    source: str = Field("typed", max_length=32, pattern=PRINTED, description="Typed, dictated, or a system's name")


class NewPlace(Body):
    section: str = Field(max_length=64, pattern=PRINTED)
    after: str | None = Field(None, max_length=64)


class Sentence(Body):
    text: str = Field(min_length=1, max_length=10_000, description="Of the model's, and not to come back")


def found(case: CasePath, house: Site) -> str:
    """The case's id."""
    return house.viewing.case_id(case)


CaseId = Annotated[str, Depends(found)]


def noted(case: CaseId, house: Site, person: LookingOn) -> None:
    note_view(house, person, case)


reads = [Depends(needs(Right.REPORTS)), Depends(noted)]


@router.get("/desk", dependencies=reads)
def desk(case: CaseId, house: Site, person: LookingOn) -> DeskAnswer:
    """The report as it is now, edited or not."""
    return desk_answer(house.desks.of(case, house.now()))


@router.post(
    "/anchors",
    response_model=DeskAnswer,
    dependencies=[Depends(needs(Right.STEER))],
    responses={202: {"model": Kept, "description": "Kept, and stands in the draft as soon as there is one"}},
)
def pin(
    case: CasePath,
    body: NewAnchor,
    request: Request,
    house: Site,
    person: Acting,
    key: Key = None,
) -> DeskAnswer | JSONResponse:
    """Pin a phrase; the gaps around it are drafted anew. One that comes before its study, or its draft, is kept."""
    once = sent_once(key, person, case, body.model_dump_json())
    known = case_to_be(house, case)
    if known is None or not known.version:
        if body.on is not None or body.after or body.accepted:
            raise BadEdit("there is no draft yet; leave out on, after and accepted")
        study = {"study_uid": known.study_uid} if known else {"accession_number": case}
        said = Dictation(body.section.strip().upper(), body.text, body.source, house.now(), **study)
        return JSONResponse(keep(house, known, said, person, once).model_dump(), 202)
    if once and (house.receiving.has_dictation(once) or house.desks.has(once)):  # it is sent again
        told = desk_answer(house.desks.of(known.id, house.now()))
    else:
        desk = on_desk(house, known.id, body)
        phrase = Phrase(secrets.token_hex(4), body.section, body.text, body.source, body.accepted)
        phrases = pinned(desk.edit.phrases, phrase, body.after, names(desk.shown.sections))
        what = "kept" if body.accepted else "pinned"
        told = _edited(request, house, desk, person.name, what, phrases, key=once)
    return told if person.may(Right.REPORTS) else told.without_text()


@router.delete("/anchors/{phrase}", dependencies=[steers])
def unpin(
    case: CaseId, phrase: str, request: Request, house: Site, person: Acting, on: Number | None = None
) -> DeskAnswer:
    """Take a phrase out; the gaps are drafted anew."""
    desk = on_desk(house, case, Body(on=on))
    return _edited(request, house, desk, person.name, "unpinned", unpinned(desk.edit.phrases, phrase))


@router.post("/anchors/{phrase}/move", dependencies=[steers])
def move(case: CaseId, phrase: str, body: NewPlace, request: Request, house: Site, person: Acting) -> DeskAnswer:
    """Put a phrase into another place, or another section."""
    desk = on_desk(house, case, body)
    sections = names(desk.shown.sections)
    phrases = moved(desk.edit.phrases, phrase, body.section, body.after, sections)
    return _edited(request, house, desk, person.name, "moved", phrases)


@router.post("/struck", dependencies=[steers])
def strike(case: CaseId, body: Sentence, request: Request, house: Site, person: Acting) -> DeskAnswer:
    """Strike a sentence of the model's; it does not come back."""
    desk = on_desk(house, case, body)
    return _edited(request, house, desk, person.name, "struck", desk.edit.phrases, struck=body.text.strip())


@router.post("/undo", dependencies=[steers])
def undo(case: CaseId, body: Body, request: Request, house: Site, person: Acting) -> DeskAnswer:
    """Go back to the edit before."""
    desk = on_desk(house, case, body)
    return _gone(request, house, desk, desk.undo, person.name, "undone")


@router.post("/redo", dependencies=[steers])
def redo(case: CaseId, body: Body, request: Request, house: Site, person: Acting) -> DeskAnswer:
    """Go forward again."""
    desk = on_desk(house, case, body)
    return _gone(request, house, desk, desk.redo, person.name, "redone")


@router.get(
    "/events",
    dependencies=reads,
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(case: CaseId, request: Request, house: Site, person: LookingOn) -> StreamingResponse:
    """Server-sent events: `frame` for how far the gaps are, `desk` when another state is shown or has got its text.

    `version` is the number of the case's latest draft, `state` the case's state, and `others` names who else has the
    case open; whoever listens has it open too.
    """

    def others() -> list[str]:
        house.readers.has_open(case, person.name, house.now())
        return list(house.readers.others(case, person.name, house.now()))

    stir: Stir = request.app.state.stir

    async def heard() -> AsyncIterator[str]:
        before: Sign | None = None
        here: list[str] | None = None
        told_at = asked_at = monotonic()
        while True:
            if here is None or monotonic() - asked_at >= OTHERS_EVERY:
                asked_at, known, here = monotonic(), here, await asyncio.to_thread(others)
                if here != known:
                    yield f"event: others\ndata: {json.dumps(here)}\n\n"
            stirred = stir.next()
            now = await asyncio.to_thread(house.desks.sign, case)
            if before is None or now.version != before.version:
                yield f"event: version\ndata: {now.version}\n\n"
            if before is None or now.state != before.state:
                yield f"event: state\ndata: {now.state}\n\n"
            if before is None or now[:4] != before[:4]:
                yield f"event: desk\ndata: {now.revision}\n\n"
            elif now.frame is not None and now != before:
                yield f"event: frame\ndata: {now.frame}\n\n"
            elif monotonic() - told_at > STILL_THERE_EVERY:
                if not await still_in(request, house):
                    yield OVER
                    return
                yield STILL_THERE
            else:
                await until(stirred, LOOK_EVERY if now.drafting else IDLE)
                continue
            before, told_at = now, monotonic()

    return StreamingResponse(heard(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def on_desk(house: House, case_id: str, body: Body) -> Desk:
    """Raises StaleEdit where the page shows another edit than the desk."""
    desk = house.desks.of(case_id, house.now())
    if body.on is not None and body.on != desk.edit.number:
        raise StaleEdit("somebody has edited this case since; look at it first")
    return desk


def _edited(
    request: Request,
    house: House,
    desk: Desk,
    by: str,
    what: str,
    phrases: tuple[Phrase, ...],
    *,
    struck: str | None = None,
    key: str | None = None,
) -> DeskAnswer:
    sentences = (*desk.edit.struck, struck) if struck else desk.edit.struck
    now = house.now()
    made = house.desks.add(desk.edit, phrases, sentences, by=by, what=what, now=now, key=key)
    return done(request, house, made, by, what)


def _gone(request: Request, house: House, desk: Desk, to: int | None, by: str, what: str) -> DeskAnswer:
    if to is None:
        raise BadEdit("there is nothing to be " + what)
    return done(request, house, house.desks.go(desk.edit, to, house.now()), by, what)


def done(request: Request, house: House, desk: Desk, by: str, what: str) -> DeskAnswer:
    """The answer to an edit, which stands in the audit, and whose worker is woken."""
    house.audit_by(by).note(what, desk.edit.case_id, edit=desk.edit.number)
    request.app.state.stir.done()
    bell: Bell | None = request.app.state.bell
    if bell and _waits(desk.edit):
        with suppress(BellBroken):  # the clock rings for it
            bell.redraft(desk.edit.case_id)
    return desk_answer(desk)


def _waits(edit: Edit) -> bool:
    return edit.text is None and not edit.refused
