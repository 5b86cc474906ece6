"""The README's pictures, made from a real run of the demo and a real Chromium:  python docs/pictures.py"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from pydicom import dcmread
from rich.console import Console

from dicom_io.sending import Peer
from hl7.acknowledgement import acknowledge
from hl7.listener import Listener
from hl7.message import Message
from radplug import demo
from radplug.acceptance import synthetic_study
from radplug.acceptance.running_site import RunningSite, free_port
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.domain import CaseState, Dictation
from radplug.people import Role
from radplug.wiring import House

IMAGES = Path(__file__).parent / "images"
CHROMIUM = shutil.which("chromium")
STUDIES = (
    ("Phantom^Ada", "CHEST", "R"),
    ("Müller-Phantom^Jürgen", "CHEST", "R"),
    ("Phantom^Hand", "HAND", "R"),
    ("Phantom^Li", "CHEST", "A"),
    ("Phantom^Demo", "CHEST", "S"),
)
SITE = """
[listener]
host = "127.0.0.1"
port = {listener}
calling_ae_titles = ["PACS"]
[store]
data = "{data}"
keep_free_mib = 64
[assembly]
quiet_seconds = 0.5
[web]
port = 0
[[pacs]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs}
[[reporting]]
name = "ris"
host = "127.0.0.1"
port = {ris}
"""
RULES = """\
[[rule]]
name = "from the archive's migration"
when.older_than_days = 30
draft = false
reason = "older than 30 days: it comes from the migration"

[[rule]]
name = "chest radiographs"
when.modalities = ["DX", "CR"]
when.body_parts = ["CHEST"]
template = "chest-radiograph"

