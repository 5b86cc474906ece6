"""With the checkpoint that comes along: what it finds of phrases that nobody placed, or that the image contradicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_runtime.canvas import Anchor
from model_runtime.draft_text import DraftText
from model_runtime.drafter import Drafter
from model_runtime.errors import AnchorDoesNotFit
from model_runtime.findings import Facts
from model_runtime.phantoms.phantom import HELD_OUT, Phantom
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts.prompt import PromptFacts

DEMO = Path(__file__).parents[2] / "model_runtime" / "weights" / "demo"
FACTS = PromptFacts("DX", "CHEST", "PA")


@pytest.fixture(scope="module")
def drafter() -> Drafter:
    return Drafter.load(DEMO, "cpu")


@pytest.fixture(scope="module")
def clear_chest() -> NDArray[np.uint8]:
    """A held-out phantom that shows nothing but lungs and a heart."""
    seed = next(s for s in range(HELD_OUT, HELD_OUT + 10_000) if Phantom.of(s).facts == Facts())
    return np.repeat(Phantom.of(seed).image()[..., None], 3, axis=2)


def draft(drafter: Drafter, image: NDArray[np.uint8], *anchors: Anchor) -> DraftText:
    return drafter.draft([image], TEMPLATE, anchors, FACTS, seed=0)


@pytest.mark.parametrize(
    "phrase",
    ["There is a left pneumothorax.", "A large right effusion is present.", "An endotracheal tube is in place."],
)
def test_a_phrase_that_the_image_contradicts_stands_and_is_flagged(
    drafter: Drafter, clear_chest: NDArray[np.uint8], phrase: str
) -> None:
    made = draft(drafter, clear_chest, Anchor("FINDINGS", phrase))
    assert phrase in made.sections[0].text
    (conflict,) = made.anchor_conflicts
    assert (conflict.section, conflict.phrase) == ("FINDINGS", phrase)
    assert 0 <= conflict.probability < 0.03


@pytest.mark.parametrize(
    "phrase",
    ["The lungs are clear.", "No pleural effusion or pneumothorax.", "Discussed with the ward by telephone at 14:30."],
)
def test_a_phrase_that_it_does_not_contradict_is_not(
    drafter: Drafter, clear_chest: NDArray[np.uint8], phrase: str
) -> None:
    """Nor one in words that the model does not know."""
    assert draft(drafter, clear_chest, Anchor("FINDINGS", phrase)).anchor_conflicts == ()


def test_what_the_radiologist_let_stand_is_not_looked_at_again(
    drafter: Drafter, clear_chest: NDArray[np.uint8]
) -> None:
    kept = Anchor("FINDINGS", "There is a left pneumothorax.", accepted=True)
    assert draft(drafter, clear_chest, kept).anchor_conflicts == ()


def test_phrases_without_a_section_are_placed_and_the_choice_is_shown(
    drafter: Drafter, clear_chest: NDArray[np.uint8]
) -> None:
    anchors = (
        Anchor("", "No pleural effusion or pneumothorax."),
        Anchor("FINDINGS", "The lungs are clear."),
        Anchor("", "No acute cardiopulmonary abnormality."),
    )
    made = draft(drafter, clear_chest, *anchors)
    assert [(p.phrase, p.section) for p in made.placements] == [
        (anchors[0].text, "FINDINGS"),
        (anchors[2].text, "IMPRESSION"),
    ]
    assert all(0.5 < p.probability <= 1 for p in made.placements)
    findings, impression = made.sections
    assert findings.text.index(anchors[0].text) < findings.text.index(anchors[1].text)
    assert anchors[2].text in impression.text
    assert DraftText.from_json(made.as_json()) == made


def test_a_phrase_that_fits_nowhere_is_refused(drafter: Drafter, clear_chest: NDArray[np.uint8]) -> None:
    with pytest.raises(AnchorDoesNotFit):
        draft(drafter, clear_chest, Anchor("", "pneumothorax " * 160))
