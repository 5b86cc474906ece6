"""Layout alone, with one token a character: where things stand, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_runtime.canvas import FREE, SMALLEST_GAP, Anchor, Code, Kind, Layout, Section, Template, lay
from model_runtime.errors import AnchorDoesNotFit, AnchorRefused

END = 0x10FFFF + 1
TEMPLATE = Template(
    "chest",
    Code("18782-3", "LN", "XR Chest"),
    (
        Section("FINDINGS", "FINDINGS:", Code("59776-5", "LN", "Procedure findings"), tokens=60),
        Section("IMPRESSION", "IMPRESSION:", Code("19005-8", "LN", "Impression"), tokens=30),
    ),
)


def characters(text: str) -> list[int]:
    return [ord(c) for c in text]


def laid(*anchors: Anchor, template: Template = TEMPLATE, canvas_length: int = 128) -> Layout:
    return lay(template, anchors, encode=characters, canvas_length=canvas_length, end_id=END)


def test_headings_and_slots_stand_in_the_templates_order_and_the_rest_is_the_end() -> None:
    layout = laid()
    assert [(p.kind, p.section, p.tokens) for p in layout.pieces] == [
        (Kind.HEADING, "FINDINGS", 10),
        (Kind.GAP, "FINDINGS", 60),
        (Kind.HEADING, "IMPRESSION", 12),
        (Kind.GAP, "IMPRESSION", 30),
        (Kind.END, "", 16),
    ]
    assert layout.ids[:10] == tuple(characters(" FINDINGS:"))
    assert layout.ids[-16:] == (END,) * 16
    assert layout.free == 90


def test_a_section_s_slot_is_shared_by_the_gaps_around_its_anchors() -> None:
    layout = laid(Anchor("FINDINGS", "No effusion."), Anchor("FINDINGS", "No nodule."))
    assert [p.tokens for p in layout.gaps("FINDINGS")] == [12, 12, 12]
    assert [p.tokens for p in layout.gaps("IMPRESSION")] == [30]
    anchors = [p for p in layout.pieces if p.kind is Kind.ANCHOR]
    assert ["".join(map(chr, layout.ids[p.start : p.stop])) for p in anchors] == [" No effusion.", " No nodule."]
    assert [p.text for p in anchors] == ["No effusion.", "No nodule."]


def test_anchors_may_be_given_section_by_section_or_mixed() -> None:
    mixed = [Anchor("IMPRESSION", "Clear."), Anchor("FINDINGS", "One."), Anchor("FINDINGS", "Two.")]
    assert laid(*mixed) == laid(mixed[1], mixed[2], mixed[0])


@pytest.mark.parametrize("text", ["", "   ", "\r\n", "\u3000"])
def test_an_anchor_without_words_is_refused(text: str) -> None:
    with pytest.raises(AnchorRefused, match="section FINDINGS is empty"):
        laid(Anchor("FINDINGS", text))


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1b", "\x1c", "\x85", "\ud800"])
def test_an_anchor_with_characters_that_no_report_can_carry_is_refused(character: str) -> None:
    with pytest.raises(AnchorRefused, match=f"U\\+{ord(character):04X}"):
        laid(Anchor("FINDINGS", f"No effusion{character}."))


def test_an_anchor_for_a_section_that_is_not_there_is_refused_and_told_which_there_are() -> None:
    with pytest.raises(AnchorRefused, match=r"no section 'LUNGS'.*FINDINGS, IMPRESSION"):
        laid(Anchor("LUNGS", "Clear."))


def test_an_anchor_fits_until_a_gap_would_be_too_small() -> None:
    slot = TEMPLATE.sections[0].tokens
    longest = slot - 2 * SMALLEST_GAP - 1  # its own leading space
    assert [p.tokens for p in laid(Anchor("FINDINGS", "x" * longest)).gaps("FINDINGS")] == [SMALLEST_GAP] * 2
    with pytest.raises(AnchorDoesNotFit, match="section FINDINGS: 1 dictated phrases take 53 of 60") as refusal:
        laid(Anchor("FINDINGS", "x" * (longest + 1)))
    assert "xxx" not in str(refusal.value), "errors quote no dictated text"


def test_a_template_longer_than_the_canvas_does_not_fit() -> None:
    assert laid(canvas_length=113).pieces[-1].tokens == 1
    with pytest.raises(AnchorDoesNotFit, match="template chest needs 113 tokens, the canvas has 112"):
        laid(canvas_length=112)
    huge = replace(TEMPLATE, sections=(replace(TEMPLATE.sections[0], tokens=1000),))
    with pytest.raises(AnchorDoesNotFit):
        laid(template=huge)


def test_a_section_of_given_lengths_is_as_long_as_its_text_and_the_next_one_follows() -> None:
    lengths = {"FINDINGS": [0, 7]}
    layout = lay(
        TEMPLATE,
        [Anchor("FINDINGS", "No effusion.")],
        encode=characters,
        canvas_length=128,
        end_id=END,
        lengths=lengths,
    )
    assert [(p.kind, p.tokens) for p in layout.pieces] == [
        (Kind.HEADING, 10),
        (Kind.GAP, 0),
        (Kind.ANCHOR, 13),
        (Kind.GAP, 7),
        (Kind.HEADING, 12),
        (Kind.GAP, 30),
        (Kind.END, 56),
    ]


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=40)


@given(st.lists(st.builds(Anchor, st.sampled_from(["FINDINGS", "IMPRESSION"]), words), max_size=5))
def test_every_anchor_is_on_the_canvas_whole_and_in_order_or_the_layout_is_refused(anchors: list[Anchor]) -> None:
    try:
        layout = laid(*anchors)
    except (AnchorDoesNotFit, AnchorRefused):
        return
    position = 0
    for piece in layout.pieces:
        assert piece.start == position
        position = piece.stop
        place = layout.ids[piece.start : piece.stop]
        if piece.kind is Kind.GAP:
            assert piece.tokens >= SMALLEST_GAP
            assert set(place) == {FREE}
        else:
            assert FREE not in place
    assert position == len(layout.ids) == 128
    for name in ("FINDINGS", "IMPRESSION"):
        on_canvas = [p for p in layout.pieces if p.kind is Kind.ANCHOR and p.section == name]
        said = [a.text for a in anchors if a.section == name]
        assert [p.text for p in on_canvas] == said
        assert ["".join(map(chr, layout.ids[p.start : p.stop])) for p in on_canvas] == [" " + text for text in said]
        slot = TEMPLATE.section(name).tokens
        assert sum(p.tokens for p in [*on_canvas, *layout.gaps(name)]) == slot
