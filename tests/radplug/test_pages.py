"""The pages in a real Chromium: live, by keyboard, and with what a connection can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsers import PASSWORD, chromium, signed_in
from houses import send_study
from playwright.sync_api import Browser, Page, expect

from radplug import pipeline
from radplug.domain import Dictation
from radplug.people import Role
from radplug.web.serving import serving
from radplug.wiring import House


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def site(build: Callable[..., House]) -> House:
    house = build(web={"port": 0}, drafting={"assume_body_part": "CHEST"})
    house.people.add("maria", Role.RADIOLOGIST, PASSWORD, house.now())
    return house


@pytest.fixture
def address(site: House) -> Iterator[str]:
    with serving(site) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = signed_in(browser, address, "maria")
    yield page
    page.context.close()


def test_a_study_appears_and_is_drafted_before_ones_eyes(site: House, page: Page, tmp_path: Path) -> None:
    expect(page.get_by_text("No study has come yet")).to_be_visible()
    case = send_study(site, tmp_path / "study")
    row = page.locator(f"tr[data-case='{case.id}']")
    expect(row).to_contain_text("complete")
    pipeline.draft(site, case.id, "worker")
    expect(row).to_contain_text("delivered")
    expect(page.locator("[data-count='delivered']")).to_have_text("1")


def test_by_keyboard_alone(site: House, page: Page, address: str, tmp_path: Path) -> None:
    made = [send_study(site, tmp_path / str(number), 1_000_000_001 + number) for number in range(3)]
    for case in made:
        pipeline.draft(site, case.id, "worker")
    newest_first = [case.id for case in reversed(made)]
    expect(page.locator("tr[data-case]")).to_have_count(3)
    selected = page.locator("tr.selected")
    page.keyboard.press("j")
    expect(selected).to_have_attribute("data-case", newest_first[0])
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(selected).to_have_attribute("data-case", newest_first[2])
    page.keyboard.press("k")
    expect(selected).to_have_attribute("data-case", newest_first[1])
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{address}/cases/{newest_first[1]}")
    expect(page.get_by_text("AI draft, not reviewed")).to_be_visible()
    page.locator("#live.well").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("tr[data-case]")).to_have_count(3)
    page.locator("#live.well").wait_for()
    page.keyboard.press("/")
    page.keyboard.type(made[0].accession_number)
    expect(page.locator("tr[data-case]")).to_have_count(1)
    expect(page.locator("tr[data-case]")).to_have_attribute("data-case", made[0].id)


def test_the_selection_stays_where_it_is_when_rows_move(site: House, page: Page, tmp_path: Path) -> None:
    first = send_study(site, tmp_path / "first")
    expect(page.locator("tr[data-case]")).to_have_count(1)
    page.keyboard.press("j")
    send_study(site, tmp_path / "second", 1_000_000_002)
    expect(page.locator("tr[data-case]")).to_have_count(2)
    expect(page.locator("tr.selected")).to_have_attribute("data-case", first.id)


def test_a_lost_connection_is_told_and_what_was_missed_is_made_good(
    site: House, browser: Browser, tmp_path: Path
) -> None:
    with serving(site) as address:
        page = signed_in(browser, address, "maria")
        port = int(address.rpartition(":")[2])
    expect(page.locator("#live")).to_have_text("connection lost, trying again")
    case = send_study(site, tmp_path / "study")
    again = site.settings.model_copy(update={"web": site.settings.web.model_copy(update={"port": port})})
    with serving(House(again, "test")):
        expect(page.locator(f"tr[data-case='{case.id}']")).to_be_visible(timeout=20_000)
        expect(page.locator("#live.well")).to_be_visible()
        page.context.close()


def test_a_newer_draft_is_offered_and_not_swapped_in(site: House, page: Page, tmp_path: Path, address: str) -> None:
    case = send_study(site, tmp_path / "study")
    pipeline.draft(site, case.id, "worker")
    page.goto(f"{address}/cases/{case.id}")
    page.locator("#live.well").wait_for()
    shown = page.locator("#draft").inner_text()
    said = Dictation("FINDINGS", "Normal heart.", "test", site.now(), study_uid=case.study_uid)
    site.receiving.add_dictation(said)
    pipeline.draft(site, case.id, "worker")
    expect(page.get_by_text("This case has changed.")).to_be_visible()
    assert page.locator("#draft").inner_text() == shown
    page.get_by_role("link", name="Show it as it is now").click()
    expect(page.locator(".versions strong")).to_have_text("draft 2")


def test_what_is_copied_says_what_it_is(site: House, page: Page, tmp_path: Path, address: str) -> None:
    case = send_study(site, tmp_path / "study")
    pipeline.draft(site, case.id, "worker")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{address}/cases/{case.id}")
    page.evaluate("getSelection().selectAllChildren(document.getElementById('draft'))")
    page.keyboard.press("Control+c")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("AI DRAFT, NOT REVIEWED\n\n")
    page.mouse.wheel(0, 5000)
    expect(page.get_by_text("AI draft, not reviewed")).to_be_in_viewport()
