"""The pages in a real Chromium: live, by keyboard, and with what a connection can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from browsers import Worker, chromium, pin, settled, signed_in, with_accounts
from houses import receive_file, send_study
from image_samples import image, part10
from playwright.sync_api import Browser, Page, expect

from dicom_io.rendering import render
from radplug import pipeline
from radplug.domain import Case, CaseState, Dictation
from radplug.people import Role
from radplug.records.schema import cases
from radplug.web.serving import serving
from radplug.wiring import DEMO_CHECKPOINT, House


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = signed_in(browser, address, Role.RADIOLOGIST)
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
        page = signed_in(browser, address, Role.RADIOLOGIST)
        port = int(address.rpartition(":")[2])
    expect(page.locator("#live")).to_have_text("connection lost, trying again")
    case = send_study(site, tmp_path / "study")
    again = site.settings.model_copy(update={"web": site.settings.web.model_copy(update={"port": port})})
    with serving(House(again, "test")):
        expect(page.locator(f"tr[data-case='{case.id}']")).to_be_visible(timeout=20_000)
        expect(page.locator("#live.well")).to_be_visible()
        page.context.close()


def add_cases(house: House, count: int) -> None:
    """Rows alone: what the worklist shows of cases that were delivered long ago."""
    now = house.now()
    rows = [
        {
            "id": f"{number:012x}",
            "study_uid": f"1.2.3.{number}",
            "state": CaseState.DELIVERED,
            "patient_name": f"Phantom^{number:04}",
            "modality": ("DX", "CT")[number % 2],
            "first_received_at": now - timedelta(minutes=number),
            "last_received_at": now - timedelta(minutes=number),
            "hard_deadline_at": now,
        }
        for number in range(count)
    ]
    with house.database.writing() as connection:
        connection.execute(sa.insert(cases), rows)


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
    page.mouse.wheel(0, 5000)
    expect(page.get_by_text("AI draft, not reviewed")).to_be_in_viewport()


# ── images ──


def add_slices(house: House, case: Case, count: int) -> None:
    """A CT series in the case's study, each slice a little brighter than the one before."""
    for number in range(count):
        slice_ = image(
            np.full((64, 64), 1000 + 4 * number, np.uint16),
            Modality="CT",
            SOPInstanceUID=f"1.2.3.{number + 1}",
            SeriesInstanceUID="1.2.3",
            StudyInstanceUID=case.study_uid,
            SeriesNumber=2,
            SeriesDescription="Thorax",
            InstanceNumber=number + 1,
            RescaleSlope=1,
            RescaleIntercept=-1024,
            RescaleType="HU",
            WindowCenter=40,
            WindowWidth=400,
        )
        file = house.store.root / f"slice-{number}.dcm"
        file.write_bytes(part10(slice_))
        receive_file(house, file)


def middle(page: Page) -> int:
    """The grey in the middle of the viewer."""
    return int(
        page.evaluate(
            """() => { const c = document.querySelector("#viewer canvas");
            return c.getContext("2d").getImageData(c.width / 2, c.height / 2, 1, 1).data[0] }"""
        )
    )


def test_a_stack_of_500_slices_is_scrolled_windowed_and_zoomed(
    site: House, page: Page, address: str, tmp_path: Path
) -> None:
    case = send_study(site, tmp_path / "study")
    add_slices(site, case, 500)
    page.goto(f"{address}/cases/{case.id}")
    page.get_by_label("Series").select_option(label="Thorax (500)")
    canvas, told = page.locator("#viewer canvas"), page.locator("#viewer output")
    expect(told).to_contain_text("image 1 of 500 · window 40 / 400 · 100%")
    dark = middle(page)
    canvas.focus()
    for key in ("End", "ArrowUp", "PageUp"):
        page.keyboard.press(key)
    expect(told).to_contain_text("image 489 of 500")
    canvas.hover()
    page.mouse.wheel(0, 100)
    expect(told).to_contain_text("image 490 of 500")
    assert middle(page) > dark
    page.get_by_role("button", name="lung").click()
    expect(told).to_contain_text("window -600 / 1500")
    canvas.focus()
    page.keyboard.press("+")
    expect(told).to_contain_text("125%")
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 130)
    page.mouse.up()
    expect(told).not_to_contain_text("window -600 / 1500")
    page.keyboard.press("0")
    expect(told).to_contain_text("image 490 of 500 · window 40 / 400 · 100%")


