"""Report templates for scripts and for the page: JSON under /api/v1/templates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import Field

from radplug.people import Right
from radplug.templates import InUse, TemplateFile, purpose
from radplug.templates.saved import check
from radplug.texts.difference import difference
from radplug.texts.history import History
from radplug.texts.reading import BadText
from radplug.web.answers import BIGGEST, REFUSALS, WHO
from radplug.web.texts import Written, text_of, versions_of
from radplug.web.who import Acting, LookingOn, Site, needs
from radplug.wiring import House

router = APIRouter(
    prefix="/api/v1/templates",
    tags=["templates"],
    responses=REFUSALS,
    dependencies=[*WHO, Depends(needs(Right.TEMPLATES))],
)


class ToCheck(Written):
    name: str | None = Field(None, max_length=64, description="What it must be called; left out: it is a new one")


class NewVersion(Written):
    on: int = Field(ge=0, le=BIGGEST, description="The newest version that its author has seen; 0: none")


def history(name: Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,63}$")], house: Site) -> History[TemplateFile]:
    file = next((file for file in house.template_files if file.template.name == name), None)
    found = History(name, file, house.saved_templates.versions(name))
    if not found.texts:
        raise HTTPException(404, f"there is no template {name}")
    return found


Past = Annotated[History[TemplateFile], Depends(history)]
OutOfUse = Annotated[bool, Query(description="The names of those that were taken out, instead")]


def names(house: House) -> set[str]:
    """Those that a new template cannot have."""
    files = {file.template.name for file in house.template_files}
    return files | {version.name for version in house.saved_templates.newest()}


@router.get("")
def all_in_use(house: Site, person: LookingOn, out_of_use: OutOfUse = False) -> list[dict[str, Any]]:
    """In the order in which they are asked."""
    house.audit_by(person.name).note("templates viewed")
    return [{"name": name} for name in sorted(gone(house))] if out_of_use else [told(one) for one in house.templates]


def gone(house: House) -> set[str]:
    return names(house) - {one.template.name for one in house.templates}


def told(one: InUse) -> dict[str, Any]:
    version = None if isinstance(one, TemplateFile) else one.version
    return {
        "name": one.template.name,
        "title": one.template.title.meaning,
        "for": purpose(one.template),
        "from": one.where,
        "ours": one.ours,
        "version": version.version if version else 0,
        "by": version.by if version else None,
        "at": version.at if version else None,
    }


@router.post("/check")
def checked(body: ToCheck, house: Site, person: LookingOn) -> dict[str, Any]:
    """What is wrong with a text, if anything; nothing is saved."""
    try:
        template = check(body.text, body.name, names(house))
    except BadText as error:
        return {"ok": False, "mistakes": [asdict(mistake) for mistake in error.mistakes]}
    sections = [section.name for section in template.sections]
    return {"ok": True, "name": template.name, "for": purpose(template), "sections": sections}


@router.post("", status_code=201)
def begin(body: Written, house: Site, person: Acting) -> dict[str, Any]:
    """Save a template of a new name."""
    name = check(body.text, None, names(house)).name
    return _saved(house, name, body.text, 0, person.name, "template made")


@router.get("/{name}")
def one(past: Past, house: Site, person: LookingOn) -> dict[str, Any]:
    """Its text that is in use, if any, and its versions; version 0 is the file's."""
    house.audit_by(person.name).note("template viewed", template=past.name, version=past.newest)
    return {
        "name": past.name,
        "version": past.in_use,
        "newest": past.newest,
        "text": None if past.in_use is None else past.texts[past.in_use],
        "file": past.file.where if past.file else None,
        "versions": versions_of(past),
    }


@router.put("/{name}")
def save(past: Past, body: NewVersion, house: Site, person: Acting) -> dict[str, Any]:
    """Save a new version, which counts at once."""
    check(body.text, past.name, ())
    return _saved(house, past.name, body.text, body.on, person.name, "template saved")


@router.delete("/{name}")
def take_out(past: Past, on: int, house: Site, person: Acting) -> dict[str, Any]:
    """Take what was saved here out of use; the file of that name, where there is one, counts again."""
    if past.in_use in (0, None):
        raise HTTPException(409, f"nothing that was saved here as {past.name} is in use")
    return _saved(house, past.name, None, on, person.name, "template taken out of use")


@router.get("/{name}/versions/{version}")
def version(past: Past, version: int, house: Site, person: LookingOn) -> dict[str, Any]:
    text = text_of(past, version)
    house.audit_by(person.name).note("template viewed", template=past.name, version=version)
    return {"name": past.name, "version": version, "text": text}


@router.get("/{name}/difference")
def between(past: Past, old: int, new: int, house: Site, person: LookingOn) -> list[dict[str, Any]]:
    """What became of the lines of the version `old`, in passages."""
    passages = difference(text_of(past, old), text_of(past, new))
    house.audit_by(person.name).note("template versions compared", template=past.name, old=old, new=new)
    return [asdict(passage) for passage in passages]


def _saved(house: House, name: str, text: str | None, on: int, by: str, event: str) -> dict[str, Any]:
    version = house.saved_templates.save(name, text, on=on, by=by, now=house.now())
    house.audit_by(by).note(event, template=name, version=version)
    return {"name": name, "version": version}
