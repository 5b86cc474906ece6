"""The traps of denoising around clamped positions, and transformers' own generate() as oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.generation.streamers import BaseStreamer
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationConfig,
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
)

from model_runtime.canvas import FREE, Anchor, Layout, Template, lay
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.infill import Filled, Job, OnStep, infill
from model_runtime.denoising.step import Clamp, draw
from model_runtime.errors import AnchorMoved, Cancelled, DraftingError
from model_runtime.prompts import prompt
from model_runtime.prompts.prefix import Prefix, read
from model_runtime.prompts.prompt import PromptFacts

ANCHORS = (Anchor("FINDINGS", "No pleural effusion or pneumothorax."), Anchor("IMPRESSION", "heart size is normal"))


@pytest.fixture
def layout(loaded: LoadedModel, template: Template) -> Layout:
    return lay_out(loaded, template, ANCHORS)


def lay_out(loaded: LoadedModel, template: Template, anchors: tuple[Anchor, ...]) -> Layout:
    codec = loaded.codec
    return lay(template, anchors, encode=codec.encode, canvas_length=loaded.canvas_length, end_id=codec.end_id)


def prefix_of(loaded: LoadedModel, text: str) -> Prefix:
    return read(loaded, {"input_ids": torch.tensor([[2, *loaded.codec.encode(text)]])})


def fill(loaded: LoadedModel, *layouts: Layout, seed: int = 0, on_step: OnStep | None = None) -> list[Filled]:
    prefix = prefix_of(loaded, "The lungs")
    filled = infill(loaded, [Job(prefix, layout, seed) for layout in layouts], on_step=on_step)
    return [whole(row) for row in filled]


def whole(row: Filled | DraftingError) -> Filled:
    assert isinstance(row, Filled)
    return row


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
    (filled,) = fill(loaded, layout, on_step=lambda row, step, ids: canvases.append(ids))
    assert len(canvases) == filled.steps == loaded.card.sampler.steps
    for canvas in [*canvases, list(filled.ids)]:
        assert [i for i, fixed in zip(canvas, layout.ids, strict=True) if fixed != FREE] == [
            i for i in layout.ids if i != FREE
        ]


def test_what_is_committed_is_what_the_last_step_thought_likeliest(loaded: LoadedModel, layout: Layout) -> None:
    canvases: list[list[int]] = []
    (filled,) = fill(loaded, layout, on_step=lambda row, step, ids: canvases.append(ids))
    assert list(filled.ids) == canvases[-1]


def test_a_canvas_that_came_back_otherwise_is_refused(
    loaded: LoadedModel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clamp, "__call__", lambda self, logits: logits)
    (refused,) = infill(loaded, [Job(prefix_of(loaded, "The lungs"), layout, 0)])
    assert isinstance(refused, AnchorMoved)
    assert "clamped position" in str(refused)


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
    assert token("\t") in banned, "no report can carry it"
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


def test_the_card_decides_how_it_is_sampled(loaded: LoadedModel, layout: Layout) -> None:
    """Not the generation config beside the weights."""
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
        logits[:-1, :, 271] = -20.0 + step  # sure, and less sure with every step after
        logits[-1, :, 271] = -0.1

    skewed(loaded, monkeypatch, first_row_is_sure)
    sure, unsure = fill(loaded, layout, layout)
    assert (sure.steps, unsure.steps) == (2, 6)
    assert min(sure.probabilities) == pytest.approx(1 / (1 + 2.718281828**-19), abs=1e-7)


def test_raising_from_on_step_ends_it(loaded: LoadedModel, layout: Layout) -> None:
    class Enough(Exception):
        pass

    def end(row: int, step: int, ids: list[int]) -> None:
        raise Enough

    with pytest.raises(Enough):
        fill(loaded, layout, on_step=end)
    assert fill(loaded, layout)  # and the next draft is not held up


def test_stopping_one_draft_is_noticed_within_a_step_and_leaves_the_others_alone(
    loaded: LoadedModel, layout: Layout
) -> None:
    stop = Event()
    steps: list[tuple[int, int]] = []

    def after_the_second(row: int, step: int, ids: list[int]) -> None:
        steps.append((row, step))
        if step == 2:
            stop.set()

    prefix = prefix_of(loaded, "The lungs")
    stopped, other = infill(
        loaded, [Job(prefix, layout, 1, stop=stop), Job(prefix, layout, 2)], on_step=after_the_second
    )
    assert isinstance(stopped, Cancelled)
    assert [step for row, step in steps if row == 0] == [1, 2]
    assert other == fill(loaded, layout, seed=2)[0]


def test_a_draft_does_not_depend_on_who_shares_its_batch(
    loaded: LoadedModel, template: Template, layout: Layout
) -> None:
    """Neither on their prompts, which are of other lengths, nor on when they are done."""
    prompts = [prefix_of(loaded, text) for text in ("The lungs", "heart size is normal. No nodule", "x " * 40)]
    layouts = [layout, lay_out(loaded, template, ()), lay_out(loaded, template, ANCHORS[1:])]
    jobs = [
        Job(prompt, each, seed, steps=steps)
        for prompt, each, seed, steps in zip(prompts, layouts, (7, 8, 9), (6, 3, 5), strict=True)
    ]
    together = [whole(row) for row in infill(loaded, jobs)]
    for job, row in zip(jobs, together, strict=True):
        (alone,) = infill(loaded, [job])
        assert (row.ids, row.steps) == (whole(alone).ids, whole(alone).steps)
        assert row.probabilities == pytest.approx(whole(alone).probabilities, abs=1e-5)


def test_a_start_is_kept_where_the_model_agrees_and_noise_is_put_where_it_is_free(
    loaded: LoadedModel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[torch.Tensor] = []
    forward = loaded.model.forward

    def noting(*args: object, **kwargs: object) -> object:
        first.append(kwargs["decoder_input_ids"])  # type: ignore[arg-type]
        return forward(*args, **kwargs)

    monkeypatch.setattr(loaded.model, "forward", noting)
    free = [k for k, fixed in enumerate(layout.ids) if fixed == FREE]
    start = [270 if k in free[:10] else FREE for k in range(len(layout.ids))]
    infill(loaded, [Job(prefix_of(loaded, "The lungs"), layout, 0, start=start)])
    (canvas,) = first[0].tolist()
    assert [canvas[k] for k in free[:10]] == [270] * 10
    assert len({canvas[k] for k in free[10:]}) > 10
    assert all(a == b for a, b in zip(canvas, layout.ids, strict=True) if b != FREE)


def test_after_every_step_the_canvas_is_that_of_transformers_on_the_same_random_numbers(
    loaded: LoadedModel, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle draws with torch.multinomial, whose numbers cannot be given to it: here it draws as we do."""
    inputs = prompt.encode(
        [np.random.default_rng(0).integers(0, 256, (120, 96, 3), dtype=np.uint8)],
        PromptFacts("DX", "CHEST"),
        tokenizer=loaded.tokenizer,
        image_processor=loaded.image_processor,
    )
    ours: list[list[int]] = []
    infill(loaded, [Job(read(loaded, inputs), layout, 7)], on_step=lambda row, step, ids: ours.append(ids))
    assert ours == oracle(loaded, inputs, layout, 7, monkeypatch)


