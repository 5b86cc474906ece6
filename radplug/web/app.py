"""The rooms joined to one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from model_runtime.errors import UnusableAdapter
from radplug import __version__
from radplug.desk import BadEdit, StaleEdit
from radplug.domain import NotDraftable, SeveralCases, UnknownCase
from radplug.records.texts import StaleText
from radplug.texts.reading import UnusableText
from radplug.web import (
    api,
    api_cases,
    api_page,
    case,
    changes,
    dead_letters,
    endings,
    images,
    insight,
    openid,
    rules,
    rules_api,
    sign_in,
    stow,
    templates,
    templates_api,
    versions,
    worklist,
)
from radplug.web.api import Bell
from radplug.web.changes import Stir, Watch
from radplug.web.provider import Provider
from radplug.web.rates import Rate
from radplug.web.shield import Shield
from radplug.web.tries import Tries
from radplug.web.who import SignInNeeded
from radplug.web.words import pages
from radplug.wiring import House

STATIC = Path(__file__).parent / "static"


def create(house: House, bell: Bell | None = None) -> FastAPI:
    """The worklist of a site. Without a bell to ring, what is edited waits for the clock's."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.watch, app.state.stir = Watch(house), Stir()
        async with app.state.watch.going():
            yield

    app = FastAPI(
        title="radplug",
        version=__version__,
        openapi_url=api_page.ADDRESS,
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.house, app.state.bell, app.state.tries = house, bell, Tries()
    settings = house.settings.web
    app.state.changes_rate, app.state.strangers_rate = (
        Rate(settings.changes_per_minute),
        Rate(settings.strangers_per_minute),
    )
    app.state.senders = stow.senders(house)
    app.state.provider = Provider(settings.openid) if settings.openid else None
    app.add_middleware(Shield, https=settings.https, microphone=settings.speech)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    pages_of = (sign_in, openid, worklist, case, versions, insight, templates, images, dead_letters, changes, api_page)
    for room in (*pages_of, rules, api_cases, api, endings, templates_api, rules_api, stow):
        app.include_router(room.router)
    app.include_router(versions.api)
    app.include_router(insight.api)
    app.add_exception_handler(SignInNeeded, _to_sign_in)
    app.add_exception_handler(UnknownCase, _no_such_case)
    app.add_exception_handler(BadEdit, _refused)
    app.add_exception_handler(NotDraftable, _refused)
    app.add_exception_handler(StaleEdit, _refused)
    app.add_exception_handler(SeveralCases, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(StaleText, _refused)
    app.add_exception_handler(UnusableText, _unusable)
    app.add_exception_handler(UnusableAdapter, _unusable)
    app.add_exception_handler(HTTPException, _in_words)
    return app


def _to_sign_in(request: Request, _: Exception) -> Response:
    if not _is_page(request):
        return JSONResponse({"detail": "sign in first"}, 401, {"WWW-Authenticate": "Bearer"})
    to = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?to={quote(to)}", 303)


def _no_such_case(request: Request, _: Exception) -> Response:
    return _in_words(request, HTTPException(404, "there is no such case"))


def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 422 if isinstance(error, BadEdit) else 409)


def _not_understood(request: Request, error: Exception) -> Response:
    """What is wrong and where, without what was given: that may be a patient's, or no text at all."""
    assert isinstance(error, RequestValidationError)
    faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    detail = "; ".join(faults).encode("utf-8", "backslashreplace").decode()
    return _in_words(request, HTTPException(422, detail))


def _unusable(request: Request, error: Exception) -> Response:
    return _in_words(request, HTTPException(422, str(error)))


def _in_words(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status, detail, headers = error.status_code, error.detail, error.headers
    if not _is_page(request):
        return JSONResponse({"detail": detail}, status, headers)
    context = {"status": status, "detail": detail}
    return pages.TemplateResponse(request, "error.html", context, status_code=status, headers=headers)


def _is_page(request: Request) -> bool:
    """Whether a person waits for a page, and not a page's own script for a part of it."""
    for_people = not request.url.path.startswith("/api/")
    return for_people and request.method == "GET" and "text/html" in request.headers.get("accept", "")
