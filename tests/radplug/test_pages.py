"""The pages in a real Chromium: live, by keyboard, and with what a connection can do."""

from __future__ import annotations

from pathlib import Path

from browsers import signed_in
from houses import add_cases, send_study
from playwright.sync_api import Browser, Page, expect

from radplug import pipeline
from radplug.domain import Dictation
from radplug.people import Role
from radplug.web.serving import serving
from radplug.wiring import House


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
        page = signed_in(browser, address, Role.RADIOLOGIST)
        port = int(address.rpartition(":")[2])
    expect(page.locator("#live")).to_have_text("connection lost, trying again")
    case = send_study(site, tmp_path / "study")
    again = site.settings.model_copy(update={"web": site.settings.web.model_copy(update={"port": port})})
    with serving(House(again, "test")):
        expect(page.locator(f"tr[data-case='{case.id}']")).to_be_visible(timeout=20_000)
        expect(page.locator("#live.well")).to_be_visible()
        page.context.close()


def test_5000_cases_page_by_page_and_searched(site: House, browser: Browser, address: str) -> None:
    add_cases(site, 5000)
    page = signed_in(browser, address, Role.RADIOLOGIST)
    rows = page.locator("tr[data-case]")
    expect(rows).to_have_count(50)
    expect(page.get_by_text("5000 cases")).to_be_visible()
    page.keyboard.press("]")
    expect(page.get_by_text("page 2 of 100", exact=True)).to_be_visible()
    page.locator("#live.well").wait_for()
    expect(rows.first).to_contain_text("Phantom, 0050")
    page.keyboard.press("[")
    expect(page.get_by_text("page 1 of 100", exact=True)).to_be_visible()
    page.locator("#live.well").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("phantom 4711")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Phantom, 4711")
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
    offer = page.get_by_label("Late images")
    expect(offer.locator("ins").first).to_be_visible()
    assert page.locator("#draft").inner_text() == shown
    offer.get_by_role("button", name="Go on with it").click()
    expect(page.locator("#draft mark.anchor")).to_have_text("Normal heart.")
    expect(offer).to_be_hidden()


def test_what_is_copied_says_what_it_is(site: House, page: Page, tmp_path: Path, address: str) -> None:
    case = send_study(site, tmp_path / "study")
    pipeline.draft(site, case.id, "worker")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{address}/cases/{case.id}")
    page.evaluate("getSelection().selectAllChildren(document.getElementById('draft'))")
    page.keyboard.press("Control+c")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("AI DRAFT, NOT REVIEWED\n\n")
    assert page.locator("#draft p").first.inner_text().strip()[:10] in copied
    page.goto(f"{address}/cases/{case.id}/versions")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.draft'))")
    page.keyboard.press("Control+c")
    assert page.evaluate("navigator.clipboard.readText()").startswith("AI DRAFTS, NONE VERIFIED\n\n")
    page.goto(f"{address}/cases/{case.id}")
    page.mouse.wheel(0, 5000)
    expect(page.get_by_text("AI draft, not reviewed")).to_be_in_viewport()
