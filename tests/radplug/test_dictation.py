"""Dictation in the page, in a real Chromium. Its ear is scripted: it stands for the browser's, not for ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import PASSWORD, Client, Worker, chromium, settled, signed_in, watched
from houses import house_at, send_study
from playwright.sync_api import Page, expect

from radplug import pipeline
from radplug.domain import Case
from radplug.models import DEMO_CHECKPOINT
from radplug.people import Role
from radplug.web.serving import serving
from radplug.wiring import House

EAR = """
window.SpeechRecognition = class extends EventTarget {
  static available = async () => window.onThisComputer ?? "unavailable";
  results = []; on = false; starts = 0;
  constructor() { super(); window.ear = this; }
  start() {
    if (this.on) throw new DOMException("it listens already", "InvalidStateError");
    [this.on, this.results] = [true, []];
    this.starts++;
  }
  stop() { if (this.on) this.end(); }
  end() { this.on = false; this.dispatchEvent(new Event("end")); }
  fail(error) { this.dispatchEvent(Object.assign(new Event("error"), { error })); this.end(); }
  hear(transcript, isFinal) {
    if (this.results.length && !this.results.at(-1).isFinal) this.results.pop();
    const resultIndex = this.results.push(Object.assign([{ transcript }], { isFinal })) - 1;
    this.dispatchEvent(Object.assign(new Event("result"), { results: this.results, resultIndex }));
  }
};
"""
UNDERSTOOD = "sessionStorage.setItem('speech-notice', 'understood');"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A site that allows dictation, and drafts with the demo model."""
    web, drafting = {"port": 0, "speech": True}, {"assume_body_part": "CHEST"}
    made = house_at(tmp_path_factory.mktemp("house"), DEMO_CHECKPOINT, web=web, drafting=drafting)
    made.people.add(Role.RADIOLOGIST, Role.RADIOLOGIST, PASSWORD, made.now())
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def worklist(house: House) -> Iterator[Page]:
    """The site's worklist, in a browser that is signed in."""
    with serving(house, Worker(house)) as address, chromium() as browser:
        page = signed_in(browser, address, Role.RADIOLOGIST)
        yield page
        page.context.close()


@pytest.fixture
def case(house: House, tmp_path: Path) -> Case:
    case = send_study(house, tmp_path / "study", 1_000_000_001 + len(house.viewing.cases()))
    pipeline.draft(house, case.id, "worker")
    return house.viewing.case(case.id)


@pytest.fixture
def opened(worklist: Page, case: Case) -> Iterator[Callable[[str], Page]]:
    """Opens the case in a tab with this script."""
    tab = watched(worklist.context.new_page())

    def open_with(script: str) -> Page:
        tab.add_init_script(script)
        tab.goto(f"{worklist.url}cases/{case.id}")
        tab.locator("form.pin").first.wait_for()
        return tab

    yield open_with
    tab.close()


@pytest.fixture
def page(opened: Callable[[str], Page]) -> Page:
    """The case, in a browser that hears and whose user has read the notice."""
    return opened(EAR + UNDERSTOOD)


def hear(page: Page, transcript: str, *, final: bool = True) -> None:
    page.evaluate("([said, final]) => ear.hear(said, final)", [transcript, final])


def ear(page: Page, what: str) -> Any:
    return page.evaluate(f"ear.{what}")


def field(page: Page, section: str = "FINDINGS:") -> Any:
    return page.get_by_label(f"Pin a phrase in {section}")


def test_words_are_shown_while_the_key_is_held_and_pinned_when_they_are_sure(
    page: Page, house: House, case: Case
) -> None:
    page.keyboard.down("F9")
    assert (ear(page, "on"), ear(page, "continuous"), ear(page, "interimResults")) == (True, True, True)
    expect(page.get_by_role("status").filter(has_text="Listening: FINDINGS:")).to_be_visible()
    hear(page, "small left", final=False)
    expect(field(page)).to_have_value("small left")
    hear(page, "small left plural effusion", final=False)
    expect(field(page)).to_have_value("small left plural effusion")
    assert house.desks.of(case.id, house.now()).edit.number == 0
    hear(page, "small left pleural effusion full stop")
    expect(page.locator("#draft mark.anchor")).to_have_text("Small left pleural effusion.")
    expect(field(page)).to_have_value("")
    page.keyboard.up("F9")
    assert not ear(page, "on")
    (phrase,) = house.desks.of(case.id, house.now()).edit.phrases
    assert (phrase.section, phrase.source, phrase.accepted) == ("FINDINGS", "dictated", False)


