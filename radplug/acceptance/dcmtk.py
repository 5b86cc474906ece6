"""DCMTK's tools as the kit's peers, so that not only our own code speaks with radplug."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dicom_io.errors import DicomError, Rejected, Unavailable
from dicom_io.sending import Peer, echo
from radplug.acceptance.running_site import free_port

WITHOUT_NAGLE = ("env", "TCP_NODELAY=1")  # else a sender waits for delayed acknowledgements
START_SECONDS = 10.0


class NoTool(Exception):
    """A tool is not installed; the text says which."""


@dataclass(frozen=True, slots=True)
class Senders:
    """echoscu and storescu. Raises NoTool where they are not installed."""

    echoscu: str
    storescu: str

    @classmethod
    def find(cls) -> Self:
        return cls(_tool("echoscu"), _tool("storescu"))

    def echo(self, to: Peer, calling_ae: str) -> None:
        """Raises Rejected, Unavailable."""
        done = self._run(self.echoscu, to, calling_ae, ())
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"echoscu ended with {done.returncode}"
            raise (Rejected if "Association Rejected" in said else Unavailable)(said)

    def store(self, files: Sequence[Path], to: Peer, calling_ae: str) -> list[str]:
        """One outcome for all, empty for success: storescu stops at the first that is refused."""
        done = self._run(self.storescu, to, calling_ae, files)
        said = " ".join(done.stderr.split()) or f"storescu ended with {done.returncode}"
        return [said if done.returncode else ""] * len(files)

    def _run(self, tool: str, to: Peer, calling_ae: str, files: Sequence[Path]) -> subprocess.CompletedProcess[str]:
        ends = ["-aet", calling_ae, "-aec", to.ae_title, to.host, str(to.port)]
        command = [*WITHOUT_NAGLE, tool, *ends, *map(str, files)]
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


class Storescp:
    """A PACS that is DCMTK's storescp: takes SRs on `port` (0: a free one), each as it came, under `folder`.

    Raises NoTool where it is not installed.
    """

    def __init__(self, ae_title: str, folder: Path, port: int = 0) -> None:
        self.ae_title = ae_title
        self.port = port or free_port()
        self._folder = folder
        self._tool = _tool("storescp")
        self._process: subprocess.Popen[bytes]

    @property
    def received(self) -> tuple[Path, ...]:
        return tuple(sorted(self._folder.iterdir(), key=lambda file: file.stat().st_mtime_ns))

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within the block nobody listens there."""
        self._stop()
        try:
            yield
        finally:
            self._start()

    def _start(self) -> None:
        as_it_came = ["--bit-preserving", "--unique-filenames"]
        where = ["-aet", self.ae_title, "-od", str(self._folder), str(self.port)]
        command = [*WITHOUT_NAGLE, self._tool, *as_it_came, *where]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                return echo(Peer(self.ae_title, "127.0.0.1", self.port), calling_ae="KIT", timeout=1)
            except DicomError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._stop()


def _tool(name: str) -> str:
    if found := shutil.which(name):
        return found
    raise NoTool(f"--peer-tools wants DCMTK's {name}, and there is none on the PATH (Debian: dcmtk)")
