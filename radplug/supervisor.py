"""Runs every station of a site as child processes, starts again what dies, and stops all of them cleanly."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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

log = structlog.get_logger(__name__)


def stations(further: Collection[str] = ()) -> Mapping[str, Sequence[str]]:
    """Those of every site and `further` ones of FURTHER, each with the command that runs it."""
    return {**STATIONS, **{name: FURTHER[name] for name in further}}


class StationFailed(Exception):
    """A station cannot do its work here; the text says why."""


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    quick_deaths: int = 0
    restart_at: float | None = None


class Supervisor:
    """Keeps one process for each of `stations`, which reads the settings in `config` and the environment in `extra`."""

    def __init__(self, config: Path | None, extra: Mapping[str, str], stations: Mapping[str, Sequence[str]]) -> None:
        self._config = config
        self._stations = stations
        self._environment = {**os.environ, **extra}
        self._children: list[_Child] = []

    def start(self) -> None:
        self._children = [_Child(name, self._spawn(name)) for name in self._stations]

    def look(self) -> None:
        """Start again whatever has died: at once, or after a growing pause where it dies at every start."""
        for child in self._children:
            if child.process.poll() is None:
                continue
            now = time.monotonic()
            if child.restart_at is None:
                child.quick_deaths = child.quick_deaths + 1 if now - child.started < QUICK_DEATH else 0
                pause = min(2.0 ** (child.quick_deaths - 1), LONGEST_PAUSE) if child.quick_deaths else 0.0
                child.restart_at = now + pause
                log.warning("station died", died=child.name, status=child.process.returncode, again_in_seconds=pause)
            if now >= child.restart_at:
                child.process, child.started, child.restart_at = self._spawn(child.name), now, None

    def stop(self) -> None:
        """Ask every station to finish what it does, wait, and end what does not."""
        for child in self._children:
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("station did not stop in time", killed=child.name)
                child.process.kill()
                child.process.wait()

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        config = ["--config", str(self._config)] if self._config else []
        command = [sys.executable, "-m", "radplug.cli", *config, *self._stations[name]]
        # a session of its own: Ctrl-C reaches the supervisor alone, which stops the stations in good order
        return subprocess.Popen(command, env=self._environment, start_new_session=True, preexec_fn=end_with_parent)


def end_with_parent() -> None:
    """Ask Linux to terminate this process should its parent be killed outright (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
