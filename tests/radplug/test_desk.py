"""Editing a draft: what may be pinned where, what is struck stays away, undo and redo; with a real model behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from houses import send_study

from model_runtime.draft_text import Author
from radplug import pipeline
from radplug.desk import BadEdit, Desk, Frame, Phrase, StaleEdit, moved, names, pinned, unpinned
from radplug.domain import Case, UnknownCase
from radplug.wiring import House

SECTIONS = ("FINDINGS", "IMPRESSION")
A, B, C = (Phrase(name, "FINDINGS", f"Phrase {name}.", "typed") for name in "abc")
D = Phrase("d", "IMPRESSION", "Phrase d.", "typed")


# ── the rules ──


@pytest.mark.parametrize(
    ("after", "order"), [(None, "abc"), ("", "cab"), ("a", "acb"), ("b", "abc")], ids=["last", "first", "a", "b"]
)
def test_a_phrase_has_its_place(after: str | None, order: str) -> None:
    assert "".join(phrase.id for phrase in pinned((A, B), C, after, SECTIONS)) == order


def test_phrases_move_within_and_between_sections() -> None:
    assert [p.id for p in moved((A, B, C), "c", "FINDINGS", "", SECTIONS)] == ["c", "a", "b"]
    there = moved((A, B, D), "a", "IMPRESSION", "d", SECTIONS)
    assert [(p.id, p.section) for p in there] == [("b", "FINDINGS"), ("d", "IMPRESSION"), ("a", "IMPRESSION")]
    assert unpinned((A, B), "a") == (B,)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (lambda: pinned((A,), Phrase("x", "HISTORY", "y", "typed"), None, SECTIONS), "no section 'HISTORY'"),
        (lambda: pinned((A,), Phrase("x", "FINDINGS", " \n", "typed"), None, SECTIONS), "no words"),
        (lambda: pinned((A,), Phrase("x", "FINDINGS", "a\x07b", "typed"), None, SECTIONS), r"U\+0007"),
        (lambda: pinned((A,), C, "z", SECTIONS), "no such phrase"),
        (lambda: pinned((A, D), C, "d", SECTIONS), "another section"),
        (lambda: unpinned((A,), "z"), "no such phrase"),
        (lambda: moved((A,), "a", "FINDINGS", "a", SECTIONS), "follow itself"),
    ],
)
def test_edits_that_cannot_be_made(what: Callable[[], object], why: str) -> None:
    with pytest.raises(BadEdit, match=why):
        what()


# ── with a model ──


@pytest.fixture
def house(drafted: tuple[House, Case]) -> House:
    return drafted[0]


@pytest.fixture
def case(drafted: tuple[House, Case]) -> Case:
    return drafted[1]


def pin(house: House, desk: Desk, text: str, section: str = "FINDINGS", *, key: str | None = None) -> Desk:
    phrase = Phrase(f"id{desk.edit.number}", section, text, "typed")
    phrases = pinned(desk.edit.phrases, phrase, None, names(desk.shown.sections))
    return house.desks.add(desk.edit, phrases, desk.edit.struck, by="maria", what="pinned", now=house.now(), key=key)


def redrafted(house: House, case: Case) -> Desk:
    pipeline.redraft(house, case.id)
    return house.desks.of(case.id, house.now())


def test_the_desk_begins_with_the_draft(house: House, case: Case) -> None:
    desk = house.desks.of(case.id, house.now())
    (draft,) = house.viewing.drafts(case.id)
    assert (desk.edit.number, desk.edit.version, desk.shown, desk.undo, desk.redo) == (0, 1, draft.text, None, None)
    assert house.desks.of(case.id, house.now()) == desk
    assert house.desks.waiting(case.id) is None
    with pytest.raises(UnknownCase):
        house.desks.of("0", house.now())


def test_a_case_without_a_draft_has_no_desk(house: House, tmp_path: Path) -> None:
    with pytest.raises(BadEdit, match="no draft"):
        house.desks.of(send_study(house, tmp_path / "other").id, house.now())


def test_a_pinned_phrase_stands_byte_for_byte_and_the_gaps_are_drafted_anew(house: House, case: Case) -> None:
    before = house.desks.of(case.id, house.now())
    waiting = pin(house, before, "Small right pleural effusion, ünchanged.")
    assert (waiting.edit.text, waiting.shown, house.desks.due(house.now())) == (None, before.shown, [case.id])
    after = redrafted(house, case)
    assert after.edit.text is not None
    spans = [span for section in after.shown.sections for span in section.spans if span.kind is Author.ANCHOR]
    assert [span.text for span in spans] == ["Small right pleural effusion, ünchanged."]
    assert house.desks.due(house.now()) == []
    assert house.viewing.case(case.id).version == 1  # nothing has been sent


def test_a_template_that_changes_meanwhile_changes_nothing_in_the_draft(house: House, case: Case) -> None:
    (ours,) = (file for file in house.template_files if file.template.name == "chest-radiograph")
    others = ours.path.read_text(encoding="utf-8").replace("IMPRESSION", "CONCLUSION")
    house.saved_templates.save("chest-radiograph", others, on=0, by="jan", now=house.now())
    pin(house, house.desks.of(case.id, house.now()), "Telephoned to the ward.", "IMPRESSION")
    after = redrafted(house, case)
    assert (after.edit.refused, names(after.shown.sections)) == ("", ["FINDINGS", "IMPRESSION"])
    assert "Telephoned to the ward." in after.shown.sections[1].text


def test_frames_are_shown_while_the_gaps_are_drafted(house: House, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(house, house.desks.of(case.id, house.now()), "Small right pleural effusion.")
    seen: list[Frame] = []
    keep_frame = house.desks.frame
    monkeypatch.setattr(house.desks, "frame", lambda edit, frame: seen.append(frame) or keep_frame(edit, frame))
    redrafted(house, case)
    assert len(seen) > 1
    assert [frame.step for frame in seen] == sorted(frame.step for frame in seen)
    assert all("Small right pleural effusion." in dict(frame.sections)["FINDINGS"] for frame in seen)


def test_what_is_struck_is_not_shown_while_the_gaps_are_drafted(
    house: House, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = house.desks.of(case.id, house.now())
    struck = desk.shown.sections[0].spans[0].text.strip()
    house.desks.add(desk.edit, (), (struck,), by="maria", what="struck", now=house.now())
    seen: list[Frame] = []
    keep_frame = house.desks.frame
    monkeypatch.setattr(house.desks, "frame", lambda edit, frame: seen.append(frame) or keep_frame(edit, frame))
    after = redrafted(house, case)
    assert seen
    assert not any(struck in text for frame in seen for _, text in frame.sections)
    assert struck not in after.shown.sections[0].text


def test_a_newer_edit_ends_the_older_run_within_a_step(
    house: House, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(house, house.desks.of(case.id, house.now()), "Small right pleural effusion.")
    steps: list[int] = []
    keep_frame = house.desks.frame

    def frame(edit: object, frame: Frame) -> bool:
        steps.append(frame.step)
        if len(steps) == 1:
            pin(house, house.desks.of(case.id, house.now()), "The heart is enlarged.")
        return keep_frame(edit, frame)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(house.desks, "frame", frame)
        pipeline.redraft(house, case.id)
    assert len(steps) <= 2
    desk = redrafted(house, case)
    assert (desk.edit.number, [phrase.text for phrase in desk.edit.phrases]) == (
        2,
        ["Small right pleural effusion.", "The heart is enlarged."],
    )
    assert desk.edit.text is not None


def test_accepted_words_do_not_move(house: House, case: Case) -> None:
    desk = house.desks.of(case.id, house.now())
    sentence = desk.shown.sections[0].spans[1].text.strip()
    accepted = Phrase("kept", "FINDINGS", sentence, "pinned", accepted=True)
    phrases = pinned(desk.edit.phrases, accepted, None, SECTIONS)
    house.desks.add(desk.edit, phrases, (), by="maria", what="pinned", now=house.now())
    after = redrafted(house, case)
    assert [s.text for s in after.shown.sections[0].spans if s.kind is Author.ACCEPTED] == [sentence]


def test_what_is_struck_does_not_come_back(house: House, case: Case) -> None:
    desk = house.desks.of(case.id, house.now())
    sentence = desk.shown.sections[0].spans[0].text.strip()
    house.desks.add(desk.edit, desk.edit.phrases, (sentence,), by="maria", what="struck", now=house.now())
    desk = redrafted(house, case)
    assert sentence not in desk.shown.sections[0].text
    desk = pin(house, desk, "Heart size is normal.")
    assert sentence not in redrafted(house, case).shown.sections[0].text


def test_undo_and_redo_show_what_was_there_without_drafting(house: House, case: Case) -> None:
    first = house.desks.of(case.id, house.now())
    pin(house, first, "Small right pleural effusion.")
    second = redrafted(house, case)
    assert second.undo == 0
    undone = house.desks.go(second.edit, 0, house.now())
    assert (undone.shown, undone.redo, house.desks.waiting(case.id)) == (first.shown, 1, None)
    redone = house.desks.go(undone.edit, 1, house.now())
    assert (redone.shown, redone.redo) == (second.shown, None)


def test_two_people_cannot_edit_over_each_other(house: House, case: Case) -> None:
    both = house.desks.of(case.id, house.now())
    pin(house, both, "Small right pleural effusion.")
    with pytest.raises(StaleEdit):
        pin(house, both, "The heart is enlarged.")
    with pytest.raises(StaleEdit):
        house.desks.go(both.edit, 0, house.now())


def test_a_request_that_is_sent_again_is_one_edit(house: House, case: Case) -> None:
    desk = house.desks.of(case.id, house.now())
    once = pin(house, desk, "Small right pleural effusion.", key="k1")
    again = pin(house, once, "Small right pleural effusion.", key="k1")
    assert again == once


def test_what_does_not_fit_is_refused_and_the_text_stands(house: House, case: Case) -> None:
    before = house.desks.of(case.id, house.now())
    pin(house, before, "Very long. " * 200)
    after = redrafted(house, case)
    assert "does not fit" in after.edit.refused or "tokens" in after.edit.refused
    assert (after.edit.text, after.shown) == (None, before.shown)
    assert house.desks.due(house.now()) == []


def test_the_clock_rings_for_an_edit_that_nobody_drafts(house: House, case: Case) -> None:
    from radplug import clock

    rung: list[str] = []

    class Bell:
        def draft(self, case_id: str, *, awaited: bool) -> None: ...
        def deliver(self, case_id: str) -> None: ...
        def redraft(self, case_id: str) -> None:
            rung.append(case_id)

    pin(house, house.desks.of(case.id, house.now()), "Small right pleural effusion.")
    clock.tick(house, Bell())
    clock.tick(house, Bell())
    assert rung == [case.id]
    clock.ring_for_everything(house)
    clock.tick(house, Bell())
    assert rung == [case.id] * 2
