"""The pages of report templates: all of them, one with its versions, the difference between two versions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from radplug.people import Person, Right
from radplug.templates import purpose
from radplug.templates.saved import check
from radplug.texts.difference import difference
from radplug.texts.reading import BadText
from radplug.web.templates_api import Past, ToCheck, gone, names, told
from radplug.web.texts import mistakes_of, text_of
from radplug.web.who import Acting, LookingOn, Site, needs
from radplug.web.words import pages
from radplug.wiring import House

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Right.TEMPLATES))])


@router.get("/templates", response_class=HTMLResponse)
def listed(request: Request, house: Site, person: Acting) -> Response:
    house.audit_by(person.name).note("templates viewed")
    context = {"person": person, "templates": [told(one) for one in house.templates], "gone": sorted(gone(house))}
    return pages.TemplateResponse(request, "templates.html", context)


@router.get("/new-template", response_class=HTMLResponse)
def new(request: Request, house: Site, person: Acting, like: str = "generic") -> Response:
    """An editor that begins with another template's text."""
    text = next((one.text for one in house.templates if one.template.name == like), None)
    if text is None:
        raise HTTPException(404, f"there is no template {like}")
    return _editor(request, house, person, text, None, {"past": None})


@router.get("/templates/{name}", response_class=HTMLResponse)
def one(past: Past, request: Request, house: Site, person: Acting, text: int | None = None) -> Response:
    """The editor, with the text that is in use, or that of the version `text`."""
    shown = text if text is not None else past.in_use if past.in_use is not None else max(past.texts)
    house.audit_by(person.name).note("template viewed", template=past.name, version=shown)
    return _editor(request, house, person, text_of(past, shown), past.name, {"past": past, "shown": shown})


@router.get("/templates/{name}/difference", response_class=HTMLResponse)
def between(past: Past, old: int, new: int, request: Request, house: Site, person: Acting) -> Response:
    passages = difference(text_of(past, old), text_of(past, new))
    house.audit_by(person.name).note("template versions compared", template=past.name, old=old, new=new)
    context = {"person": person, "past": past, "old": old, "new": new, "passages": passages}
    return pages.TemplateResponse(request, "template_difference.html", context)


@router.post("/templates/check", response_class=HTMLResponse)
def checked(body: ToCheck, request: Request, house: Site, person: LookingOn) -> Response:
    """What the page shows of a text beside the editor, while it is written."""
    return pages.TemplateResponse(request, "template_checked.html", _checked(house, body.text, body.name))


def _editor(
    request: Request, house: House, person: Person, text: str, name: str | None, context: dict[str, Any]
) -> Response:
    whole = {"person": person, "text": text, **context, **_checked(house, text, name)}
    return pages.TemplateResponse(request, "template.html", whole)


def _checked(house: House, text: str, name: str | None) -> dict[str, Any]:
    taken = names(house)
    try:
        template = check(text, name, taken)
    except BadText as error:
        return mistakes_of(error)
    return {"template": template, "purpose": purpose(template), "verdict": "This text can be used."}
