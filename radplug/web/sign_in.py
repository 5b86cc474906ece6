"""Signing in and out: a name with its password, or a link that does so once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from radplug.web.tries import Tries
from radplug.web.who import COOKIE, Site, let_in
from radplug.web.words import pages

router = APIRouter(include_in_schema=False)


@router.get("/sign-in", response_class=HTMLResponse)
def ask(request: Request, to: str = "/") -> Response:
    return pages.TemplateResponse(request, "sign_in.html", {"to": _inside(to), "refused": ""})


@router.post("/sign-in", response_class=HTMLResponse)
def sign_in(
    request: Request,
    house: Site,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=1024)],
    to: Annotated[str, Form()] = "/",
) -> Response:
    tries: Tries = request.app.state.tries
    keys = (f"name {name}", f"address {request.client.host if request.client else ''}")
    if (seconds := tries.wait(*keys)) > 0:
        return _refused(request, to, f"too many attempts; try again in {seconds:.0f} seconds", 429)
    person = house.people.known(name, password)
    if person is None:
        tries.failed(*keys)
        house.audit_by("unknown").note("sign-in refused")
        return _refused(request, to, "the name or the password is wrong", 401)
    tries.forget(keys[0])
    response = RedirectResponse(_inside(to), 303)
    let_in(response, house, person)
    return response


@router.get("/sign-in/{secret}")
def by_link(secret: str, request: Request, house: Site) -> Response:
    person = house.people.redeem(secret, house.now())
    if person is None:
        return _refused(request, "/", "this link has been used, or is too old; ask for another", 401)
    response = RedirectResponse("/", 303)
    let_in(response, house, person)
    return response


@router.post("/sign-out")
def sign_out(request: Request, house: Site) -> Response:
    house.people.end(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(COOKIE)
    return response


def _refused(request: Request, to: str, why: str, status: int) -> Response:
    context = {"to": _inside(to), "refused": why}
    return pages.TemplateResponse(request, "sign_in.html", context, status_code=status)


def _inside(to: str) -> str:
    """A place on our own site; never another site's."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else "/"