def oracle(
    loaded: LoadedModel, inputs: dict[str, torch.Tensor], layout: Layout, seed: int, monkeypatch: pytest.MonkeyPatch
) -> list[list[int]]:
    """The canvases of generate() after each step."""
    generator = torch.Generator().manual_seed(seed)
    sampler, length = loaded.card.sampler, loaded.canvas_length
    ids = torch.tensor([layout.ids])
    clamp = Clamp(ids, loaded.codec.banned)
    frames: list[list[int]] = []

    def noise(*_: object, **__: object) -> torch.Tensor:
        return torch.randint(loaded.vocabulary_size, (length,), generator=generator)[None]

    class Clamped(LogitsProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, cur_step: torch.Tensor) -> torch.Tensor:
            return clamp(scores)

    class Frames(BaseStreamer):
        def put(self, value: torch.Tensor) -> None:
            pass

        def end(self) -> None:
            pass

        def put_draft(self, value: torch.Tensor) -> None:
            frames.append(value[0].tolist())

    start = torch.where(ids == FREE, noise(), ids)
    with monkeypatch.context() as patched:
        patched.setattr(EntropyBoundSampler, "initialize_canvas", noise)
        chance = lambda p, num_samples: draw(p, torch.rand(length, generator=generator))[:, None]  # noqa: E731
        patched.setattr(torch, "multinomial", chance)
        # Before the loop it makes a canvas even if it is given one; it must not take our numbers for that.
        state = generator.get_state()
        prepare = loaded.model._prepare_denoiser_inputs
        patched.setattr(
            loaded.model, "_prepare_denoiser_inputs", lambda **how: (prepare(**how), generator.set_state(state))[0]
        )
        loaded.model.generate(
            **inputs,
            decoder_input_ids=start,
            logits_processor=LogitsProcessorList([Clamped()]),
            streamer=Frames(),
            pad_token_id=None,
            generation_config=DiffusionGemmaGenerationConfig(
                max_new_tokens=length,
                max_denoising_steps=sampler.steps,
                sampler_config=EntropyBoundSamplerConfig(entropy_bound=sampler.entropy_bound),
                t_min=sampler.t_min,
                t_max=sampler.t_max,
                stability_threshold=sampler.stability_threshold,
                confidence_threshold=sampler.confidence_threshold * layout.free / length,
            ),
        )
    return frames
