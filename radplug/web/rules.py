"""The page of the routing rules: the text in use, its versions, and what saving another would change."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from radplug.people import Right
from radplug.rules.saved import check
from radplug.texts.difference import difference
from radplug.texts.reading import BadText
from radplug.web.rules_api import Past, ToTry, tried
from radplug.web.texts import Written, mistakes_of, text_of
from radplug.web.who import Acting, LookingOn, Site, needs
from radplug.web.words import pages
from radplug.wiring import House

TO_TRY_ON = 30  # cases, the newest

router = APIRouter(prefix="/rules", include_in_schema=False, dependencies=[Depends(needs(Right.RULES))])


@router.get("", response_class=HTMLResponse)
def editor(past: Past, request: Request, house: Site, person: Acting, text: int | None = None) -> Response:
    """The editor, with the text that is in use, or that of the version `text`."""
    shown = past.in_use or 0 if text is None else text
    house.audit_by(person.name).note("rules viewed", version=shown)
    written = text_of(past, shown)
    context = {"person": person, "past": past, "shown": shown, "text": written, "cases": house.viewing.cases(TO_TRY_ON)}
    return pages.TemplateResponse(request, "rules.html", {**context, **_checked(house, written)})


@router.get("/difference", response_class=HTMLResponse)
def between(past: Past, old: int, new: int, request: Request, house: Site, person: Acting) -> Response:
    passages = difference(text_of(past, old), text_of(past, new))
    house.audit_by(person.name).note("rules compared", old=old, new=new)
    context = {"person": person, "old": old, "new": new, "passages": passages}
    return pages.TemplateResponse(request, "rules_difference.html", context)


@router.post("/check", response_class=HTMLResponse)
def checked(body: Written, request: Request, house: Site, person: LookingOn) -> Response:
    """What the page shows of a text beside the editor, while it is written."""
    return pages.TemplateResponse(request, "rules_checked.html", _checked(house, body.text))


@router.post("/try", response_class=HTMLResponse, dependencies=[Depends(needs(Right.CASES))])
def on_a_case(body: ToTry, request: Request, house: Site, person: LookingOn) -> Response:
    """What the rules of a text say to a case's study."""
    try:
        study, answers = tried(house, body, person.name)
    except BadText as error:
        return pages.TemplateResponse(request, "rules_tried.html", mistakes_of(error))
    context = {"study": study, "answers": answers, "taken": any(answer.takes for answer in answers)}
    return pages.TemplateResponse(request, "rules_tried.html", context)


def _checked(house: House, text: str) -> dict[str, Any]:
    try:
        rules = check(text, house.known_to_rules)
    except BadText as error:
        return mistakes_of(error)
    passages = difference(house.rules_text.text, text)
    return {"rules": rules, "passages": passages, "verdict": "This text can be used."}