def test_a_section_is_gone_to_and_lines_are_ended(page: Page, house: House, case: Case) -> None:
    page.keyboard.down("F9")
    hear(page, "heart normal full stop impression colon no acute disease full stop new line")
    hear(page, "follow-up in one year full stop")
    expect(page.locator("p[data-section=IMPRESSION] mark.anchor")).to_have_count(2)
    expect(page.get_by_role("status").filter(has_text="Listening: IMPRESSION:")).to_be_visible()
    phrases = house.desks.of(case.id, house.now()).edit.phrases
    assert [(phrase.section, phrase.text) for phrase in phrases] == [
        ("FINDINGS", "Heart normal."),
        ("IMPRESSION", "No acute disease."),
        ("IMPRESSION", "\nFollow-up in one year."),
    ]


def test_words_go_where_the_focus_is_and_leave_alone_what_was_typed(page: Page) -> None:
    field(page).fill("as before")
    field(page, "IMPRESSION:").focus()
    page.keyboard.down("F9")
    hear(page, "no change", final=False)
    expect(field(page, "IMPRESSION:")).to_have_value("no change")
    hear(page, "no change")
    expect(page.locator("p[data-section=IMPRESSION] mark.anchor")).to_have_text("no change")
    expect(field(page)).to_have_value("as before")
    expect(field(page, "IMPRESSION:")).to_be_focused()


def test_undo_redo_and_striking_by_voice(page: Page) -> None:
    marks = page.locator("#draft mark.anchor")
    page.keyboard.down("F9")
    hear(page, "heart normal full stop lungs clear full stop")
    expect(marks).to_have_count(2)
    hear(page, "strike that")
    expect(marks).to_have_text(["Heart normal."])
    hear(page, "undo")
    expect(marks).to_have_count(2)
    hear(page, "redo")
    expect(marks).to_have_text(["Heart normal."])
    hear(page, "undo full stop no effusion full stop")
    expect(marks).to_have_text(["Heart normal.", "Lungs clear.", "No effusion."])


def test_the_models_last_sentence_is_kept_and_struck_by_voice(page: Page) -> None:
    before = page.locator("p[data-section=FINDINGS] span.model").last.inner_text().strip()
    page.keyboard.down("F9")
    hear(page, "keep that")
    expect(page.locator("p[data-section=FINDINGS] mark.accepted")).to_have_text(before)
    hear(page, "undo")
    expect(page.locator("#draft mark")).to_have_count(0)
    settled(page, 0)
    hear(page, "strike that")
    expect(page.locator("#draft[data-edit='2']")).to_be_visible()
    settled(page, 2)
    expect(page.locator("p[data-section=FINDINGS]")).not_to_contain_text(before)


def test_accept_is_told_to_the_page(page: Page) -> None:
    page.evaluate("document.addEventListener('command', ({ detail }) => { window.commanded = detail.name; })")
    page.keyboard.down("F9")
    hear(page, "accept")
    page.wait_for_function("window.commanded === 'accept'")


def test_the_button_is_pressed_once_or_held(page: Page) -> None:
    button = page.get_by_role("button", name="Dictate")
    click = """() => { const on = document.getElementById("dictate");
    on.setPointerCapture = () => {};
    for (const kind of ["pointerdown", "pointerup"]) on.dispatchEvent(new PointerEvent(kind, { pointerId: 1 })); }"""
    page.evaluate(click)  # at once: one that the machine's business draws out would be a press
    expect(button).to_have_attribute("aria-pressed", "true")
    assert ear(page, "on")
    page.evaluate(click)
    expect(button).to_have_attribute("aria-pressed", "false")
    assert not ear(page, "on")
    button.press("Enter")
    assert ear(page, "on")
    button.press("Space")
    assert not ear(page, "on")
    button.dispatch_event("pointerdown", {"pointerId": 1})
    assert ear(page, "on")
    page.wait_for_function("(since) => performance.now() > since + 600", arg=page.evaluate("performance.now()"))
    page.evaluate("document.getElementById('dictate').dispatchEvent(new PointerEvent('pointerup'))")
    assert not ear(page, "on")


