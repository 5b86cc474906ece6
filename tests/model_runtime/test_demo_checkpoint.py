"""The checkpoint that comes with the product, through the door: held-out phantoms with dictated phrases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_runtime.canvas import Anchor
from model_runtime.contradictions.claims import facts_of
from model_runtime.draft_text import Author, DraftText
from model_runtime.drafter import Drafter
from model_runtime.phantoms.phantom import HELD_OUT, Phantom
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts.prompt import PromptFacts

DEMO = Path(__file__).parents[2] / "model_runtime" / "weights" / "demo"
FACTS = PromptFacts("DX", "CHEST", "PA")
ANCHORS = (
    Anchor("FINDINGS", "Comparison is made with the previous study."),
    Anchor("IMPRESSION", "Clinical correlation is recommended."),
)
SEEDS = range(HELD_OUT, HELD_OUT + 5)

pytestmark = pytest.mark.skipif(not DEMO.is_dir(), reason=f"{DEMO} is missing: python -m model_runtime.training.demo")


@pytest.fixture(scope="module")
def drafter() -> Drafter:
    return Drafter.load(DEMO, "cpu")


@pytest.fixture(scope="module")
def drafts(drafter: Drafter) -> list[DraftText]:
    images = [np.repeat(Phantom.of(seed).image()[..., None], 3, axis=2) for seed in SEEDS]
    return [drafter.draft([image], TEMPLATE, ANCHORS, FACTS, seed=1) for image in images]


def test_dictated_phrases_stand_in_every_draft_with_the_model_s_text_around_them(drafts: list[DraftText]) -> None:
    for draft in drafts:
        assert not draft.missing
        for section, anchor in zip(draft.sections, ANCHORS, strict=True):
            assert [s.text for s in section.spans if s.kind is Author.ANCHOR] == [anchor.text]
        assert any(s.kind is Author.MODEL and s.text.strip() for s in draft.sections[0].spans)
        text = " ".join(section.text for section in draft.sections)
        assert "  " not in text
        assert "\ufffd" not in text


def test_the_model_reads_the_image(drafts: list[DraftText]) -> None:
    right = total = 0
    for seed, draft in zip(SEEDS, drafts, strict=True):
        shown = Phantom.of(seed).facts.table()
        said = facts_of(draft.sections[0].text).table()
        right += sum(said[finding] == shown[finding] for finding in shown)
        total += len(shown)
    assert right / total > 0.95


def test_two_images_are_not_reported_alike(drafts: list[DraftText]) -> None:
    assert len({draft.sections for draft in drafts}) == len(drafts)


def test_the_card_says_that_it_is_no_medical_device(drafter: Drafter) -> None:
    assert "Not for clinical use" in drafter.card.purpose
    assert drafter.card.covers("DX", "CHEST") is None
    assert drafter.card.covers("CT", "CHEST")
