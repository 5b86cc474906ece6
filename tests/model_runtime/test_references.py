"""Which of two images a sentence refers to, with the checkpoint that comes along; it has learnt from one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_runtime.canvas import Anchor
from model_runtime.checkpoints.checkpoint import LoadedModel, load
from model_runtime.contradictions.claims import claims
from model_runtime.draft_text import Author, DraftText, Span
from model_runtime.drafter import Drafter
from model_runtime.findings import Facts
from model_runtime.phantoms.phantom import HELD_OUT, Phantom
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts import prompt
from model_runtime.prompts.prefix import Prefix, extended, read, without_image
from model_runtime.prompts.prompt import PromptFacts

DEMO = Path(__file__).parents[2] / "model_runtime" / "weights" / "demo"
FACTS = PromptFacts("DX", "CHEST", "PA")


def seen(phantom: Phantom) -> NDArray[np.uint8]:
    return np.repeat(phantom.image()[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def demo() -> LoadedModel:
    """Allowed two images."""
    loaded = load(DEMO, "cpu")
    return replace(loaded, card=replace(loaded.card, prompt={**loaded.card.prompt, "images": 2}))


@pytest.fixture(scope="module")
def drafter(demo: LoadedModel) -> Drafter:
    return Drafter(demo)


@pytest.fixture(scope="module")
def clear_chest() -> NDArray[np.uint8]:
    seeds = range(HELD_OUT, HELD_OUT + 10_000)
    return seen(next(phantom for phantom in map(Phantom.of, seeds) if phantom.facts == Facts()))


def findings(phantom: Phantom, draft: DraftText) -> list[Span]:
    """The sentences that name something that the phantom has, and a clear chest has not."""
    there = phantom.facts.table().items() - Facts().table().items()
    return [
        span
        for section in draft.sections
        for span in section.spans
        if any((finding, value) in there for finding, said in claims(span.text).items() for value in said)
    ]


@pytest.mark.parametrize("place", [1, 2])
def test_a_finding_refers_to_the_image_that_shows_it(
    drafter: Drafter, clear_chest: NDArray[np.uint8], place: int
) -> None:
    told: list[int | None] = []
    for seed in range(HELD_OUT, HELD_OUT + 4):
        phantom = Phantom.of(seed)
        images = [seen(phantom), clear_chest] if place == 1 else [clear_chest, seen(phantom)]
        told += [span.image for span in findings(phantom, drafter.draft(images, TEMPLATE, (), FACTS, seed=seed))]
    assert told.count(place) > 6
    assert 3 - place not in told


def test_with_one_image_every_sentence_is_of_it_and_dictated_words_are_of_none(
    drafter: Drafter, clear_chest: NDArray[np.uint8]
) -> None:
    draft = drafter.draft([clear_chest], TEMPLATE, [Anchor("FINDINGS", "Lungs clear.")], FACTS, seed=0)
    spans = [span for section in draft.sections for span in section.spans]
    assert {span.image for span in spans if span.kind is Author.ANCHOR} == {None}
    assert {span.image for span in spans if span.confidence is not None} == {1}
    assert DraftText.from_json(draft.as_json()) == draft


def prefix_of(loaded: LoadedModel, images: list[NDArray[np.uint8]]) -> Prefix:
    return read(
        loaded,
        prompt.encode(images, FACTS, tokenizer=loaded.tokenizer, image_processor=loaded.image_processor),
    )


def layers(prefix: Prefix) -> Sequence[Any]:
    return prefix.cache.layers


def test_what_is_hidden_is_all_of_one_image_and_nothing_else(demo: LoadedModel, clear_chest: NDArray[np.uint8]) -> None:
    whole = prefix_of(demo, [clear_chest, clear_chest])
    hidden = whole.images[0]
    assert hidden.stop - hidden.start == whole.images[1].stop - whole.images[1].start > 1
    rest = without_image(whole, 0)
    assert rest.length == whole.length
    for before, after in zip(layers(whole), layers(rest), strict=True):
        for kept, left in ((before.keys, after.keys), (before.values, after.values)):
            assert torch.equal(left[:, :, : hidden.start], kept[:, :, : hidden.start])
            assert torch.equal(left[:, :, hidden.start :], kept[:, :, hidden.stop :])


def test_a_layer_that_has_forgotten_the_image_is_left_as_it_is(
    demo: LoadedModel, clear_chest: NDArray[np.uint8]
) -> None:
    window = demo.model.config.get_text_config(decoder=True).sliding_window
    long = extended(demo, prefix_of(demo, [clear_chest]), [demo.codec.encode(" lung")[0]] * window)
    sizes = {
        (layer.keys.shape[2], rest.keys.shape[2])
        for layer, rest in zip(layers(long), layers(without_image(long, 0)), strict=True)
    }
    (soft,) = long.images
    assert sizes == {(long.length, long.length - (soft.stop - soft.start)), (window - 1, window - 1)}
