"""Runs every station of a site as child processes, starts again what dies, and stops all of them cleanly."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

import structlog

STATIONS: Mapping[str, Sequence[str]] = {
    "listener": ("listen",),
    "clock": ("clock",),
    "draft": ("work", "draft"),
    "delivery": ("work", "delivery"),
    "web": ("web",),
}
FURTHER: Mapping[str, Sequence[str]] = {  # of sites whose settings want them
    "hl7": ("hl7",),
    "ask": ("ask",),
    "fhircast": ("fhircast",),
}
LOOK_EVERY = 0.2  # seconds
QUICK_DEATH = 10.0  # seconds: a station that dies sooner after its start is not restarted at once
LONGEST_PAUSE = 30.0
STOP_SECONDS = 30.0
PARENT_DEATH_SIGNAL, NAME = 1, 15  # PR_SET_PDEATHSIG and PR_SET_NAME of prctl(2)

log = structlog.get_logger(__name__)


def stations(further: Collection[str] = ()) -> Mapping[str, Sequence[str]]:
    """Those of every site and `further` ones of FURTHER, each with the command that runs it."""
    return {**STATIONS, **{name: FURTHER[name] for name in further}}


class StationFailed(Exception):
    """A station cannot do its work here; the text says why."""


@dataclass
class _Child:
    name: str
    process: BaseProcess
    started: float = field(default_factory=time.monotonic)
    quick_deaths: int = 0
    restart_at: float | None = None


class Supervisor:
    """Keeps one process for each of `stations`: a fork of this one, which gives the station's command to `run`.

    What the stations share is so imported once, and one that died is back in a moment. Whoever calls `start` or `look`
    has no other thread and no connection to the database open: neither may cross a fork. The children's environment
    has what is in `extra` as well.
    """

    def __init__(
        self,
        stations: Mapping[str, Sequence[str]],
        run: Callable[[Sequence[str]], None],
        extra: Mapping[str, str],
    ) -> None:
        self._stations, self._run, self._extra = stations, run, extra
        self._children: list[_Child] = []

    def start(self) -> None:
        self._children = [_Child(name, self._spawn(name)) for name in self._stations]

    def look(self) -> None:
        """Start again whatever has died: at once, or after a growing pause where it dies at every start."""
        for child in self._children:
            if child.process.is_alive():
                continue
            now = time.monotonic()
            if child.restart_at is None:
                child.quick_deaths = child.quick_deaths + 1 if now - child.started < QUICK_DEATH else 0
                pause = min(2.0 ** (child.quick_deaths - 1), LONGEST_PAUSE) if child.quick_deaths else 0.0
                child.restart_at = now + pause
                log.warning("station died", died=child.name, status=child.process.exitcode, again_in_seconds=pause)
            if now >= child.restart_at:
                child.process, child.started, child.restart_at = self._spawn(child.name), now, None

    def stop(self) -> None:
        """Ask every station to finish what it does, wait, and end what does not."""
        for child in self._children:
            child.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children:
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.is_alive():
                log.warning("station did not stop in time", killed=child.name)
                child.process.kill()
                child.process.join()

    def _spawn(self, name: str) -> BaseProcess:
        process = multiprocessing.get_context("fork").Process(target=self._become, args=(name,), name=name)
        process.start()
        return process

    def _become(self, name: str) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # what the parent does on them is not the child's to do
        os.setsid()  # Ctrl-C reaches the supervisor alone, which stops the stations in good order
        end_with_parent()
        ctypes.CDLL(None).prctl(NAME, name.encode())
        os.environ.update(self._extra)
        self._run(self._stations[name])


def end_with_parent() -> None:
    """Ask Linux to terminate this process should its parent be killed outright."""
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)
