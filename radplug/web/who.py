"""Who asks: the session behind a request's cookie, or the token that it carries, and what either may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.responses import Response

from radplug.people import Person, Right, SessionLife
from radplug.web.bearer import bearer, wrong
from radplug.web.rates import count_change, count_stranger
from radplug.web.shield import SAFE_METHODS
from radplug.wiring import House

COOKIE = "radplug"
ONE_VIEW = timedelta(minutes=5)


class SignInNeeded(Exception):
    """Nobody is signed in, or no longer; or the token is wrong, or has ended."""


def site(request: Request) -> House:
    house: House = request.app.state.house
    return house


Site = Annotated[House, Depends(site)]


def life(house: House) -> SessionLife:
    return house.settings.web.session_life


def known(request: Request, house: Site) -> Person:
    """Who asks. Raises SignInNeeded."""
    person = _who(request, house)
    if person is None:
        count_stranger(request)
        if bearer(request.headers) is not None:
            wrong(request, house)
        raise SignInNeeded
    return person


def looking_on(request: Request, house: Site) -> Person:
    """Who asks. It is no action of theirs: what a page fetches by itself keeps no session alive."""
    person = known(request, house)
    if request.method not in SAFE_METHODS:  # images and what a page listens to are as many as they are
        count_change(request, person.name)
    return person


async def still_in(request: Request, house: House) -> bool:
    """Whether the session or token still lives that a request began with, for answers that go on without end."""
    return await asyncio.to_thread(_who, request, house) is not None


def _who(request: Request, house: House) -> Person | None:
    """A request with a token stands for the token alone, whatever its cookies."""
    if (token := bearer(request.headers)) is not None:
        return house.tokens.whose(token, house.now())
    return house.people.whose(request.cookies.get(COOKIE, ""), house.now(), life(house))


def acting(request: Request, house: Site, person: Annotated[Person, Depends(looking_on)]) -> Person:
    """Who asks, and has just done something."""
    if not person.is_token:
        house.people.seen(request.cookies[COOKIE], house.now())
    return person


LookingOn = Annotated[Person, Depends(looking_on)]
Acting = Annotated[Person, Depends(acting)]


def needs(*rights: Right) -> Callable[[Person], None]:
    """A dependency that refuses whoever lacks one of the rights."""

    def check(person: LookingOn) -> None:
        for right in rights:
            require(person, right)

    return check


def require(person: Person, right: Right) -> None:
    """Raises HTTPException where somebody lacks the right."""
    if not person.may(right):
        who = f"the role {person.role}" if person.role else f"a token without the scope {right.name.lower()}"
        raise HTTPException(403, f"{who} may not {right}")


def note_view(house: House, person: Person, case_id: str) -> None:
    """Note that somebody reads a case; what they fetch of it within some minutes is one view."""
    if not house.viewing.has_viewed(case_id, person.name, house.now() - ONE_VIEW):
        house.audit_by(person.name).note("viewed", case_id)


def let_in(response: Response, house: House, person: Person, id_token: str | None = None, **detail: str) -> None:
    """Begin a session and give the browser its cookie."""
    now = house.now()
    house.people.end_old(now, life(house))
    house.audit_by(person.name).note("signed in", role=str(person.role), **detail)
    response.set_cookie(
        COOKIE,
        house.people.begin(person, now, id_token),
        max_age=int(life(house).at_most.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=house.settings.web.https,
    )