@pytest.mark.parametrize("curve", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_is_drawn_as_it_is_rendered(site: House, page: Page, address: str, tmp_path: Path, curve: str) -> None:
    file = tmp_path / "ramp.dcm"
    ramp = np.tile(np.arange(64, dtype=np.uint16), (64, 1))
    file.write_bytes(part10(image(ramp, WindowCenter=30, WindowWidth=20, VOILUTFunction=curve)))
    case = receive_file(site, file)
    page.goto(f"{address}/cases/{case.id}")
    expect(page.locator("#viewer output")).to_contain_text("window 30 / 20")
    drawn = page.evaluate(
        """() => { const c = document.querySelector("#viewer canvas"), pixel = Math.min(c.width, c.height) / 64;
        return [...Array(64).keys()].map((column) =>
          c.getContext("2d").getImageData(c.width / 2 + (column - 31.5) * pixel, c.height / 2, 1, 1).data[0]) }"""
    )
    assert np.abs(np.array(drawn) - render(file).pixels[32, :, 0]).max() <= 1


# ── editing ──


@pytest.fixture
def drafted(build: Callable[..., House], tmp_path: Path) -> tuple[House, Case]:
    """A case that the demo model has drafted."""
    model = {"checkpoint": DEMO_CHECKPOINT, "threads": 1}
    house = with_accounts(build(web={"port": 0}, model=model, drafting={"assume_body_part": "CHEST"}))
    case = send_study(house, tmp_path / "study")
    pipeline.draft(house, case.id, "worker")
    return house, house.viewing.case(case.id)


@pytest.fixture
def open_case(drafted: tuple[House, Case], browser: Browser) -> Iterator[Callable[[], Page]]:
    """Opens the case in a browser of its own."""
    house, case = drafted
    opened: list[Page] = []
    with serving(house, Worker(house)) as address:

        def open_one() -> Page:
            page = signed_in(browser, address, Role.RADIOLOGIST)
            opened.append(page)
            page.goto(f"{address}/cases/{case.id}")
            page.locator("form.pin").first.wait_for()
            return page

        yield open_one
        for page in opened:
            page.context.close()


def test_a_phrase_that_is_typed_snaps_into_place_and_the_text_rewrites_itself(open_case: Callable[[], Page]) -> None:
    page = open_case()
    page.evaluate(
        """() => { const step = document.getElementById("step"); window.steps = [];
        new MutationObserver(() => steps.push(step.textContent)).observe(step, {childList: true}) }"""
    )
    pin(page, "Small right pleural effusion, new since yesterday.")
    expect(page.locator("#draft mark.anchor")).to_have_text("Small right pleural effusion, new since yesterday.")
    settled(page, 1)
    expect(page.locator("#status")).to_have_text("drafted")
    steps = page.evaluate("steps")
    assert sum(step.startswith("step") for step in steps) > 1
    expect(page.get_by_label("Pin a phrase in FINDINGS:")).to_be_focused()  # ready for the next one


def test_the_models_words_are_kept_and_struck_by_keyboard(open_case: Callable[[], Page]) -> None:
    page = open_case()
    first = page.locator("#draft span.model").first
    kept = first.inner_text().strip()
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("mark.accepted")).to_have_text(kept)
    settled(page, 1)
    other = page.locator("#draft span.model").first
    struck = other.inner_text().strip()
    other.focus()
    page.keyboard.press("Delete")
    expect(page.locator("#draft")).not_to_contain_text(struck)
    expect(page.locator("mark.accepted")).to_have_text(kept)
    page.locator("mark.accepted").focus()
    page.keyboard.press("Delete")
    expect(page.locator("mark.accepted")).to_have_count(0)


def test_selected_words_are_kept(open_case: Callable[[], Page]) -> None:
    page = open_case()
    words = page.evaluate(
        """() => { const text = document.querySelector("#draft span.model").firstChild;
        const range = document.createRange(); range.setStart(text, 0); range.setEnd(text, text.data.indexOf(" ", 8));
        getSelection().removeAllRanges(); getSelection().addRange(range); return range.toString() }"""
    )
    page.get_by_role("button", name="Keep these words").click()
    expect(page.locator("mark.accepted")).to_have_text(words)


