"""`radplug demo --serve`, as a stranger runs it: a link that signs in once, and an end that leaves nothing behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from browsers import Client

from radplug.supervisor import STATIONS


def test_it_prints_a_link_that_signs_in_once_and_ends_with_its_children(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "radplug.cli", "demo", "--serve", "--data", str(tmp_path)]
    with (tmp_path / "errors").open("wb") as errors:
        served = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert served.stdout
        found = (re.search(r"https?://\S+/sign-in/\S+", line) for line in served.stdout)
        link = urlsplit(next((match[0] for match in found if match), ""))
        assert link.path, (tmp_path / "errors").read_text()
        address = f"{link.scheme}://{link.netloc}"
        first, second = Client(address), Client(address)
        assert (first.get(link.path).status, first.get("/").status) == (303, 200)
        refused = second.get(link.path)
        assert (refused.status, second.get("/").status) == (401, 303)
        assert "this link has been used" in refused.text
        begun = children(served.pid)
        assert len(begun) > len(STATIONS)  # besides them, `radplug up` and its Redis
        served.send_signal(signal.SIGTERM)
        assert served.wait(60) == 0
        assert begun & running().keys() == set()
    finally:
        served.terminate()
        served.communicate(timeout=60)


def running() -> dict[int, int]:
    """The parent of each process, by id."""
    listed = subprocess.run(["/bin/ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def children(pid: int) -> set[int]:
    """And theirs."""
    own = {child for child, parent in running().items() if parent == pid}
    return own.union(*map(children, own))
