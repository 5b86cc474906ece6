"""The left-to-right sibling that comes along: held-out phantoms, and phrases that it is told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_runtime.autoregressive import AutoregressiveDrafter
from model_runtime.canvas import Anchor
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.contradictions.claims import facts_of
from model_runtime.draft_text import Author, DraftText
from model_runtime.phantoms.phantom import HELD_OUT, Phantom
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts.prompt import PromptFacts

WEIGHTS = Path(__file__).parents[2] / "model_runtime" / "weights"
FACTS = PromptFacts("DX", "CHEST", "PA")
ANCHOR = Anchor("FINDINGS", "Comparison is made with the previous study.")
SEEDS = range(HELD_OUT, HELD_OUT + 10)


@pytest.fixture(scope="module")
def drafts() -> list[DraftText]:
    sibling = AutoregressiveDrafter.load(WEIGHTS / "sibling", "cpu")
    images = [np.repeat(Phantom.of(seed).image()[..., None], 3, axis=2) for seed in SEEDS]
    return [sibling.draft([image], TEMPLATE, (ANCHOR,), FACTS, seed=1) for image in images]


def test_it_reads_the_image(drafts: list[DraftText]) -> None:
    right = total = 0
    for seed, draft in zip(SEEDS, drafts, strict=True):
        shown, said = Phantom.of(seed).facts.table(), facts_of(draft.sections[0].text).table()
        right += sum(said[finding] == shown[finding] for finding in shown)
        total += len(shown)
    assert right / total > 0.95


def test_the_phrase_stands_in_every_draft(drafts: list[DraftText]) -> None:
    for draft in drafts:
        assert [s.text for s in draft.sections[0].spans if s.kind is Author.ANCHOR] == [ANCHOR.text]


def test_it_was_trained_as_long_as_the_demo_model_on_as_much_and_is_as_large() -> None:
    demo, sibling = ModelCard.read(WEIGHTS / "demo"), ModelCard.read(WEIGHTS / "sibling")
    for same in ("data", "batch", "steps", "rates", "seed", "start"):
        assert sibling.training[same] == demo.training[same]
    assert sibling.training["parameters"] == pytest.approx(demo.training["parameters"], rel=0.001)
