"""Real peers, found or skipped with the reason, and ways to wait for them."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED_DICOM = ROOT.parent / "shared" / "dicom"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(
    what: Callable[[], object], seconds: float = 10, about: str | Callable[[], str] = "what is waited for"
) -> None:
    """Poll until `what` is true; fail with `about` (as it is told then) when it is not so in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {about() if callable(about) else about}")
        time.sleep(0.02)


def tool(name: str) -> str:
    """The path of a program from `make peers`; skips the test where it is absent."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if not found:
        pytest.skip(f"{name} is not installed: make peers")
    return found
