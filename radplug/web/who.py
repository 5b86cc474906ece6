"""Who asks: the session behind a request's cookie, and what its person may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.responses import Response

from radplug.people import Person, Right, SessionLife
from radplug.wiring import House

COOKIE = "radplug"


class SignInNeeded(Exception):
    """Nobody is signed in, or no longer."""


def site(request: Request) -> House:
    house: House = request.app.state.house
    return house


Site = Annotated[House, Depends(site)]


def life(house: House) -> SessionLife:
    return house.settings.web.session_life


def looking_on(request: Request, house: Site) -> Person:
    """Who is signed in. It is no action of theirs: what a page fetches by itself keeps no session alive."""
    person = house.people.whose(request.cookies.get(COOKIE, ""), house.now(), life(house))
    if person is None:
        raise SignInNeeded
    return person


async def still_in(request: Request, house: House) -> bool:
    """Whether the session goes on that a request began in, for answers that go on without end."""
    secret = request.cookies.get(COOKIE, "")
    return await asyncio.to_thread(house.people.whose, secret, house.now(), life(house)) is not None


def acting(request: Request, house: Site, person: Annotated[Person, Depends(looking_on)]) -> Person:
    """Who is signed in and has just done something."""
    house.people.seen(request.cookies[COOKIE], house.now())
    return person


LookingOn = Annotated[Person, Depends(looking_on)]
Acting = Annotated[Person, Depends(acting)]


def needs(right: Right) -> Callable[[Person], None]:
    """A dependency that refuses whoever has not the right."""

    def check(person: LookingOn) -> None:
        if not person.may(right):
            raise HTTPException(403, f"the role {person.role} may not {right}")

    return check


def let_in(response: Response, house: House, person: Person, id_token: str | None = None, **detail: str) -> None:
    """Begin a session and give the browser its cookie."""
    now = house.now()
    house.people.end_old(now, life(house))
    house.audit_by(person.name).note("signed in", role=person.role, **detail)
    response.set_cookie(
        COOKIE,
        house.people.begin(person, now, id_token),
        max_age=int(life(house).at_most.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=house.settings.web.https,
    )