[[rule]]
name = "hands"
when.body_parts = ["HAND"]
draft = false
reason = "hands are read without a draft here"
"""


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        of_the_demo(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        of_the_pages(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        of_the_acceptance(Path(folder))


def of_the_demo(folder: Path) -> None:
    with Path(os.devnull).open("w") as nowhere:
        terminal = Console(record=True, width=110, file=nowhere, force_terminal=True)
        status = demo.run(None, None, folder, False, terminal, terminal)
    if status:
        raise SystemExit(f"the demo ended with {status}; no picture was made")
    terminal.save_svg(str(IMAGES / "demo.svg"), title="make demo")
    (image,) = folder.glob("data/cases/*/v1/image-1.png")
    shutil.copy(image, IMAGES / "phantom.png")


def of_the_pages(folder: Path) -> None:
    """A site with a few studies, one of them urgent, one dictated for, and one that is not drafted."""
    if CHROMIUM is None:
        raise SystemExit("there is no chromium to make pictures with: make peers")
    refuses = threading.Event()

    def answer(message: bytes) -> bytes:
        return acknowledge(Message.parse(message), "AE" if refuses.is_set() else "AA")

    with SimulatedPacs("PACS", folder / "pacs") as pacs, reporting_system(answer) as ris:
        toml = SITE.format(data=folder / "data", listener=free_port(), pacs=pacs.port, ris=ris.port)
        with RunningSite(folder, toml) as site, sync_playwright() as playwright:
            house = site.house
            last = fill(site, pacs, folder)
            house.people.add_without_password("maria", Role.RADIOLOGIST, house.now())
            link = house.people.link("maria", house.now() + timedelta(minutes=5))
            address = next(station.detail for station in house.stations.all() if station.name == "web")
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 420})
            page.goto(address)
            page.screenshot(path=IMAGES / "sign-in.png")
            page.set_viewport_size({"width": 1280, "height": 640})
            page.goto(f"{address}/sign-in/{link}")
            page.locator("#live.well").wait_for()
            page.locator("[data-count='complete']", has_text="0").wait_for(timeout=60_000)
            page.keyboard.press("j")
            page.screenshot(path=IMAGES / "worklist.png")
            page.goto(f"{address}/cases/{last}")
            page.get_by_label("Pin a phrase in IMPRESSION:").fill("Discussed with the ward at 14:30.")
            page.keyboard.press("Enter")
            page.locator("#draft[data-edit='1']:not(.drafting)").wait_for()
            page.locator("#viewer output", has_text="image 1").wait_for()
            page.set_viewport_size({"width": 1280, "height": 860})
            page.screenshot(path=IMAGES / "case.png")
            page.goto(f"{address}/cases/{last}/versions")
            page.set_viewport_size({"width": 1280, "height": 560})
            page.screenshot(path=IMAGES / "versions.png")
            page.goto(f"{address}/cases/{last}")
            refuses.set()
            page.locator("#accept:enabled").click()
            page.get_by_text("accepted as a draft, not verified").wait_for()
            until(lambda: bool(house.viewing.dead_letters()))
            page.goto(f"{address}/insight")
            page.screenshot(path=IMAGES / "insight.png")
            page.goto(f"{address}/templates/chest-radiograph")
            page.set_viewport_size({"width": 1280, "height": 860})
            page.screenshot(path=IMAGES / "template.png")
            of_the_templates(page, house, address)
            page.goto(f"{address}/api/v1/docs")
            page.set_viewport_size({"width": 1280, "height": 640})
            page.screenshot(path=IMAGES / "api.png")
            page.goto(f"{address}/dead-letters")
            page.set_viewport_size({"width": 1280, "height": 300})
            page.screenshot(path=IMAGES / "dead-letters.png")
            of_the_rules(browser.new_page(viewport={"width": 1280, "height": 760}), house, address)
            browser.close()


def of_the_rules(page: Page, house: House, address: str) -> None:
    """As IT sees them: in use, in words, and tried on a case."""
    house.saved_rules.save("rules", RULES, on=0, by="ivan", now=house.now(), why="the site's first rules")
    house.people.add_without_password("ivan", Role.IT, house.now())
    page.goto(f"{address}/sign-in/{house.people.link('ivan', house.now() + timedelta(minutes=5))}")
    page.goto(f"{address}/rules")
    page.get_by_role("button", name="Try").click()
    page.locator("#tried li").first.wait_for()
    page.screenshot(path=IMAGES / "rules.png")


def of_the_acceptance(folder: Path) -> None:
    """The page to sign, of one group of checks."""
    report = folder / "acceptance.html"
    kit = [sys.executable, "-m", "radplug.cli", "acceptance", "--only", "TLS", "--html", str(report)]
    subprocess.run(kit, check=True, stdout=subprocess.DEVNULL)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 760})
        page.goto(report.as_uri())
        page.screenshot(path=IMAGES / "acceptance.png")
        browser.close()


def of_the_templates(page: Page, house: House, address: str) -> None:
    """All of them, one that is begun, and what differs between two versions."""
    (ours,) = (one.text for one in house.templates if one.template.name == "chest-radiograph")
    changed = ours.replace("The lungs are clear.", "Both lungs are clear.")
    house.saved_templates.save("chest-radiograph", changed, on=0, by="maria", now=house.now())
    for path, name, height in (
        ("templates", "templates", 420),
        ("new-template", "new-template", 640),
        ("templates/chest-radiograph/difference?old=0&new=1", "template-difference", 420),
    ):
        page.goto(f"{address}/{path}")
        page.set_viewport_size({"width": 1280, "height": height})
        page.screenshot(path=IMAGES / f"{name}.png")


@contextmanager
def reporting_system(answer: Callable[[bytes], bytes]) -> Iterator[Listener]:
    listener = Listener("127.0.0.1", 0, answer)
    listener.start()
    yield listener
    listener.stop()


def fill(site: RunningSite, pacs: SimulatedPacs, folder: Path) -> str:
    """Studies from the PACS; the id of the case that is urgent and was dictated for."""
    house, listener = site.house, site.settings.listener
    for number, (name, part, priority) in enumerate(STUDIES):
        study = synthetic_study.write(folder / str(number), 1_000_000_001 + number, datetime.now(UTC))
        for file in study.files:
            data_set = dcmread(file)
            data_set.PatientName, data_set.PatientID, data_set.BodyPartExamined = name, f"PHANTOM-{number + 1}", part
            data_set.StudyDescription = f"{part.capitalize()} radiograph, synthetic"
            data_set.save_as(file)
        house.receiving.add_order(replace(study.order, priority=priority), house.now())
        if priority == "S":
            said = ("FINDINGS", "Small right pleural effusion, new since yesterday.", "demo")
            house.receiving.add_dictation(Dictation(*said, house.now(), study_uid=study.study_uid))
            urgent = study.study_uid
        pacs.send_study(study.files, Peer(listener.ae_title, "127.0.0.1", listener.port), lambda done: None)
    case = house.viewing.case_of_study(urgent)
    assert case
    until(lambda: house.viewing.case(case.id).state is CaseState.DELIVERED)
    return case.id


def until(so: Callable[[], bool]) -> None:
    for _ in range(600):
        if so():
            return
        time.sleep(0.1)
    raise SystemExit("a minute has passed, and the site is not where the next picture wants it")


if __name__ == "__main__":
    main()
