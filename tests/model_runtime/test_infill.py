"""The traps of denoising around clamped positions, each on the real generate()."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from transformers import LogitsProcessorList

from model_runtime.canvas import FREE, Anchor, Layout, Template, lay
from model_runtime.checkpoint import LoadedModel
from model_runtime.errors import AnchorMoved
from model_runtime.infill import ClampedLogits, Filled, infill

ANCHORS = (Anchor("FINDINGS", "No pleural effusion or pneumothorax."), Anchor("IMPRESSION", "heart size is normal"))


@pytest.fixture
def layout(loaded: LoadedModel, template: Template) -> Layout:
    return lay_out(loaded, template, ANCHORS)


def lay_out(loaded: LoadedModel, template: Template, anchors: tuple[Anchor, ...]) -> Layout:
    codec = loaded.codec
    return lay(template, anchors, encode=codec.encode, canvas_length=loaded.canvas_length, end_id=codec.end_id)


def fill(loaded: LoadedModel, *layouts: Layout, seed: int = 0, **how: object) -> list[Filled]:
    ids = torch.tensor([[2, *loaded.codec.encode("The lungs")]])
    return infill(loaded, {"input_ids": ids.expand(len(layouts), -1)}, layouts, seed=seed, **how)  # type: ignore[arg-type]


def skewed(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch, skew: Callable[[torch.Tensor], None]) -> None:
    """Let `skew` change what the decoder says, in place, before any processor sees it."""
    forward = loaded.model.forward

    def skewing(*args: object, **kwargs: object) -> object:
        output = forward(*args, **kwargs)
        skew(output.logits)
        return output

    monkeypatch.setattr(loaded.model, "forward", skewing)


def test_clamped_positions_hold_their_tokens_at_every_step(loaded: LoadedModel, layout: Layout) -> None:
    canvases: list[list[int]] = []
    (filled,) = fill(loaded, layout, on_step=lambda rows: canvases.extend(rows))
    assert len(canvases) == filled.steps == loaded.card.sampler.steps
    for canvas in [*canvases, list(filled.ids)]:
        assert [i for i, fixed in zip(canvas, layout.ids, strict=True) if fixed != FREE] == [
            i for i in layout.ids if i != FREE
        ]


def test_what_is_committed_is_what_the_last_step_thought_likeliest(loaded: LoadedModel, layout: Layout) -> None:
    canvases: list[list[int]] = []
    (filled,) = fill(loaded, layout, on_step=lambda rows: canvases.extend(rows))
    assert list(filled.ids) == canvases[-1]


def test_a_canvas_that_came_back_otherwise_is_refused(
    loaded: LoadedModel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClampedLogits, "__call__", lambda self, input_ids, scores, cur_step: scores)
    with pytest.raises(AnchorMoved, match="clamped position"):
        fill(loaded, layout)


def test_an_end_token_wanted_in_a_gap_neither_stands_there_nor_wipes_what_follows(
    loaded: LoadedModel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = [1, loaded.codec.end_id, loaded.tokenizer.pad_token_id]

    def want_the_end(logits: torch.Tensor) -> None:
        logits[..., eager] = 1e4

    skewed(loaded, monkeypatch, want_the_end)
    (filled,) = fill(loaded, layout)
    free = [i for i, fixed in zip(filled.ids, layout.ids, strict=True) if fixed == FREE]
    assert not {*eager} & {*free}


def test_gaps_hold_text_or_filler_and_nothing_else(loaded: LoadedModel, layout: Layout) -> None:
    token = loaded.tokenizer.convert_tokens_to_ids
    banned = {*loaded.codec.banned}
    assert {token("<eos>"), token("<pad>"), token("<turn|>"), token("<|image|>"), token("<0x41>")} <= banned
    assert loaded.vocabulary_size - 1 in banned, "the output layer is wider than the vocabulary"
    assert token("<filler>") not in banned
    for seed in range(5):
        (filled,) = fill(loaded, layout, seed=seed)
        assert not banned & {i for i, fixed in zip(filled.ids, layout.ids, strict=True) if fixed == FREE}


def test_a_model_may_leave_a_gap_to_the_filler(
    loaded: LoadedModel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    filler = loaded.codec.filler_id
    skewed(loaded, monkeypatch, lambda logits: logits[..., filler].fill_(1e4))
    (filled,) = fill(loaded, layout)
    assert {i for i, fixed in zip(filled.ids, layout.ids, strict=True) if fixed == FREE} == {filler}


def test_early_stop_asks_the_free_positions_only(
    loaded: LoadedModel, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free positions just too unsure to stop on: clamped zeros must not make them look sure."""
    sampler = replace(loaded.card.sampler, t_min=0.999, t_max=1.0, confidence_threshold=0.1)
    unsure = replace(loaded, card=replace(loaded.card, sampler=sampler))
    layout = lay_out(unsure, template, ANCHORS)

    def two_minds(logits: torch.Tensor) -> None:
        """Entropy 0.123 at each position: above the threshold, and below it if spread over the whole canvas."""
        logits.fill_(-1e4)
        logits[..., 270] = 3.6
        logits[..., 271] = 0.0

    assert 0.122 * layout.free / len(layout.ids) < sampler.confidence_threshold < 0.122
    skewed(loaded, monkeypatch, two_minds)
    (filled,) = fill(unsure, layout)
    assert filled.steps == sampler.steps
    sure = replace(loaded, card=replace(loaded.card, sampler=replace(sampler, confidence_threshold=0.15)))
    (filled,) = fill(sure, layout)
    assert filled.steps == 2  # the first step at which nothing changed