def test_undo_and_redo_by_key(open_case: Callable[[], Page]) -> None:
    page = open_case()
    before = page.locator("#draft").inner_text()
    pin(page, "Small right pleural effusion.")
    settled(page, 1)
    expect(page.locator("#draft mark.anchor")).to_have_count(1)
    after = page.locator("#draft").inner_text()
    page.locator("#banner").click()
    page.keyboard.press("Control+z")
    expect(page.locator("#draft mark.anchor")).to_have_count(0)
    assert page.locator("#draft").inner_text() == before
    page.keyboard.press("Control+y")
    expect(page.locator("#draft mark.anchor")).to_have_count(1)
    assert page.locator("#draft").inner_text() == after


def test_a_phrase_is_dragged_into_another_section(open_case: Callable[[], Page]) -> None:
    page = open_case()
    pin(page, "Small right pleural effusion.")
    settled(page, 1)
    page.locator("p[data-section=FINDINGS] mark").drag_to(page.locator("form.pin[data-section=IMPRESSION]"))
    expect(page.locator("p[data-section=IMPRESSION] mark")).to_have_text("Small right pleural effusion.")
    expect(page.locator("p[data-section=FINDINGS] mark")).to_have_count(0)


def test_two_browsers_on_one_case_see_the_same(open_case: Callable[[], Page]) -> None:
    one, other = open_case(), open_case()
    pin(one, "Small right pleural effusion.")
    expect(other.locator("#draft mark.anchor")).to_have_text("Small right pleural effusion.")
    pin(other, "Discussed by phone.", "IMPRESSION:")
    expect(one.locator("#draft mark.anchor")).to_have_count(2)


def test_an_attack_in_a_phrase_is_text(open_case: Callable[[], Page]) -> None:
    page = open_case()
    attack = "<img src=x onerror=document.title=1> is seen."
    pin(page, attack)
    expect(page.locator("#draft mark.anchor")).to_have_text(attack)
    expect(page.locator("#draft img")).to_have_count(0)


def test_a_phrase_that_the_image_contradicts_is_asked_about_and_stands(open_case: Callable[[], Page]) -> None:
    page = open_case()
    pin(page, "The heart is enlarged.")
    settled(page, 1)
    expect(page.locator("#questions")).to_contain_text("Is it so? The model does not see in the images")
    expect(page.locator("#questions q")).to_have_text("The heart is enlarged.")
    expect(page.locator("#draft mark.anchor")).to_have_text("The heart is enlarged.")


def test_a_draft_is_discarded_and_taken_up_again(open_case: Callable[[], Page]) -> None:
    page = open_case()
    page.get_by_label("Discard:").select_option("findings are wrong")
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("This draft is discarded.")).to_be_visible()
    page.locator("#undo").click()
    expect(page.get_by_text("This draft is discarded.")).to_be_hidden()


def test_a_second_person_sees_that_somebody_has_the_case_open(
    open_case: Callable[[], Page], drafted: tuple[House, Case]
) -> None:
    house, case = drafted
    page = open_case()
    house.readers.has_open(case.id, "paul", house.now())
    expect(page.get_by_text("Also open with paul.")).to_be_visible()
    page.get_by_role("button", name="Return to the queue").click()
    expect(page.locator("tr[data-case]")).to_have_count(1)
    assert house.readers.others(case.id, "paul", house.now()) == ()


def test_the_whole_report_is_copied_as_text(open_case: Callable[[], Page]) -> None:
    page = open_case()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy as text").click()
    expect(page.locator("#status")).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("AI DRAFT, NOT REVIEWED\n\nFINDINGS:\n")


def test_a_sentence_shows_its_image_and_jumps_there(open_case: Callable[[], Page]) -> None:
    page = open_case()
    figure = page.locator("#image-1")
    page.locator("#viewer output", has_text="image 1").wait_for()
    page.locator("#draft span.model").first.hover()
    expect(figure).to_have_class("referred")
    page.locator("#viewer canvas").hover()
    expect(figure).not_to_have_class("referred")
    page.evaluate("document.querySelector('#image-1 button').addEventListener('click', () => window.jumped = true)")
    page.locator("#draft span.model").first.click()
    assert page.evaluate("window.jumped")
