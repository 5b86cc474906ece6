"""Rows that have moved, told to every open page: one look at the database serves all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError

from radplug.logs import told
from radplug.records.worklist import Moment
from radplug.web.who import LookingOn, Site, still_in
from radplug.wiring import House

LOOK_EVERY = 0.3  # seconds
STILL_THERE_EVERY = 15.0  # seconds; proxies close a connection that says nothing
STILL_THERE, OVER = ": still there\n\n", "event: over\ndata: 0\n\n"  # the latter where the session has ended

router = APIRouter(include_in_schema=False)
log = structlog.get_logger(__name__)


class Watch:
    """Counts how often the rows have moved, and wakes who waits for it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._moment: Moment | None = None
        self._count = 0
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            task.cancel()

    async def _look(self) -> None:
        while True:
            try:
                moment = await asyncio.to_thread(self._house.worklist.moment, self._house.now())
            except SQLAlchemyError as error:
                log.warning("the database cannot be looked at; trying again", **told(error))
            else:
                if moment != self._moment:
                    self._moment, self._count = moment, self._count + 1
                    self._moved.set()
                    self._moved = asyncio.Event()
            await asyncio.sleep(LOOK_EVERY)

    @property
    def count(self) -> int:
        return self._count

    async def moved(self, since: int) -> int:
        """The count, once it is another than `since`."""
        while self._count == since:
            await self._moved.wait()
        return self._count


class Stir:
    """Wakes who looks at a case from time to time, as soon as something has been done to one through this process."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()

    def done(self) -> None:
        """May be called from any thread."""
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._done.set()
        self._done = asyncio.Event()

    def next(self) -> asyncio.Event:
        """What will be set as soon as something is done. Take it before looking, and nothing is missed."""
        return self._done


async def until(event: asyncio.Event, seconds: float) -> None:
    """Wait for it, and no longer than this."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


@router.get("/changes")
def changes(request: Request, house: Site, person: LookingOn) -> StreamingResponse:
    """Server-sent events, `change` for each time that something has changed; it ends when the session does."""
    watch: Watch = request.app.state.watch

    async def events() -> AsyncIterator[str]:
        count = watch.count
        yield "event: change\ndata: 0\n\n"  # what the page was made from may be old by now
        while True:
            try:
                count = await asyncio.wait_for(watch.moved(count), STILL_THERE_EVERY)
            except TimeoutError:
                if not await still_in(request, house):
                    yield OVER
                    return
                yield STILL_THERE
            else:
                yield f"event: change\ndata: {count}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
