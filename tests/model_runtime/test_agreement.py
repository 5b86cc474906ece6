"""What the model wrote against a dictated phrase does not stand in the report."""

from __future__ import annotations

import pytest

from model_runtime.canvas import Code
from model_runtime.contradictions.agreement import opposes, stated, strike
from model_runtime.draft_text import Author, SectionText, Span, Struck

MODEL, ANCHOR = Author.MODEL, Author.ANCHOR


def section(name: str, *spans: tuple[str, Author]) -> SectionText:
    return SectionText(name, f"{name}:", Code("59776-5", "LN", "Findings"), tuple(Span(t, a) for t, a in spans))


@pytest.mark.parametrize(
    ("anchor", "text", "opposed"),
    [
        ("No right pleural effusion.", "Small bilateral pleural effusions.", True),
        ("No right pleural effusion.", "Small left effusion.", False),
        ("There is a left pneumothorax.", "No pneumothorax is seen.", True),
        ("There is a left pneumothorax.", "No right pneumothorax.", False),
        ("Large right effusion.", "Small right effusion.", True),
        ("Small right pleural effusion.", "Small effusion on the right.", False),
        ("Right upper zone nodule.", "Both lungs are clear.", True),
        ("Marked cardiomegaly.", "Heart size is normal.", True),
        ("No lines or tubes.", "Endotracheal tube in place.", True),
        ("Small left effusion.", "No acute cardiopulmonary abnormality.", True),
        ("Comparison is made with the previous study.", "Small right effusion.", False),
    ],
)
def test_both_polarities_are_looked_at(anchor: str, text: str, opposed: bool) -> None:
    assert opposes(text, stated([anchor])) is opposed


def test_opposing_sentences_are_struck_out_of_every_section_and_named() -> None:
    findings = section(
        "FINDINGS",
        ("No pneumothorax.", MODEL),
        (" The heart is not enlarged. ", MODEL),
        ("There is a left pneumothorax.", ANCHOR),
        (" No pneumothorax is seen.", MODEL),
    )
    impression = section("IMPRESSION", ("No acute findings.", MODEL), (" Left pneumothorax.", MODEL))
    kept, struck = strike([findings, impression])
    assert [s.text for s in kept] == [
        "The heart is not enlarged. There is a left pneumothorax.",
        "Left pneumothorax.",
    ]
    assert struck == (
        Struck("FINDINGS", "No pneumothorax."),
        Struck("FINDINGS", "No pneumothorax is seen."),
        Struck("IMPRESSION", "No acute findings."),
    )


def test_the_space_before_an_anchor_stays() -> None:
    spans = (("Clear lungs.", MODEL), (" No effusion. ", MODEL), ("Large left effusion.", ANCHOR))
    kept, _ = strike([section("FINDINGS", *spans)])
    assert kept[0].text == "Clear lungs. Large left effusion."
    kept, _ = strike([section("FINDINGS", *spans[1:])])
    assert kept[0].text == "Large left effusion."


def test_what_the_radiologist_said_is_never_struck_even_against_itself() -> None:
    spans = (
        ("No effusion.", ANCHOR),
        (" ", MODEL),
        ("Large left effusion.", ANCHOR),
        (" Large left effusion.", Author.ACCEPTED),
        (" Small left effusion.", MODEL),
    )
    kept, struck = strike([section("FINDINGS", *spans)])
    assert kept[0].text == "No effusion. Large left effusion. Large left effusion."
    assert [s.text for s in struck] == ["Small left effusion."]


@pytest.mark.parametrize(
    "spans",
    [
        (("No ", MODEL), ("right pneumothorax.", ANCHOR), (" No pneumothorax is seen.", MODEL)),
        (("No effusion or", ANCHOR), (" pneumothorax.", MODEL), (" ", MODEL), ("No pneumothorax.", ANCHOR)),
        (("Small right", ANCHOR), (" effusion.", MODEL), (" Small effusion on the right.", MODEL)),
    ],
)
def test_a_sentence_that_both_have_written_is_read_as_a_whole_and_stays(spans: tuple[tuple[str, Author], ...]) -> None:
    before = section("FINDINGS", *spans)
    assert strike([before]) == ((before,), ())


def test_a_dictated_phrase_without_a_full_stop_speaks_for_itself() -> None:
    spans = (("No pneumothorax", ANCHOR), (" Left apical pneumothorax.", MODEL), (" Heart size is normal.", MODEL))
    kept, struck = strike([section("FINDINGS", *spans)])
    assert kept[0].text == "No pneumothorax Heart size is normal."
    assert struck == (Struck("FINDINGS", "Left apical pneumothorax."),)
