"""For everybody: axe-core on every page, twice the size, and all by keyboard, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsers import Worker, pin, settled, signed_in, with_accounts
from houses import house_at, send_study
from playwright.sync_api import Browser, Page, expect

from radplug import pipeline
from radplug.domain import Case
from radplug.models import DEMO_CHECKPOINT
from radplug.people import Role
from radplug.web.serving import serving
from radplug.wiring import House

TEMPLATES = ("templates", "templates/chest-radiograph", "new-template")
RULES = ("rules", "rules/difference?old=0&new=0")
FOR_ROLES = {
    Role.RADIOLOGIST: (
        *("", "cases/{id}", "cases/{id}?version=1", "cases/{id}/versions", "insight", "dead-letters", "cases/0"),
        *("api/v1/docs", *TEMPLATES),
    ),
    Role.TECHNOLOGIST: ("", "cases/{id}", "dead-letters"),
    Role.IT: ("", "cases/{id}", "dead-letters", *RULES),
    Role.ADMIN: ("", "cases/{id}", "cases/{id}/versions", "insight", "dead-letters", *TEMPLATES, *RULES),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    web, drafting = {"port": 0, "speech": True}, {"assume_body_part": "CHEST"}
    pacs = [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}]
    made = house_at(tmp_path_factory.mktemp("house"), DEMO_CHECKPOINT, web=web, drafting=drafting, pacs=pacs)
    yield with_accounts(made)
    made.database.close()


@pytest.fixture(scope="module")
def address(house: House) -> Iterator[str]:
    with serving(house, Worker(house)) as address:
        yield address


@pytest.fixture
def case(house: House, tmp_path: Path) -> Case:
    case = send_study(house, tmp_path / "study", 1_000_000_001 + len(house.viewing.cases()))
    pipeline.draft(house, case.id, "worker")
    return house.viewing.case(case.id)


@pytest.fixture
def page(browser: Browser, address: str, case: Case) -> Iterator[Page]:
    """The case, open with a radiologist."""
    page = signed_in(browser, address, Role.RADIOLOGIST)
    page.goto(f"{address}/cases/{case.id}")
    page.locator("form.pin").first.wait_for()
    page.locator("#viewer").wait_for()
    yield page
    page.context.close()


def violations(page: Page) -> list[str]:
    """What axe-core finds, of any weight."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['impact']} {rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("role", Role)
def test_every_page_for_every_role(browser: Browser, address: str, case: Case, role: Role) -> None:
    page = signed_in(browser, address, role)
    for path in FOR_ROLES[role]:
        page.goto(f"{address}/{path.format(id=case.id)}")
        assert not violations(page), path
    page.context.close()


