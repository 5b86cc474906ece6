"""How fast the worklist feels: from an edit to its first frame and to its text, and a page of 100,000 cases.

    python bench/worklist.py                       # a whole site of its own on this machine, the demo checkpoint
    python bench/worklist.py --edits 100 --cases 0

Edits go the page's own way: HTTP to the web station, the queue, the worker, and server-sent events back. What a
browser then takes to show a frame is not in it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa

from dicom_io.sending import Peer
from radplug.acceptance import synthetic_study
from radplug.acceptance.running_site import RunningSite, free_port
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.domain import CaseState
from radplug.people import Role
from radplug.records.schema import cases
from radplug.records.worklist import Sort, Wanted
from radplug.settings import Settings
from radplug.wiring import House

PHRASES = ("Small right pleural effusion.", "The heart is enlarged.", "No pneumothorax.", "Discussed by phone.")
SITE = """
[listener]
host = "127.0.0.1"
port = {port}
calling_ae_titles = ["PACS"]
[store]
data = {data}
keep_free_mib = 64
[assembly]
quiet_seconds = 0.5
[web]
port = 0
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=40)
    parser.add_argument("--cases", type=int, default=100_000)
    arguments = parser.parse_args()
    if arguments.edits:
        show("an edit, ms", edits(arguments.edits))
    if arguments.cases:
        show(f"a page of {arguments.cases:,} cases, ms (SQLite)", pages(arguments.cases))
    print(f"\n{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")


def show(title: str, found: dict[str, list[float]]) -> None:
    print(f"\n{title}\n{'':>28}       p50       p95   times")
    for name, seconds in found.items():
        ordered = sorted(seconds)
        p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
        print(f"{name:>28}  {1e3 * statistics.median(ordered):8.1f}  {1e3 * p95:8.1f}  {len(ordered):6}")


# ── edits ──


def edits(count: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        pacs = stack.enter_context(SimulatedPacs("PACS", root / "pacs"))
        toml = SITE.format(port=free_port(), data=json.dumps(str(root / "data")))
        site = stack.enter_context(RunningSite(root, toml))
        house = site.house
        study = synthetic_study.write(root / "study", 1_000_000_001, datetime.now(UTC))
        listener = site.settings.listener
        pacs.send_study(study.files, Peer(listener.ae_title, "127.0.0.1", listener.port), lambda done: None)
        while (case := house.viewing.case_of_study(study.study_uid)) is None or case.state is not CaseState.DELIVERED:
            time.sleep(0.05)
        house.people.add_without_password("bench", Role.RADIOLOGIST, house.now())
        link = house.people.link("bench", house.now() + timedelta(minutes=1))
        address = next(station.detail for station in house.stations.all() if station.name == "web")
        page = Page(address, link, case.id)
        found: dict[str, list[float]] = {"to the first frame": [], "to the text": []}
        for number in range(count):
            first, text = page.pin(PHRASES[number % len(PHRASES)])
            found["to the first frame"].append(first)
            found["to the text"].append(text)
            page.post("/undo", {})
            page.quiet()
        return found


class Page:
    """A page of one case that is open: what it asks, and what it is told."""

    def __init__(self, address: str, link: str, case_id: str) -> None:
        self._netloc, self._path = urlsplit(address).netloc, f"/api/v1/cases/{case_id}"
        signed = self._connection()
        signed.request("GET", f"/sign-in/{link}")
        self._cookie = (signed.getresponse().headers["Set-Cookie"] or "").partition(";")[0]
        self._told: queue.Queue[tuple[float, str]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._told.get(timeout=10)  # how things stand
        self._asking = self._connection()

    def pin(self, phrase: str) -> tuple[float, float]:
        """Seconds to the first frame, and to the text."""
        began = time.perf_counter()
        if not self.post("/anchors", {"section": "FINDINGS", "text": phrase})["drafting"]:
            raise RuntimeError("nothing is drafted")
        first = 0.0
        while True:
            at, kind = self._told.get(timeout=60)
            if kind == "frame" and not first:
                first = at - began
            if kind == "desk" and (first or not self._drafting()):
                return first or at - began, at - began

    def post(self, path: str, body: object) -> dict[str, object]:
        return self._ask("POST", path, json.dumps(body))

    def quiet(self) -> None:
        """Wait until the undone edit is told."""
        while True:
            if self._told.get(timeout=60)[1] == "desk":
                return

    def _drafting(self) -> bool:
        return bool(self._ask("GET", "/desk", None)["drafting"])

    def _ask(self, method: str, path: str, body: str | None) -> dict[str, object]:
        headers = {"Cookie": self._cookie, "Content-Type": "application/json"}
        self._asking.request(method, self._path + path, body, headers)
        answer = self._asking.getresponse()
        told: dict[str, object] = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {told}")
        return told

    def _listen(self) -> None:
        connection = self._connection()
        connection.request("GET", self._path + "/events", headers={"Cookie": self._cookie})
        for line in self._lines(connection.getresponse()):
            if line.startswith("event: "):
                self._told.put((time.perf_counter(), line.removeprefix("event: ")))

    def _lines(self, answer: http.client.HTTPResponse) -> Iterator[str]:
        while line := answer.readline():
            yield line.decode().rstrip()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._netloc, timeout=60)


# ── pages ──


def pages(count: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Settings(store={"data": Path(folder) / "data"}), "bench")
        house.database.migrate()
        fill(house, count)
        asked: dict[str, Callable[[], Wanted]] = {
            "the first page": Wanted,
            "the last page": lambda: Wanted(page=count // 50),
            "one state": lambda: Wanted(states=frozenset({CaseState.NOT_DRAFTED})),
            "searched by name": lambda: Wanted(text="müller 77"),
            "by patient": lambda: Wanted(sort=Sort.PATIENT),
        }
        found = {name: [timed(house, wanted()) for _ in range(10)] for name, wanted in asked.items()}
        moments = [time.perf_counter() for _ in range(1) if house.worklist.moment()]
        for _ in range(20):
            house.worklist.moment()
            moments.append(time.perf_counter())
        found["has anything moved"] = [after - before for before, after in pairwise(moments)]
        house.database.close()
        return found


def timed(house: House, wanted: Wanted) -> float:
    began = time.perf_counter()
    house.worklist.page(wanted, patients=True)
    return time.perf_counter() - began


def fill(house: House, count: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    states = (CaseState.DELIVERED,) * 18 + (CaseState.NOT_DRAFTED, CaseState.FAILED)
    rows = [
        {
            "id": f"{number:012x}",
            "study_uid": f"1.2.{number}",
            "state": states[number % len(states)],
            "priority": 0 if number % 50 == 0 else 2,
            "patient_name": f"{('Müller', 'Phantom', 'Li', 'Okafor')[number % 4]}^{number}",
            "patient_id": f"P{number}",
            "accession_number": f"A{number}",
            "modality": ("DX", "CT", "MR", "US")[number % 4],
            "first_received_at": start + timedelta(minutes=number),
            "last_received_at": start + timedelta(minutes=number),
            "hard_deadline_at": start,
        }
        for number in range(count)
    ]
    with house.database.writing() as connection:
        connection.execute(sa.insert(cases), rows)


if __name__ == "__main__":
    main()
