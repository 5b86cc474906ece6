"""How fast the worklist feels: from an edit to its first frame and to its text, a stack, a page of 100,000 cases.

    python bench/worklist.py                       # a whole site of its own on this machine, the demo checkpoint
    python bench/worklist.py --edits 100 --cases 0 --slices 0 --device cuda --checkpoint /models/theirs

Edits go the page's own way: HTTP to the web station, the queue, the worker, and server-sent events back. What a
browser then takes to show a denoising frame is not in it. Images are timed in a real Chromium, from the key to the
animation frame after the drawing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import queue
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import sqlalchemy as sa
from pydicom import dcmread
from pydicom.uid import CTImageStorage

from dicom_io.sending import Peer
from dicom_io.uids import mint_uid
from radplug.acceptance import synthetic_study
from radplug.acceptance.running_site import RunningSite, free_port
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.domain import CaseState
from radplug.models import DEMO_CHECKPOINT
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
changes_per_minute = 1_000_000  # no person is so quick
[model]
device = "{device}"
checkpoint = {checkpoint}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=40)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where edits are drafted")
    parser.add_argument("--checkpoint", type=Path, default=DEMO_CHECKPOINT, help="with what")
    arguments = parser.parse_args()
    if arguments.edits:
        title = f"an edit, ms ({arguments.checkpoint.name} on {arguments.device})"
        show(title, edits(arguments.edits, arguments.device, arguments.checkpoint))
    if arguments.slices:
        show(f"an image on the screen, ms (Chromium, {arguments.slices} slices)", images(arguments.slices))
    if arguments.cases:
        show(f"a page of {arguments.cases:,} cases, ms (SQLite)", pages(arguments.cases))
    print(f"\n{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")


def show(title: str, found: dict[str, list[float]]) -> None:
    print(f"\n{title}\n{'':>28}       p50       p95   times")
    for name, seconds in found.items():
        ordered = sorted(seconds)
        p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
        print(f"{name:>28}  {1e3 * statistics.median(ordered):8.1f}  {1e3 * p95:8.1f}  {len(ordered):6}")


@contextmanager
def site_with(
    files: Callable[[Path], Sequence[Path]], device: str = "cpu", checkpoint: Path = DEMO_CHECKPOINT
) -> Iterator[tuple[str, str, str]]:
    """A running site that has drafted the study in `files(folder)`: its address, a link into it, and the case's id."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        pacs = stack.enter_context(SimulatedPacs("PACS", root / "pacs"))
        data, model = (json.dumps(str(path)) for path in (root / "data", checkpoint.absolute()))
        toml = SITE.format(port=free_port(), data=data, device=device, checkpoint=model)
        site = stack.enter_context(RunningSite(root, toml))
        house, listener = site.house, site.settings.listener
        study = files(root / "study")
        pacs.send_study(study, Peer(listener.ae_title, "127.0.0.1", listener.port), lambda done: None)
        ended = (CaseState.DELIVERED, CaseState.NOT_DRAFTED)
        while not (cases := house.viewing.cases()) or cases[0].state not in ended:
            time.sleep(0.05)
        house.people.add_without_password("bench", Role.RADIOLOGIST, house.now())
        link = house.people.link("bench", house.now() + timedelta(minutes=1))
        address = next(station.detail for station in house.stations.all() if station.name == "web")
        yield address, link, cases[0].id


# ── edits ──


def edits(count: int, device: str, checkpoint: Path) -> dict[str, list[float]]:
    def study(folder: Path) -> Sequence[Path]:
        return synthetic_study.write(folder, 1_000_000_001, datetime.now(UTC)).files

    with site_with(study, device, checkpoint) as place:
        page = Page(*place)
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


# ── images ──

NEXT = """async (key) => {
  const canvas = document.querySelector("#viewer canvas");
  const drawn = new Promise((done) => new MutationObserver((_, watch) => { watch.disconnect(); done(); })
    .observe(canvas, { attributeFilter: ["data-at"] }));
  const began = performance.now();
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key }));
  await drawn;
  await new Promise(requestAnimationFrame);
  return (performance.now() - began) / 1000;
}"""


def images(count: int) -> dict[str, list[float]]:
    """Slices of 512 x 512, scrolled one by one, and jumped to so that nothing was fetched ahead."""
    from playwright.sync_api import sync_playwright

    with site_with(partial(slices, count=count)) as (address, link, case_id), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/sign-in/{link}")
        found = {}
        for name, key in (("the next slice", "ArrowDown"), ("ten slices on", "PageDown")):
            page.goto(f"{address}/cases/{case_id}")
            page.get_by_label("Series").select_option(label=f"Thorax ({count})")
            page.locator(f"#viewer output:has-text('of {count}')").wait_for()
            presses = count - 1 if key == "ArrowDown" else (count - 1) // 10
            found[name] = [page.evaluate(NEXT, key) for _ in range(presses)]
        browser.close()
        return found


def slices(folder: Path, count: int) -> list[Path]:
    """A synthetic CT: noise, since nobody reads it."""
    (file,) = synthetic_study.write(folder, 1_000_000_001, datetime.now(UTC)).files
    image, noise = dcmread(file), np.random.default_rng(1)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.Modality, image.SeriesDescription, image.SeriesInstanceUID = "CT", "Thorax", mint_uid()
    image.Rows = image.Columns = 512
    image.RescaleIntercept, image.RescaleType, image.WindowCenter, image.WindowWidth = -1024, "HU", 40, 400
    files = []
    for number in range(1, count + 1):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = mint_uid()
        image.InstanceNumber = number
        image.PixelData = noise.integers(0, 2048, (512, 512), np.uint16).tobytes()
        files.append(folder / f"slice-{number}.dcm")
        image.save_as(files[-1])
    return files


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
        moments = [time.perf_counter() for _ in range(1) if house.worklist.moment(house.now())]
        for _ in range(20):
            house.worklist.moment(house.now())
            moments.append(time.perf_counter())
        found["has anything moved"] = [after - before for before, after in pairwise(moments)]
        house.database.close()
        return found


def timed(house: House, wanted: Wanted) -> float:
    began = time.perf_counter()
    house.worklist.page(wanted, house.now(), patients=True)
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
