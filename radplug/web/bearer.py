"""The token that a request carries instead of a cookie: `Authorization: Bearer …`."""

from __future__ import annotations

from fastapi import HTTPException, Request
from starlette.datastructures import Headers

from radplug.web.tries import Tries
from radplug.wiring import House


def bearer(headers: Headers) -> str | None:
    """The token; None where the header is absent or of another kind. No page can make a browser send one elsewhere."""
    kind, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else None


def wrong(request: Request, house: House) -> None:
    """Note that a request's token is wrong; who sends many is told to wait, and fills neither audit trail nor our time.

    A right token never waits: it cannot be guessed, and many programs may come through one proxy's address.
    """
    tries: Tries = request.app.state.tries
    address = f"tokens from {request.client.host if request.client else ''}"
    if (seconds := tries.wait(address)) > 0:
        again = {"Retry-After": str(int(seconds) + 1)}
        raise HTTPException(429, f"too many wrong tokens; try again in {seconds:.0f} seconds", again)
    tries.failed(address)
    house.audit_by("unknown").note("token refused")
