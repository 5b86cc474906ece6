"""`radplug` as processes of their own, forked from one that has imported what a site needs: torch is loaded once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    [
        *("radplug.cli", "radplug.stations", "radplug.draftsman", "radplug.key_images", "radplug.documents"),
        *("radplug.destinations", "radplug.web.serving"),
    ]
)


class Radplug:
    """As subprocess.Popen has it, as far as tests ask."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._process = FORKING.Process(target=_run, args=(str(log), arguments, dict(os.environ)))
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self.pid
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"radplug has not ended within {timeout} seconds")
        return self._process.exitcode


def _run(log: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    from radplug import cli

    os.environ.clear()
    os.environ.update(environment)

    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = ["radplug", *arguments]
    cli.main()