def test_a_second_draft_is_not_colder_than_the_first(
    loaded: LoadedModel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """generate() appends its temperature to the list it is given: the list must be a new one each time."""
    lengths: list[int] = []
    call = LogitsProcessorList.__call__

    def counting(self: LogitsProcessorList, *args: object, **kwargs: object) -> object:
        lengths.append(len(self))
        return call(self, *args, **kwargs)

    monkeypatch.setattr(LogitsProcessorList, "__call__", counting)
    for _ in range(3):
        fill(loaded, layout)
    assert set(lengths) == {2}  # the clamp and the temperature


def test_the_card_decides_how_it_is_sampled(loaded: LoadedModel, layout: Layout) -> None:
    """Not the generation config beside the weights, and not whatever was asked for first in this process."""
    (first,) = fill(loaded, layout)
    greedy = replace(loaded.card.sampler, entropy_bound=1e6, steps=3)
    (other,) = fill(replace(loaded, card=replace(loaded.card, sampler=greedy)), layout)
    assert (first.steps, other.steps) == (6, 3)
    bold = replace(loaded.card.sampler, entropy_bound=1e6)
    (bolder,) = fill(replace(loaded, card=replace(loaded.card, sampler=bold)), layout)
    assert bolder.ids != first.ids


def test_the_same_seed_gives_the_same_canvas_and_leaves_the_callers_generator_alone(
    loaded: LoadedModel, layout: Layout
) -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first = fill(loaded, layout, seed=7)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(321)
    assert fill(loaded, layout, seed=7) == first
    assert fill(loaded, layout, seed=8) != first


def test_several_layouts_share_one_call(loaded: LoadedModel, template: Template, layout: Layout) -> None:
    others = [lay_out(loaded, template, ()), lay_out(loaded, template, ANCHORS[:1])]
    filled = fill(loaded, layout, *others)
    for row, wanted in zip(filled, (layout, *others), strict=True):
        assert all(a == b for a, b in zip(row.ids, wanted.ids, strict=True) if b != FREE)
        assert all(0 < p <= 1 for p in row.probabilities)


def test_probabilities_are_those_of_the_committed_tokens(
    loaded: LoadedModel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before temperature, after the ban; certain where clamped."""

    def three_to_one(logits: torch.Tensor) -> None:
        logits.fill_(-1e4)
        logits[..., 1] = 50.0  # banned: out of the sum
        logits[..., 270] = torch.log(torch.tensor(3.0))
        logits[..., 271] = 0.0

    skewed(loaded, monkeypatch, three_to_one)
    (filled,) = fill(loaded, layout)
    for i, p, fixed in zip(filled.ids, filled.probabilities, layout.ids, strict=True):
        assert (i, p) == ((270, pytest.approx(0.75)) if fixed == FREE else (fixed, 1.0))


def test_a_row_that_stops_early_keeps_the_probabilities_of_its_own_last_step(
    loaded: LoadedModel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = iter(range(100))

    def first_row_is_sure(logits: torch.Tensor) -> None:
        step = next(call)
        logits.fill_(-1e4)
        logits[..., 270] = 0.0
        logits[0, :, 271] = -20.0 + step  # sure, and less sure with every step after
        logits[1, :, 271] = -0.1

    skewed(loaded, monkeypatch, first_row_is_sure)
    sure, unsure = fill(loaded, layout, layout)
    assert (sure.steps, unsure.steps) == (2, 6)
    assert min(sure.probabilities) == pytest.approx(1 / (1 + 2.718281828**-19), abs=1e-7)


def test_raising_from_on_step_cancels(loaded: LoadedModel, layout: Layout) -> None:
    class Enough(Exception):
        pass

    seen = 0

    def stop(rows: list[list[int]]) -> None:
        nonlocal seen
        seen += 1
        raise Enough

    with pytest.raises(Enough):
        fill(loaded, layout, on_step=stop)
    assert seen == 1
    assert fill(loaded, layout)  # and the next draft is not held up