def test_signing_in_and_being_refused(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    assert not violations(page)
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill("nothing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert not violations(page)
    page.context.close()


def test_every_shade_and_state_of_a_case(page: Page) -> None:
    pin(page, "Small right pleural effusion.")
    settled(page, 1)
    page.evaluate(
        """() => { for (const sure of ["sure-0", "sure-1", "sure-2", "sure-3", "sure-unknown"])
        document.querySelector(".legend").append(Object.assign(document.createElement("span"),
          { className: `model ${sure}`, textContent: sure })) }"""
    )
    assert not violations(page)
    for state in ("drafting", "discarded"):
        page.evaluate("state => document.getElementById('draft').classList.add(state)", state)
        assert not violations(page), state
    page.keyboard.press("F9")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert not violations(page), "the notice on speech"


# ── without a mouse ──

CONTROLS = """[...document.querySelectorAll("a[href], button, input, select, [tabindex]")]
  .filter((one) => !one.disabled && one.checkVisibility({ visibilityProperty: true }))"""
SEEN = """() => { const one = document.activeElement, box = one.getClientRects()[0];
  const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return one.contains(hit) && getComputedStyle(one).outlineStyle !== "none"; }"""


def test_tab_leads_to_every_control_in_order_and_shows_where_one_is(page: Page) -> None:
    pin(page, "Small right pleural effusion.")
    settled(page, 1)
    page.reload()
    page.locator("#draft mark[data-phrase]").wait_for()
    page.locator("#viewer").wait_for()
    count = page.evaluate(f"(window.controls = {CONTROLS}).length")
    passed = []
    for _ in range(count):
        page.keyboard.press("Tab")
        passed.append(page.evaluate("controls.indexOf(document.activeElement)"))
        assert page.evaluate(SEEN), page.evaluate("document.activeElement.outerHTML")
    assert count > 20
    assert passed == list(range(count))


def test_a_case_is_edited_without_a_mouse(page: Page) -> None:
    findings, impression = page.locator("p[data-section=FINDINGS]"), page.locator("p[data-section=IMPRESSION]")
    focused = page.locator(":focus")
    for edit, phrase in enumerate(("Heart normal.", "Lungs clear."), start=1):
        pin(page, phrase)
        settled(page, edit)
    expect(findings.locator("mark")).to_have_text(["Heart normal.", "Lungs clear."])
    findings.locator("mark").last.focus()
    page.keyboard.press("Alt+ArrowUp")
    settled(page, 3)
    expect(findings.locator("mark")).to_have_text(["Lungs clear.", "Heart normal."])
    expect(focused).to_have_text("Lungs clear.")
    page.keyboard.press("Alt+ArrowDown")
    settled(page, 4)
    page.keyboard.press("Alt+ArrowDown")
    settled(page, 5)
    expect(findings.locator("mark")).to_have_text("Heart normal.")
    expect(impression.locator("mark")).to_have_text("Lungs clear.")
    expect(focused).to_have_text("Lungs clear.")
    page.keyboard.press("Alt+ArrowUp")
    settled(page, 6)
    expect(findings.locator("mark")).to_have_text(["Heart normal.", "Lungs clear."])
    page.keyboard.press("Delete")
    settled(page, 7)
    expect(findings.locator("mark")).to_have_text("Heart normal.")
    expect(focused).to_have_attribute("tabindex", "0")  # its neighbour
    page.keyboard.press("Control+z")
    expect(findings.locator("mark")).to_have_count(2)
    page.keyboard.press("Control+y")
    expect(findings.locator("mark")).to_have_count(1)
    impression.locator("span.model").first.focus()
    kept = focused.inner_text().strip()
    page.keyboard.press("Enter")
    settled(page, 8)
    expect(impression.locator("mark.accepted")).to_have_text(kept)
    expect(impression.locator(":focus")).to_have_count(1)


def test_frames_are_not_read_aloud_one_after_another(page: Page) -> None:
    page.evaluate(
        """() => { window.aloud = [];
        for (const place of document.querySelectorAll("[role=status], [role=alert], [aria-live]"))
          new MutationObserver(() => aloud.push(place.textContent)).observe(place, { childList: true }) }"""
    )
    pin(page, "Small right pleural effusion.")
    settled(page, 1)
    assert [said for said in page.evaluate("aloud") if said] == ["drafting …", "drafted"]


# ── twice the size ──


def test_at_twice_the_size_nothing_is_cut_off(browser: Browser, address: str, case: Case) -> None:
    # A screen of 1280 by 900 at 200 % has this many of CSS's pixels.
    page = signed_in(browser, address, Role.RADIOLOGIST, width=640, height=450)
    for path in FOR_ROLES[Role.RADIOLOGIST]:
        page.goto(f"{address}/{path.format(id=case.id)}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 640, path
        outside = page.evaluate(
            f"({CONTROLS}).filter((one) => !one.closest('#rows, .wide') && one.getBoundingClientRect().right > 640)"
            ".map((one) => one.outerHTML)"
        )
        assert not outside, path
    page.goto(f"{address}/cases/{case.id}")
    page.locator("form.pin").first.wait_for()
    page.get_by_role("heading", name="Versions").scroll_into_view_if_needed()
    banner = page.get_by_text("AI draft, not reviewed")
    expect(banner).to_be_in_viewport(ratio=1)
    assert (
        page.evaluate(
            """() => { const { x, y, width, height } = document.getElementById("banner").getBoundingClientRect();
        return document.elementFromPoint(x + width / 2, y + height / 2).id }"""
        )
        == "banner"
    )
    page.context.close()
