"""Signing in with the hospital's account: the browser goes to its OpenID provider, and comes back with a code."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from radplug.people import NotAdmitted
from radplug.web.provider import TIME_TO_SIGN_IN, NotBegun, Provider
from radplug.web.provider_answers import BadAnswer, ProviderAway
from radplug.web.rates import count_stranger
from radplug.web.sign_in import inside, refused
from radplug.web.who import Site, let_in
from radplug.wiring import House

COOKIE, PATH = "radplug-openid", "/openid"

log = structlog.get_logger(__name__)


def configured(request: Request) -> Provider:
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise HTTPException(404, "sign-in with the hospital's account is not set up here")
    return provider


router = APIRouter(prefix=PATH, include_in_schema=False, dependencies=[Depends(count_stranger)])
Configured = Annotated[Provider, Depends(configured)]
To = Annotated[str, Query(max_length=2000)]  # it travels in a cookie, of which browsers keep 4096 bytes


@router.get("/begin")
def begin(request: Request, house: Site, provider: Configured, to: To = "/") -> Response:
    try:
        address, sealed = provider.begin(inside(to), house.now())
    except (ProviderAway, BadAnswer) as error:
        return _failed(request, house, to, error)
    response = RedirectResponse(address, 303)
    response.set_cookie(
        COOKIE,
        sealed,
        path=PATH,
        max_age=int(TIME_TO_SIGN_IN.total_seconds()),
        httponly=True,
        samesite="lax",  # the provider's page is another site, and leads back here
        secure=house.settings.web.https,
    )
    return response


@router.get("/back")
def back(
    request: Request, house: Site, provider: Configured, code: str = "", state: str = "", error: str = ""
) -> Response:
    response = _ended(request, house, provider, code, state, error)
    response.delete_cookie(COOKIE, path=PATH)
    return response


def _ended(request: Request, house: House, provider: Provider, code: str, state: str, error: str) -> Response:
    if error == "access_denied":  # it changes nothing, so no state is asked for: some providers leave it out
        return refused(request, "/", "the sign-in was cancelled on the hospital's page", 401)
    now = house.now()
    try:
        begun = provider.begun(request.cookies.get(COOKIE, ""), state, now)
    except NotBegun:
        why = "this sign-in was not begun in this browser, or took too long; begin again"
        return refused(request, "/", why, 400)
    try:
        if error or not code:
            raise BadAnswer("it sent the browser back without a code")
        vouched = provider.end(begun, code, now)
    except (ProviderAway, BadAnswer) as reason:
        return _failed(request, house, begun.to, reason)
    try:
        person = provider.admitted(vouched)
    except NotAdmitted as reason:
        house.audit_by("unknown").note("sign-in refused", why=str(reason), subject=vouched.subject)
        return refused(request, begun.to, str(reason), 403)
    house.people.vouched_for(person, vouched.subject, now)
    response = RedirectResponse(begun.to, 303)
    let_in(response, house, person, vouched.id_token, subject=vouched.subject)
    return response


def _failed(request: Request, house: House, to: str, reason: ProviderAway | BadAnswer) -> Response:
    log.warning("sign-in with the hospital's account failed", why=str(reason))
    if isinstance(reason, ProviderAway):
        return refused(request, to, "the hospital's sign-in does not answer just now; try again, or tell IT", 503)
    house.audit_by("unknown").note("sign-in refused", why=str(reason))
    return refused(request, to, "the hospital's sign-in gave an answer that cannot be used; tell IT", 502)