def test_it_listens_no_longer_once_the_window_is_left(page: Page) -> None:
    page.keyboard.down("F9")
    assert ear(page, "on")
    page.evaluate("dispatchEvent(new Event('blur'))")
    assert not ear(page, "on")


def test_a_browser_that_stops_by_itself_is_started_again_and_unsure_words_stay(page: Page) -> None:
    page.keyboard.down("F9")
    hear(page, "perhaps a nodule", final=False)
    ear(page, "fail('no-speech')")
    assert (ear(page, "on"), ear(page, "starts")) == (True, 2)
    page.keyboard.up("F9")
    expect(field(page)).to_have_value("perhaps a nodule")
    field(page).press("Enter")
    expect(page.locator("#draft mark.anchor")).to_have_text("perhaps a nodule")


def test_words_that_cannot_be_sent_stay_in_the_field(page: Page) -> None:
    page.route("**/anchors", lambda route: route.abort())
    page.keyboard.down("F9")
    hear(page, "small effusion")
    expect(page.get_by_text("the connection is lost; nothing was changed")).to_be_visible()
    expect(field(page)).to_have_value("small effusion")
    page.route("**/anchors", lambda route: route.fulfill(status=409, json={"detail": "stale"}))
    hear(page, "no pneumothorax")
    expect(page.get_by_text("somebody else has edited this case; this is theirs")).to_be_visible()
    expect(field(page)).to_have_value("small effusion no pneumothorax")


def test_what_goes_wrong_is_said(page: Page) -> None:
    for times, (error, told) in enumerate(
        (
            ("not-allowed", "The browser may not use the microphone: allow it"),
            ("network", "The browser's speech service cannot be reached"),
            ("bad-grammar", "Speech recognition has failed (bad-grammar)"),
        ),
        start=1,
    ):
        page.keyboard.down("F9")
        ear(page, f"fail('{error}')")
        expect(page.get_by_role("status").filter(has_text=told)).to_be_visible()
        expect(page.get_by_role("button", name="Dictate")).to_have_attribute("aria-pressed", "false")
        assert (ear(page, "on"), ear(page, "starts")) == (False, times)
        page.keyboard.up("F9")


def test_before_its_first_use_it_says_where_the_voice_goes(opened: Callable[[str], Page]) -> None:
    page = opened(EAR)
    address = page.url
    notice = page.get_by_role("dialog", name="What you say leaves this computer")
    page.keyboard.press("F9")
    expect(notice).to_be_visible()
    assert ear(page, "starts") == 0
    page.keyboard.press("Escape")
    expect(notice).to_be_hidden()
    assert page.url == address
    page.keyboard.press("F9")
    page.get_by_role("button", name="Understood").click()
    expect(page.get_by_role("status").filter(has_text="Hold F9 to dictate.")).to_be_visible()
    page.keyboard.press("F9")
    assert ear(page, "starts") == 1
    page.reload()
    page.locator("form.pin").first.wait_for()
    page.keyboard.press("F9")
    assert ear(page, "starts") == 1


def test_what_is_recognised_on_this_computer_needs_no_notice(opened: Callable[[str], Page]) -> None:
    page = opened(EAR + "window.onThisComputer = 'available';")
    page.keyboard.press("F9")
    assert (ear(page, "starts"), ear(page, "processLocally")) == (1, True)


def test_a_browser_without_recognition_says_so(opened: Callable[[str], Page]) -> None:
    page = opened("delete window.SpeechRecognition; delete window.webkitSpeechRecognition;")
    expect(page.get_by_text("This browser does not recognise speech")).to_be_visible()
    expect(page.locator("#dictate")).to_be_hidden()
    page.keyboard.press("F9")


def test_where_it_is_not_allowed_there_is_neither_button_nor_microphone(house: House, case: Case) -> None:
    def asked(house: House) -> tuple[str, bool]:
        with serving(house) as address:
            client = Client(address)
            client.sign_in(Role.RADIOLOGIST)
            answer = client.get(f"/cases/{case.id}")
        return answer.headers["permissions-policy"].split(",")[0], "dictate.js" in answer.text

    assert asked(house) == ("microphone=(self)", True)
    silent = house.settings.model_copy(update={"web": house.settings.web.model_copy(update={"speech": False})})
    without = House(silent, "test")
    assert asked(without) == ("microphone=()", False)
    without.database.close()
