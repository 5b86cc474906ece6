"""A whole radplug site on this machine: `radplug up` as a process of its own, from a settings file like any site's."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from radplug import settings
from radplug.acceptance.simulated_pacs import ReceivingPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.supervisor import stations
from radplug.wiring import House

START_SECONDS = 120.0


class SiteFailed(Exception):
    """The stations did not start; the text says where they tell why."""


def settings_toml(
    root: Path,
    destinations: str,
    *,
    callers: Collection[str],
    quiet_seconds: float = 0.5,
    of_listener: str = "",
    sections: str = "",
) -> str:
    """Settings of a site under `root`, on free ports of this machine; those of `sections` as well."""
    return f"""
[listener]
host = "127.0.0.1"
port = {free_port()}
calling_ae_titles = {json.dumps(sorted(callers))}
{of_listener}
[store]
data = {json.dumps(str(root / "data"))}
keep_free_mib = 64
[assembly]
quiet_seconds = {quiet_seconds}
[web]
port = 0
{sections}
{destinations}
"""


def destinations_toml(pacs: ReceivingPacs, ris: SimulatedRis) -> str:
    """Where such a site's drafts go; what is written behind it is of the reporting system."""
    return f"""{pacs_toml("pacs", pacs)}
[[reporting]]
name = "ris"
host = "127.0.0.1"
port = {ris.port}
processing_id = "T"
"""


def pacs_toml(name: str, pacs: ReceivingPacs) -> str:
    """A PACS on this machine; what is written behind it is of this PACS."""
    return f"""
[[pacs]]
name = "{name}"
ae_title = "{pacs.ae_title}"
host = "127.0.0.1"
port = {pacs.port}
"""


class RunningSite:
    """The site whose settings are `toml`, kept under `root`: radplug.toml, radplug.log, and what the settings say.

    Started when the block begins, stopped as by Ctrl-C when it ends. `house` looks at its rows.
    """

    def __init__(self, root: Path, toml: str, progress: Callable[[int], None] = lambda ready: None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.file, self._log = root / "radplug.toml", root / "radplug.log"
        self.file.write_text(toml, encoding="utf-8")
        self._progress = progress
        self.settings = settings.load(self.file)
        self.house = House(self.settings, "onlooker")

    def __enter__(self) -> Self:
        self._up = start_radplug(self._log, "--config", str(self.file), "up")
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> int:
        """As by Ctrl-C; the exit status of `radplug up`. Does nothing to a site that has stopped."""
        if self._up.poll() is None:
            self._up.send_signal(signal.SIGINT)
        status = self._up.wait()
        self.house.database.close()
        return status

    def pid(self, station: str) -> int:
        """Of a station that is ready; 0 for one that is not."""
        found = (s.pid for s in self.house.stations.all() if s.name == station and s.ready_at)
        return next(found, 0)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        wanted = len(stations(self.settings.further_stations))
        while (ready := self._ready()) < wanted:
            if self._up.poll() is not None or time.monotonic() > deadline:
                raise SiteFailed(f"the stations did not start; {self._log} tells why")
            self._progress(ready)
            time.sleep(0.05)
        self._progress(ready)

    def _ready(self) -> int:
        """How many stations are ready; none before `radplug up` has made the schema."""
        if not self.house.database.is_current():
            return 0
        return sum(station.ready_at is not None for station in self.house.stations.all())


def start_radplug(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The `radplug` command, whose output is appended to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen([sys.executable, "-m", "radplug.cli", *arguments], stdout=output, stderr=output)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
