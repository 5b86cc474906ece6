"""What every answer carries, and what no request may do: security headers, and a guard against cross-site requests."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radplug.web.bearer import bearer

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",  # patients' data stays in no cache; static files say otherwise
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
WITH_HTTPS = {"Strict-Transport-Security": "max-age=31536000"}
WITH_MICROPHONE = {"Permissions-Policy": "microphone=(self), camera=(), geolocation=()"}


class Shield:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, *, https: bool, microphone: bool) -> None:
        self._app = app
        self._headers = HEADERS | (WITH_HTTPS if https else {}) | (WITH_MICROPHONE if microphone else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    given.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        by_cookie = scope["method"] not in SAFE_METHODS and bearer(headers) is None
        if by_cookie and not _from_our_own_page(headers):
            refused = PlainTextResponse("this request comes from another site and is refused", status_code=403)
            await refused(scope, receive, shielded)
            return
        await self._app(scope, receive, shielded)


def _from_our_own_page(headers: Headers) -> bool:
    """Browsers say where a request comes from (Fetch Metadata); one that says nothing is no browser's."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
