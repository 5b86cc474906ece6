"""Studies that come by STOW-RS (PS3.18 10.5): each instance goes the way of C-STORE, and only then is answered for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from dicom_io.dicomweb.incoming import BadBody, Incoming, TooLarge, WrongType, boundary_of
from dicom_io.dicomweb.sent import Sent
from dicom_io.dicomweb.store_answer import MEDIA_TYPE, Outcome, status_of, write_answer
from dicom_io.errors import NoSpace
from radplug import pipeline
from radplug.domain import Received
from radplug.people import Person, Right
from radplug.records.tokens import sender_of
from radplug.web.who import Site, known, require
from radplug.wiring import House

PATIENCE: Final = 60.0  # seconds that a sender may be silent in the middle of a body
COME_AGAIN: Final = {"Retry-After": "10"}
ACCEPTED: Final = ("*/*", "application/*", "application/json", MEDIA_TYPE)

router = APIRouter(prefix="/dicom-web", include_in_schema=False)
log = structlog.get_logger(__name__)


def senders(house: House) -> asyncio.Semaphore:
    """Places for as many requests as are taken at a time."""
    return asyncio.Semaphore(house.settings.stow.at_once)


def sender(request: Request, house: Site) -> Person:
    """Who sends. A study is many requests, so they are not counted as changes; how many go on at a time is bounded."""
    person = known(request, house)
    require(person, Right.STORE)
    return person


Sender = Annotated[Person, Depends(sender)]


@router.post("/studies")
async def store(request: Request, house: Site, person: Sender) -> Response:
    """Keep what the body brings: 200 where all of it is safe now, 202 where some is, 409 where none is."""
    return await _store(request, house, person, "")


@router.post("/studies/{study_uid}")
async def store_study(
    request: Request, house: Site, person: Sender, study_uid: Annotated[str, Path(pattern="^[0-9.]{1,64}$")]
) -> Response:
    """The same for instances of one study; those of others are refused."""
    return await _store(request, house, person, study_uid)


async def _store(request: Request, house: House, person: Person, study_uid: str) -> Response:
    _require_json(request)
    taken: Counter[Received] = Counter()
    name = sender_of(person.name.removeprefix("token:"))

    def keep(sent: Sent) -> None:
        received = pipeline.receive(house, sent.instance, sent.header, sent.data_set, name)
        taken[received] += 1
        log.info("received", instance=sent.instance.sop_instance_uid, as_=received, by=person.name)

    places: asyncio.Semaphore = request.app.state.senders
    if places.locked():
        raise HTTPException(503, "too many requests bring studies just now; try again", COME_AGAIN)
    async with places:
        incoming = _incoming(request, house, keep, study_uid, name)
        try:
            await _take(request, incoming, house.settings.stow.largest_request_mib << 20)
        finally:  # what came whole before a body broke off is kept
            incoming.close()
            outcomes = incoming.outcomes
            await asyncio.to_thread(_note, house, person, taken, outcomes)
    status = status_of(outcomes)
    return Response(write_answer(outcomes), status, COME_AGAIN if status == 503 else None, MEDIA_TYPE)


def _note(house: House, person: Person, taken: Counter[Received], outcomes: Sequence[Outcome]) -> None:
    about = {received.name.lower(): taken[received] for received in Received}
    refused = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    house.audit_by(person.name).note("received by STOW-RS", "", refused=len(refused), **about)
    if refused:
        log.warning("instances refused", by=person.name, reasons=sorted({f"0x{reason:04X}" for reason in refused}))


async def _take(request: Request, incoming: Incoming, most: int) -> None:
    """The whole body. Raises HTTPException where it is not one that can be taken."""
    try:
        async for piece in _pieces(request, most):
            await asyncio.to_thread(incoming.take, piece)
        incoming.finish()
    except BadBody as error:
        raise HTTPException(400, str(error)) from None
    except TooLarge as error:
        raise HTTPException(413, str(error)) from None
    except OSError as error:
        raise HTTPException(503, f"what comes cannot be spooled: {error.strerror}", COME_AGAIN) from None


def _require_json(request: Request) -> None:
    accepted = [one.partition(";")[0].strip().lower() for one in request.headers.get("accept", "*/*").split(",")]
    if not set(accepted) & set(ACCEPTED):
        raise HTTPException(406, f"the answer can be had as {MEDIA_TYPE} alone")


def _incoming(request: Request, house: House, keep: Callable[[Sent], None], study_uid: str, name: str) -> Incoming:
    """Raises HTTPException where nothing of the body can be taken."""
    try:
        boundary = boundary_of(request.headers.get("content-type", ""))
        house.store.require_space()
        largest = house.settings.stow.largest_instance_mib << 20
        return Incoming(
            boundary, house.store.root, keep, largest_instance=largest, study_uid=study_uid, source_ae_title=name
        )
    except WrongType as error:
        raise HTTPException(415, str(error)) from None
    except BadBody as error:
        raise HTTPException(400, str(error)) from None
    except NoSpace as error:
        raise HTTPException(503, str(error), COME_AGAIN) from None


async def _pieces(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises HTTPException where it is too long, stops coming, or is broken off."""
    stream, size = request.stream(), 0
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise HTTPException(408, f"nothing came for {PATIENCE:g} s") from None
        except ClientDisconnect:
            raise HTTPException(400, "the sender hung up") from None
        size += len(piece)
        if size > most:
            raise HTTPException(413, f"the body is longer than {most >> 20} MiB, the most that is taken")
        yield piece
