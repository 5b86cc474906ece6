"""Every key that the pages' own list of keys names does what it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browsers import pin, settled, signed_in
from houses import add_cases, add_slices
from playwright.sync_api import Browser, Page, expect

from radplug import pipeline
from radplug.domain import Case
from radplug.people import Role
from radplug.wiring import House


class Keys:
    """Presses keys, and knows which have been pressed."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._pressed: set[str] = set()

    def press(self, key: str) -> None:
        self._page.keyboard.press(key)
        self._pressed.add(key)

    def are_all(self) -> None:
        """The list names those that were pressed, and no others."""
        self.press("?")
        listed = self._page.get_by_role("dialog", name="Keys")
        assert set(listed.locator("kbd").all_inner_texts()) == self._pressed
        self._page.keyboard.press("Enter")
        expect(listed).to_be_hidden()


def test_every_key_of_the_worklist(site: House, browser: Browser, address: str) -> None:
    add_cases(site, 60)
    page = signed_in(browser, address, Role.RADIOLOGIST)
    keys, selected, rows = Keys(page), page.locator("tr.selected"), page.locator("tr[data-case]")
    for key, number in (("j", 0), ("j", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("k", 0), ("k", 0)):
        keys.press(key)
        expect(selected).to_contain_text(f"Phantom, {number:04}")
    keys.press("]")
    expect(rows).to_have_count(10)
    page.locator("#live.well").wait_for()
    keys.press("[")
    expect(rows).to_have_count(50)
    page.locator("#live.well").wait_for()
    keys.press("/")
    page.keyboard.type("phantom 0055")
    expect(rows).to_have_count(1)
    keys.press("Escape")
    expect(selected).to_contain_text("Phantom, 0055")
    keys.press("Enter")
    page.wait_for_url("**/cases/*")
    page.go_back()
    page.locator("#live.well").wait_for()
    keys.are_all()
    page.context.close()


@pytest.fixture
def case_page(drafted: tuple[House, Case], open_case: Callable[[], Page]) -> Page:
    house, case = drafted
    add_slices(house, case, 30, "DX")
    pipeline.draft(house, case.id, "worker")
    return open_case()


def test_every_key_of_a_case(case_page: Page) -> None:
    page = case_page
    keys = Keys(page)
    canvas, told = page.locator("#viewer canvas"), page.locator("#viewer output")
    page.get_by_label("Series").select_option(label="Thorax (30)")
    expect(told).to_contain_text("image 1 of 30")
    canvas.focus()
    for key, number in {"ArrowDown": 2, "PageDown": 12, "ArrowUp": 11, "PageUp": 1, "End": 30, "Home": 1}.items():
        keys.press(key)
        expect(told).to_contain_text(f"image {number} of 30")
    for key, share in (("+", "125%"), ("-", "100%"), ("+", "125%"), ("0", "100%")):
        keys.press(key)
        expect(told).to_contain_text(share)

    findings, impression = page.locator("p[data-section=FINDINGS]"), page.locator("p[data-section=IMPRESSION]")
    pin(page, "Heart normal.")  # with Enter
    settled(page, 1)
    findings.locator("mark").focus()
    keys.press("Alt+ArrowDown")
    settled(page, 2)
    expect(impression.locator("mark")).to_have_text("Heart normal.")
    keys.press("Alt+ArrowUp")
    settled(page, 3)
    expect(findings.locator("mark")).to_have_text("Heart normal.")
    keys.press("Delete")
    settled(page, 4)
    expect(page.locator("#draft mark")).to_have_count(0)
    for key, marks in (("Control+z", 1), ("Control+y", 0), ("Control+z", 1), ("Control+Shift+z", 0)):
        keys.press(key)
        expect(page.locator("#draft mark")).to_have_count(marks)
    words = findings.locator("span.model").first
    canvas.focus()
    keys.press("End")
    expect(told).to_contain_text("image 30 of 30")
    words.focus()
    keys.press("i")
    expect(told).not_to_contain_text("image 30 of 30")
    struck = words.inner_text().strip()
    keys.press("Delete")
    settled(page, 5)
    expect(findings).not_to_contain_text(struck)
    words = impression.locator("span.model").first
    words.focus()
    keys.press("Enter")
    settled(page, 6)
    expect(impression.locator("mark.accepted")).to_have_count(1)
    with page.expect_navigation():
        keys.press("Control+Enter")
    page.get_by_text("AI draft, accepted as a draft, not verified").wait_for()
    page.locator("#live.well").wait_for()
    keys.press("Escape")
    page.locator("tr[data-case]").wait_for()
    page.go_back()
    page.locator("#live.well").wait_for()
    keys.are_all()
