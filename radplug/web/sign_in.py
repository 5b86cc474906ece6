"""Signing in and out: a name with its password, or a link that does so once; `openid.py` is the other way in."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from radplug.web.provider import Provider
from radplug.web.provider_answers import BadAnswer, ProviderAway
from radplug.web.rates import count_stranger
from radplug.web.tries import Tries
from radplug.web.who import COOKIE, Site, let_in
from radplug.web.words import pages
from radplug.wiring import House

log = structlog.get_logger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[Depends(count_stranger)])


@router.get("/sign-in", response_class=HTMLResponse)
def ask(request: Request, to: str = "/") -> Response:
    return _page(request, to)


@router.post("/sign-in", response_class=HTMLResponse)
def sign_in(
    request: Request,
    house: Site,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=1024)],
    to: Annotated[str, Form()] = "/",
) -> Response:
    if not _local(house):
        return refused(request, to, "accounts of radplug's own do not sign in here; take the hospital's", 403)
    tries: Tries = request.app.state.tries
    keys = (f"name {name}", f"address {request.client.host if request.client else ''}")
    if (seconds := tries.wait(*keys)) > 0:
        return refused(request, to, f"too many attempts; try again in {seconds:.0f} seconds", 429)
    person = house.people.known(name, password)
    if person is None:
        tries.failed(*keys)
        house.audit_by("unknown").note("sign-in refused")
        return refused(request, to, "the name or the password is wrong", 401)
    tries.forget(keys[0])
    response = RedirectResponse(inside(to), 303)
    let_in(response, house, person)
    return response


@router.get("/sign-in/{secret}")
def by_link(secret: str, request: Request, house: Site) -> Response:
    person = house.people.redeem(secret, house.now())
    if person is None:
        return refused(request, "/", "this link has been used, or is too old; ask for another", 401)
    response = RedirectResponse("/", 303)
    let_in(response, house, person)
    return response


@router.post("/sign-out")
def sign_out(request: Request, house: Site) -> Response:
    id_token = house.people.end(request.cookies.get(COOKIE, ""))
    elsewhere = _elsewhere(request.app.state.provider, id_token)
    if elsewhere:  # by a page: no redirect after a form may leave our own site (form-action)
        headers = {"Refresh": f"0; url={elsewhere}"}
        response: Response = pages.TemplateResponse(
            request, "signed_out.html", {"elsewhere": elsewhere}, headers=headers
        )
    else:
        response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(COOKIE)
    return response


def _elsewhere(provider: Provider | None, id_token: str | None) -> str | None:
    """Where the session at the hospital's provider ends that this one began with."""
    if provider is None or id_token is None:
        return None
    try:
        return provider.sign_out_at(id_token)
    except (ProviderAway, BadAnswer) as error:
        log.warning("the hospital's sign-in is not told that somebody signed out", why=str(error))
        return None


def refused(request: Request, to: str, why: str, status: int) -> Response:
    """The sign-in page again, with the reason."""
    return _page(request, to, why, status)


def _page(request: Request, to: str, why: str = "", status: int = 200) -> Response:
    house: House = request.app.state.house
    context = {
        "to": inside(to),
        "refused": why,
        "hospital": house.settings.web.openid is not None,
        "local": _local(house),
    }
    return pages.TemplateResponse(request, "sign_in.html", context, status_code=status)


def _local(house: House) -> bool:
    openid = house.settings.web.openid
    return openid is None or openid.local


def inside(to: str) -> str:
    """A place on our own site; never another site's."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else "/"
