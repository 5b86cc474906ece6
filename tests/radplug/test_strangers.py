"""What comes from outside, in a real Chromium: names in every script, markup instead of words, a server that goes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from browsers import pin, signed_in
from houses import SIZE, receive_file
from playwright.sync_api import Browser, expect
from pydicom import dcmread

from hl7.orders import Order
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.domain import Case, Dictation
from radplug.people import Role
from radplug.web.serving import serving
from radplug.wiring import House

ATTACK = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def study_of(house: House, folder: Path, name: str, description: str = "") -> Case:
    (file,) = synthetic_study.write(folder, 1_000_000_001, datetime.now(UTC), size=SIZE).files
    image = dcmread(file)
    image.PatientName, image.StudyDescription = name, description
    image.save_as(file)
    return receive_file(house, file)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Müller-Lüdenscheidt^Jürgen^^Dr.", "Müller-Lüdenscheidt, Dr. Jürgen"),
        ("Zhang^XiaoDong=张^小东", "Zhang, XiaoDong · 张, 小东"),
    ],
)
def test_a_name_is_shown_as_it_is_written(
    site: House, address: str, browser: Browser, tmp_path: Path, name: str, shown: str
) -> None:
    case = study_of(site, tmp_path / "study", name)
    page = signed_in(browser, address, Role.RADIOLOGIST)
    link = page.locator(f"tr[data-case='{case.id}'] a.open")
    expect(link).to_have_text(shown)
    page.get_by_label("Search").fill(shown.split()[-1])
    expect(link).to_be_visible()
    link.click()
    expect(page.locator(".patient strong")).to_have_text(shown)
    page.context.close()


def test_markup_is_text_wherever_it_comes_from(site: House, address: str, browser: Browser, tmp_path: Path) -> None:
    case = study_of(site, tmp_path / "study", f"{ATTACK}^Eve", f"{ATTACK} chest"[:64])
    site.receiving.add_order(Order(case.accession_number, indication=f"{ATTACK} cough"), site.now())
    said = Dictation("FINDINGS", f"{ATTACK} is seen.", "test", site.now(), study_uid=case.study_uid)
    site.receiving.add_dictation(said)
    pipeline.draft(site, case.id, "worker")
    page = signed_in(browser, address, Role.RADIOLOGIST)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.add_init_script(
        """window.blocked = []; document.addEventListener("securitypolicyviolation",
        (event) => blocked.push(event.violatedDirective));"""
    )
    page.goto(address)
    page.locator("#live.well").wait_for()
    expect(page.locator(f"tr[data-case='{case.id}']")).to_contain_text(ATTACK)
    assert page.evaluate("blocked") == []
    page.goto(f"{address}/cases/{case.id}")
    expect(page.locator(".patient strong")).to_contain_text("<script>alert(2)</script>")
    expect(page.locator(".order")).to_have_text(f"Indication: {ATTACK} cough")
    expect(page.locator("#draft mark.anchor")).to_have_text(f"{ATTACK} is seen.")
    pin(page, f"{ATTACK} again.")
    page.locator("#draft[data-edit='1']").wait_for()
    expect(
        page.locator(
            ".patient img, .patient script, .order img, .order script, #draft img, #draft script, .worklist img"
        )
    ).to_have_count(0)
    assert page.evaluate("blocked") == []
    page.context.close()


def test_a_case_catches_up_once_the_server_is_back(site: House, browser: Browser, tmp_path: Path) -> None:
    case = study_of(site, tmp_path / "study", "Phantom")
    pipeline.draft(site, case.id, "worker")
    with serving(site) as address:
        page = signed_in(browser, address, Role.RADIOLOGIST)
        page.goto(f"{address}/cases/{case.id}")
        page.locator("form.pin").first.wait_for()
        port = int(address.rpartition(":")[2])
    expect(page.locator("#live")).to_have_text("connection lost, trying again")
    pin(page, "Small effusion.")
    expect(page.locator("#status")).to_have_text("the connection is lost; nothing was changed")
    expect(page.get_by_label("Pin a phrase in FINDINGS:")).to_have_value("Small effusion.")
    _dictate(site, case)
    again = site.settings.model_copy(update={"web": site.settings.web.model_copy(update={"port": port})})
    with serving(House(again, "test")):
        expect(page.locator("#live.well")).to_be_visible(timeout=20_000)
        expect(page.locator("#draft[data-edit='1']")).to_be_visible(timeout=20_000)
        page.context.close()


def _dictate(house: House, case: Case) -> None:
    """Somebody else's edit, while the page is cut off."""
    desk = house.desks.of(case.id, house.now())
    house.desks.add(desk.edit, (), ("No effusion.",), by="paul", what="struck", now=house.now())
