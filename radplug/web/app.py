"""The rooms joined to one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from radplug import __version__
from radplug.desk import BadEdit, StaleEdit
from radplug.domain import NotDraftable, UnknownCase
from radplug.web import api, case, changes, dead_letters, endings, images, sign_in, versions, worklist
from radplug.web.api import Bell
from radplug.web.changes import Watch
from radplug.web.shield import Shield
from radplug.web.sign_in import Tries
from radplug.web.who import SignInNeeded
from radplug.web.words import pages
from radplug.wiring import House

STATIC = Path(__file__).parent / "static"


def create(house: House, bell: Bell | None = None) -> FastAPI:
    """The worklist of a site. Without a bell to ring, what is edited waits for the clock's."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.watch = Watch(house.worklist)
        async with app.state.watch.going():
            yield

    app = FastAPI(title="radplug", version=__version__, openapi_url=None, lifespan=lifespan)
    app.state.house, app.state.bell, app.state.tries = house, bell, Tries()
    app.add_middleware(Shield, https=house.settings.web.https, microphone=house.settings.web.speech)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for room in (sign_in, worklist, case, versions, images, dead_letters, changes, api, endings):
        app.include_router(room.router)
    app.include_router(versions.api)
    app.add_exception_handler(SignInNeeded, _to_sign_in)
    app.add_exception_handler(UnknownCase, _no_such_case)
    app.add_exception_handler(BadEdit, _refused)
    app.add_exception_handler(NotDraftable, _refused)
    app.add_exception_handler(StaleEdit, _refused)
    app.add_exception_handler(HTTPException, _in_words)
    return app


def _to_sign_in(request: Request, _: Exception) -> Response:
    if not _is_page(request):
        return JSONResponse({"detail": "sign in first"}, 401)
    to = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?to={quote(to)}", 303)


def _no_such_case(request: Request, _: Exception) -> Response:
    return _in_words(request, HTTPException(404, "there is no such case"))


def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 409 if isinstance(error, StaleEdit) else 422)


def _in_words(request: Request, error: Exception) -> Response:
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
    if not _is_page(request):
        return JSONResponse({"detail": detail}, status)
    context = {"status": status, "detail": detail}
    return pages.TemplateResponse(request, "error.html", context, status_code=status)


def _is_page(request: Request) -> bool:
    """Whether a person waits for a page, and not a page's own script for a part of it."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")
