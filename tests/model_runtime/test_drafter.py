"""The door, on a tiny random model: what is said stands, whatever the model would have written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_runtime.canvas import Anchor, Template
from model_runtime.checkpoints.checkpoint import LoadedModel, load
from model_runtime.denoising.step import Clamp
from model_runtime.draft_text import Author, DraftText
from model_runtime.drafter import Drafter
from model_runtime.errors import AnchorDoesNotFit, AnchorMoved, AnchorRefused
from model_runtime.prompts.prompt import PromptFacts

FACTS = PromptFacts("DX", "CHEST")
ANCHORS = (Anchor("FINDINGS", "No pleural effusion."), Anchor("IMPRESSION", "heart size is normal"))


@pytest.fixture(scope="session")
def drafter(loaded: LoadedModel) -> Drafter:
    return Drafter(loaded)


@pytest.fixture(scope="session")
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (120, 96, 3), dtype=np.uint8)


def test_anchors_stand_in_their_sections_byte_for_byte(
    drafter: Drafter, image: NDArray[np.uint8], template: Template
) -> None:
    draft = drafter.draft([image], template, ANCHORS, FACTS, seed=1)
    assert [s.name for s in draft.sections] == ["FINDINGS", "IMPRESSION"]
    for section, anchor in zip(draft.sections, ANCHORS, strict=True):
        assert [s.text for s in section.spans if s.kind is Author.ANCHOR] == [anchor.text]
        assert anchor.text in section.text
        assert (section.heading, section.code) == (
            template.section(section.name).heading,
            template.section(section.name).code,
        )
    assert draft.missing == ()
    assert draft.steps == drafter.card.sampler.steps
    written = [s for section in draft.sections for s in section.spans if s.kind is Author.MODEL]
    assert written
    assert all(s.confidence is None or 0 < s.confidence <= 1 for s in written)
    assert draft.confidence is not None
    assert 0 < draft.confidence.lowest <= draft.confidence.mean <= 1


def test_the_same_inputs_and_seed_give_the_same_bytes(
    drafter: Drafter, image: NDArray[np.uint8], template: Template
) -> None:
    def draft(seed: int) -> str:
        return drafter.draft([image], template, ANCHORS, FACTS, seed=seed).as_json()

    first = draft(5)
    torch.manual_seed(99)
    assert draft(5) == first
    assert draft(6) != first


def test_drafts_asked_for_at_the_same_time_do_not_disturb_each_other(
    drafter: Drafter, image: NDArray[np.uint8], template: Template
) -> None:
    def draft(seed: int) -> DraftText:
        return drafter.draft([image], template, ANCHORS, FACTS, seed=seed)

    one_by_one = [draft(seed) for seed in (1, 2, 3, 4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draft, (1, 2, 3, 4))) == one_by_one


def test_bfloat16_as_on_a_gpu_keeps_anchors_too(checkpoint: Path, image: NDArray[np.uint8], template: Template) -> None:
    halved = Drafter(load(checkpoint, "cpu", torch.bfloat16))
    draft = halved.draft([image], template, ANCHORS, FACTS, seed=1)
    assert all(a.text in s.text for s, a in zip(draft.sections, ANCHORS, strict=True))


def test_a_loaded_drafter_says_who_it_is(checkpoint: Path, loaded: LoadedModel) -> None:
    identity = Drafter.load(checkpoint, "cpu").identity(seed=3)
    assert (identity.name, identity.version, identity.device, identity.seed) == ("tiny", "0", "cpu", 3)
    assert identity.fingerprint == loaded.fingerprint
    assert identity.sampler == loaded.card.sampler
    assert identity.torch == torch.__version__


def test_a_draft_goes_through_json_unchanged(drafter: Drafter, image: NDArray[np.uint8], template: Template) -> None:
    draft = drafter.draft([image], template, [Anchor("FINDINGS", "肺野 e\u0301 \r\n |^~\\&")], FACTS, seed=1)
    assert DraftText.from_json(draft.as_json()) == draft


def test_a_required_section_that_came_out_empty_is_named(
    drafter: Drafter, image: NDArray[np.uint8], template: Template, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = loaded.model.forward

    def only_fillers(*args: object, **kwargs: object) -> object:
        output = forward(*args, **kwargs)
        output.logits[..., loaded.codec.filler_id] = 1e4
        return output

    monkeypatch.setattr(loaded.model, "forward", only_fillers)
    draft = drafter.draft([image], template, (), FACTS, seed=1)
    assert [s.text for s in draft.sections] == ["", ""]
    assert draft.missing == ("FINDINGS",)  # the impression is not required
    assert draft.confidence is None
    assert drafter.draft([image], template, ANCHORS[:1], FACTS, seed=1).missing == ()


def test_a_moved_anchor_gives_no_draft(
    drafter: Drafter, image: NDArray[np.uint8], template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clamp, "__call__", lambda self, logits: logits)
    with pytest.raises(AnchorMoved):
        drafter.draft([image], template, ANCHORS, FACTS, seed=1)


def test_what_does_not_fit_is_refused(drafter: Drafter, image: NDArray[np.uint8], template: Template) -> None:
    with pytest.raises(AnchorDoesNotFit, match="section FINDINGS"):
        drafter.draft([image], template, [Anchor("FINDINGS", "effusion " * 60)], FACTS, seed=1)
    with pytest.raises(AnchorRefused, match="tokenizer"):
        drafter.draft([image], template, [Anchor("FINDINGS", "a\u2581b")], FACTS, seed=1)


def test_a_prompt_holds_as_many_images_as_the_card_allows(
    drafter: Drafter, image: NDArray[np.uint8], template: Template
) -> None:
    two = drafter.draft([image, image[::-1]], template, ANCHORS, FACTS, seed=1)
    assert two != drafter.draft([image], template, ANCHORS, FACTS, seed=1)
    with pytest.raises(ValueError, match="3 images were given, tiny reads at most 2"):
        drafter.draft([image] * 3, template, ANCHORS, FACTS, seed=1)
    with pytest.raises(ValueError, match="no image"):
        drafter.draft([], template, ANCHORS, FACTS, seed=1)


def test_the_card_s_own_prompt_is_used(
    loaded: LoadedModel, drafter: Drafter, image: NDArray[np.uint8], template: Template
) -> None:
    terse = replace(loaded, card=replace(loaded.card, prompt={"pattern": "<bos>{images}{facts}"}))
    draft = Drafter(terse).draft([image], template, ANCHORS, FACTS, seed=1)
    assert draft.sections != drafter.draft([image], template, ANCHORS, FACTS, seed=1).sections


def test_warming_up_needs_no_case(drafter: Drafter) -> None:
    drafter.warm_up()


characters = st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from(
    "e\u0301\u0327肺😀👩🏽‍⚕️|^~\\&\r\n\t ﷺ"
)
named_tokens = st.sampled_from(["<eos>", "<|image|>", "<turn|>", "<filler>", "<0x41>", "<pad><pad>", " <bos> "])
spoken = (st.text(characters, min_size=1, max_size=8) | named_tokens).flatmap(lambda t: st.sampled_from([t, f" {t}  "]))
said = st.builds(Anchor, st.sampled_from(["FINDINGS", "IMPRESSION"]), spoken)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anchors=st.lists(said, max_size=3), seed=st.integers(0, 2**63 - 1))
def test_any_anchor_is_kept_byte_for_byte_and_in_order_or_refused(
    loaded: LoadedModel, image: NDArray[np.uint8], template: Template, anchors: list[Anchor], seed: int
) -> None:
    quick = replace(loaded, card=replace(loaded.card, sampler=replace(loaded.card.sampler, steps=1)))
    try:
        draft = Drafter(quick).draft([image], template, anchors, FACTS, seed=seed)
    except (AnchorDoesNotFit, AnchorRefused):
        return
    for section in draft.sections:
        dictated = [a.text.encode() for a in anchors if a.section == section.name]
        assert [s.text.encode() for s in section.spans if s.kind is Author.ANCHOR] == dictated
        text = section.text.encode()
        for before, span in pairwise(section.spans):
            if span.kind is Author.ANCHOR:
                assert before.kind is Author.MODEL
                assert before.text.endswith(" ")
        at = 0
        for phrase in dictated:
            found = text.find(phrase, at)
            assert found >= 0
            at = found + len(phrase)
    assert DraftText.from_json(draft.as_json()) == draft
