"""Which sizes are tried, and that the one is taken of which the model is surest."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from threading import Event

import pytest
import torch

from model_runtime.canvas import FREE, Anchor, Kind, Layout, Template, lay
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.checkpoints.codec import TextCodec
from model_runtime.denoising.gap_lengths import ROWS, best_layout, sizes
from model_runtime.denoising.infill import Filled, Job, infill
from model_runtime.errors import AnchorDoesNotFit, Cancelled
from model_runtime.prompts.prefix import Prefix, read

ANCHORS = (Anchor("FINDINGS", "No pleural effusion."), Anchor("FINDINGS", "heart size"), Anchor("IMPRESSION", "nodule"))


@pytest.fixture(scope="module")
def bare(loaded: LoadedModel) -> LoadedModel:
    """The same model, of which nobody says that it has learnt a filler."""
    card = replace(loaded.card, filler=None)
    return replace(loaded, card=card, codec=TextCodec(loaded.tokenizer, card, loaded.vocabulary_size))


@pytest.fixture(scope="module")
def prefix(bare: LoadedModel) -> Prefix:
    return read(bare, {"input_ids": torch.tensor([[2, *bare.codec.encode("The lungs")]])})


def whole(bare: LoadedModel, template: Template) -> Layout:
    codec = bare.codec
    return lay(template, ANCHORS, encode=codec.encode, canvas_length=bare.canvas_length, end_id=codec.end_id)


def gaps(layout: Layout) -> dict[str, list[int]]:
    return {name: [gap.tokens for gap in layout.gaps(name)] for name in ("FINDINGS", "IMPRESSION")}


def test_sizes_begin_with_whole_slots_and_shrink_but_for_gaps_that_hold_text(
    bare: LoadedModel, template: Template
) -> None:
    layout = whole(bare, template)
    rows = sizes(template, layout, {"FINDINGS": [0, 5, 0]})
    assert len(rows) == ROWS
    assert rows[0] == gaps(layout) | {"FINDINGS": [gaps(layout)["FINDINGS"][0], 5, gaps(layout)["FINDINGS"][2]]}
    for larger, smaller in pairwise(rows):
        assert smaller["FINDINGS"][1] == 5
        assert larger["FINDINGS"][0] >= smaller["FINDINGS"][0] >= 1
        assert larger["IMPRESSION"][1] >= smaller["IMPRESSION"][1] >= 1
    assert rows[-1]["FINDINGS"][0] < rows[0]["FINDINGS"][0] / 4


@pytest.mark.parametrize("surest", [0, 3, ROWS - 1])
def test_the_size_is_taken_of_which_the_model_is_surest(
    bare: LoadedModel, prefix: Prefix, template: Template, monkeypatch: pytest.MonkeyPatch, surest: int
) -> None:
    forward = bare.model.forward
    together: list[int] = []

    def skewed(*args: object, **kwargs: object) -> object:
        output = forward(*args, **kwargs)
        together.append(len(output.logits))
        output.logits.fill_(0.0)
        output.logits[surest, :, 270] = 5.0
        return output

    monkeypatch.setattr(bare.model, "forward", skewed)
    layout = best_layout(bare, prefix, template, ANCHORS, seed=0)
    assert gaps(layout) == sizes(template, whole(bare, template), {})[surest]
    assert set(together) == {ROWS}, "all sizes share one reading of the weights"


def test_anchors_stand_gaps_are_full_and_the_same_seed_gives_the_same_layout(
    bare: LoadedModel, prefix: Prefix, template: Template
) -> None:
    layout = best_layout(bare, prefix, template, ANCHORS, seed=3)
    assert layout == best_layout(bare, prefix, template, ANCHORS, seed=3)
    assert [piece.text for piece in layout.pieces if piece.kind is Kind.ANCHOR] == [a.text for a in ANCHORS]
    (filled,) = infill(bare, [Job(prefix, layout, seed=3)])
    assert isinstance(filled, Filled)
    assert bare.tokenizer.convert_tokens_to_ids("<filler>") not in filled.ids
    assert all(a == b for a, b in zip(filled.ids, layout.ids, strict=True) if b != FREE)


def test_what_does_not_fit_its_slot_is_refused(bare: LoadedModel, prefix: Prefix, template: Template) -> None:
    with pytest.raises(AnchorDoesNotFit):
        best_layout(bare, prefix, template, [Anchor("IMPRESSION", "nodule " * 40)], seed=0)


def test_it_can_be_stopped(bare: LoadedModel, prefix: Prefix, template: Template) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Cancelled):
        best_layout(bare, prefix, template, ANCHORS, seed=0, stop=stop)
