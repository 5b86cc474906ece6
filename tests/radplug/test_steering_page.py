"""A draft that is steered, in a real Chromium: phrases, words that are kept or struck, and how it is left."""

from __future__ import annotations

from collections.abc import Callable

from browsers import pin, settled
from playwright.sync_api import Page, Route, expect

from radplug.domain import Case
from radplug.wiring import House


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
    assert any(step.startswith("step") for step in steps)  # how many are seen is a matter of how busy the machine is
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
    settled(page, 2)
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


SELECT = """([from, start, to, end]) => { const node = (at) => document.querySelector(at).firstChild;
    const range = document.createRange(); range.setStart(node(from), start); range.setEnd(node(to), end);
    getSelection().removeAllRanges(); getSelection().addRange(range); }"""


def test_a_sentence_is_struck_whole_whatever_of_it_is_selected(open_case: Callable[[], Page]) -> None:
    page = open_case()
    first = "p[data-section=FINDINGS] span.model"
    sentence = page.locator(first).first.inner_text().strip()
    page.evaluate(SELECT, [first, 3, first, 7])
    page.get_by_role("button", name="Not this").click()
    settled(page, 1)
    expect(page.locator("#draft")).not_to_contain_text(sentence)


def test_words_of_two_sections_are_no_phrase(open_case: Callable[[], Page]) -> None:
    page = open_case()
    page.evaluate(SELECT, ["p[data-section=FINDINGS] span.model", 0, "p[data-section=IMPRESSION] span.model", 3])
    expect(page.get_by_role("button", name="Keep these words")).to_be_disabled()
    expect(page.get_by_role("button", name="Not this")).to_be_disabled()


def test_phrases_that_come_faster_than_answers_are_all_pinned(open_case: Callable[[], Page]) -> None:
    page = open_case()
    held: list[Route] = []
    page.route("**/anchors", lambda route: held.append(route), times=1)
    with page.expect_request("**/anchors"):
        pin(page, "Heart normal.")
    pin(page, "Lungs clear.")
    page.get_by_label("Pin a phrase in FINDINGS:").fill("still being typed")
    page.wait_for_function("document.activeElement.value === 'still being typed'")
    held[0].continue_()
    expect(page.locator("#draft mark.anchor")).to_have_text(["Heart normal.", "Lungs clear."])
    expect(page.get_by_label("Pin a phrase in FINDINGS:")).to_have_value("still being typed")


def test_what_cannot_be_sent_stays_before_what_is_typed_meanwhile(open_case: Callable[[], Page]) -> None:
    page = open_case()
    held: list[Route] = []
    page.route("**/anchors", lambda route: held.append(route))
    field = page.get_by_label("Pin a phrase in FINDINGS:")
    with page.expect_request("**/anchors"):
        pin(page, "Heart normal.")
    field.fill("Lungs")
    held[0].abort()
    expect(field).to_have_value("Heart normal. Lungs")


def test_words_that_are_not_pinned_are_neither_accepted_over_nor_lost(open_case: Callable[[], Page]) -> None:
    page = open_case()
    address = page.url
    field = page.get_by_label("Pin a phrase in IMPRESSION:")
    field.fill("No change since")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#status")).to_contain_text("not pinned yet")
    expect(page.get_by_text("AI draft, not reviewed")).to_be_visible()
    page.locator("#banner").click()
    page.keyboard.press("Escape")
    page.locator("tr[data-case]").wait_for()
    page.goto(address)
    expect(field).to_have_value("No change since")


def test_accepting_from_the_models_words_accepts(open_case: Callable[[], Page]) -> None:
    page = open_case()
    page.locator("#draft span.model").first.focus()
    with page.expect_navigation():
        page.keyboard.press("Control+Enter")
    page.get_by_text("AI draft, accepted as a draft, not verified").wait_for()
    expect(page.locator("#draft mark.accepted")).to_have_count(0)


def test_a_script_that_comes_late_knows_how_things_stand(open_case: Callable[[], Page]) -> None:
    page = open_case()
    held: list[Route] = []
    page.route("**/static/ending.js", lambda route: held.append(route))
    page.reload(wait_until="commit")
    page.locator("form.pin").first.wait_for()
    held[0].continue_()
    expect(page.get_by_role("button", name="Accept as a draft")).to_be_enabled()


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
