"""Whatever is dictated, wherever: it stands in the draft byte for byte and in order, or it is refused for a reason."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import tiny_checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_runtime.canvas import SMALLEST_GAP, Anchor, Code, Section, Template
from model_runtime.draft_text import Author, DraftText
from model_runtime.drafter import Drafter
from model_runtime.errors import AnchorDoesNotFit, AnchorRefused
from model_runtime.prompts.prompt import PromptFacts
from model_runtime.redraft import Reach

CANVAS = 160
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
FACTS = PromptFacts("DX", "CHEST")
WORDS = ["No pleural effusion.", "heart size", " ", " normal", "The", "12 mm", "ö", "FINDINGS:"]
ODD = ["e\u0301", "漢字", "한글", "😀", "👩\u200d⚕️", "|^~\\&", "\\.br\\", "\r\n", "\n", "\t", "  ", "\u00a0"]
ODD += ["<eos>", "<filler>", "<0x0A>", "\u2028", "\ufeff"]
NO_TEXT = ["", "▁", "\x0b", "\x1c", "\x00", "\ud800"]


@dataclass(frozen=True)
class Dictated:
    template: Template
    anchors: tuple[Anchor, ...]


pieces = st.one_of(st.sampled_from(WORDS), st.sampled_from(ODD), st.text(max_size=4))
texts = st.lists(pieces, min_size=1, max_size=4).map("".join)
slot_sizes = st.integers(0, 30).map(lambda n: CANVAS if n == 1 else 120 - 4 * (n % 25))


def spoilt(text: str) -> st.SearchStrategy[str]:
    return st.integers(0, 15).flatmap(lambda n: st.just(text) if n else st.sampled_from(NO_TEXT).map(text.__add__))


@st.composite
def dictated(draw: st.DrawFn, anchors: int = 5) -> Dictated:
    """One to five sections, of which some, or all together, may be longer than a canvas."""
    slots = draw(st.lists(slot_sizes, min_size=1, max_size=5))
    code = Code("59776-5", "LN", "Findings")
    names = [f"PART{number}" for number in range(len(slots))]
    sections = tuple(Section(name, f"{name}:", code, slot) for name, slot in zip(names, slots, strict=True))
    said = st.builds(Anchor, st.sampled_from(names), texts.flatmap(spoilt), st.booleans())
    return Dictated(Template("random", code, sections), tuple(draw(st.lists(said, max_size=anchors))))


@pytest.fixture(scope="module")
def drafter(tmp_path_factory: pytest.TempPathFactory) -> Drafter:
    directory = tiny_checkpoint.write(tmp_path_factory.mktemp("model"), canvas_length=CANVAS, steps=1)
    return Drafter.load(directory, "cpu")


def check(draft: DraftText, template: Template, anchors: Sequence[Anchor]) -> None:
    assert [section.name for section in draft.sections] == [section.name for section in template.sections]
    for section in draft.sections:
        stands = [(span.text.encode(), span.kind) for span in section.spans if span.kind is not Author.MODEL]
        said = [anchor for anchor in anchors if anchor.section == section.name]
        assert stands == [(a.text.encode(), Author.ACCEPTED if a.accepted else Author.ANCHOR) for a in said]


def may_be_refused(text: str) -> bool:
    """Nothing to say, a character that is no text, or the one that the tokenizer takes for a space."""
    no_text = any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\r\n" for c in text)
    return no_text or not text.strip() or "▁" in text


def may_not_fit(drafter: Drafter, template: Template, anchors: Sequence[Anchor]) -> bool:
    codec = drafter._loaded.codec
    for section in template.sections:
        said = [len(codec.encode(" " + anchor.text)) for anchor in anchors if anchor.section == section.name]
        if section.tokens - sum(said) < SMALLEST_GAP * (len(said) + 1):
            return True
        if len(codec.encode(" " + section.heading)) + section.tokens >= CANVAS:
            return True
    return False


@given(case=dictated(), seed=st.integers(0, 2**40))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_anchors_stand_or_are_refused_for_a_reason(drafter: Drafter, case: Dictated, seed: int) -> None:
    template, anchors = case.template, case.anchors
    try:
        draft = drafter.draft([IMAGE], template, anchors, FACTS, seed=seed)
    except AnchorRefused:
        assert any(may_be_refused(anchor.text) for anchor in anchors)
    except AnchorDoesNotFit:
        assert may_not_fit(drafter, template, [a for a in anchors if not may_be_refused(a.text)])
    else:
        check(draft, template, anchors)


@given(
    case=dictated(anchors=4).filter(lambda case: not any(may_be_refused(a.text) for a in case.anchors)),
    newer=texts.filter(lambda text: not may_be_refused(text)),
    place=st.integers(0, 4),
    reach=st.sampled_from(Reach),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_a_new_phrase_moves_none_of_the_others(
    drafter: Drafter, case: Dictated, newer: str, place: int, reach: Reach
) -> None:
    """The others are accepted as they stand, or dictated; the present draft is one that has them."""
    template, before = case.template, list(case.anchors)
    section = template.sections[place % len(template.sections)].name
    now = [*before[:place], Anchor(section, newer), *(replace(anchor, accepted=True) for anchor in before[place:])]
    try:
        present = drafter.draft([IMAGE], template, before, FACTS, seed=1)
        draft = drafter.redraft([IMAGE], template, now, FACTS, present=present, reach=reach, seed=2)
    except AnchorDoesNotFit:
        assert may_not_fit(drafter, template, now)
    else:
        check(draft, template, now)
