"""The GPU's own step with its arithmetic in plain PyTorch, float32: the plain step's canvases are the oracle."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from model_runtime.canvas import FREE, Anchor, Layout, Template, lay
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.infill import Filled, Job, infill
from model_runtime.denoising.stepping import SteppedModel, most_together, stepper_of
from model_runtime.errors import DraftingError
from model_runtime.gpu import fast_step
from model_runtime.gpu.fast_step import FastStepper, accelerated
from model_runtime.prompts.prefix import Prefix, read, without_image

ANCHORS = (Anchor("FINDINGS", "No pleural effusion or pneumothorax."), Anchor("IMPRESSION", "heart size is normal"))
LONGEST = 200


@pytest.fixture(scope="module")
def fast(loaded: LoadedModel) -> SteppedModel:
    return SteppedModel.of(loaded, FastStepper(loaded, longest_prompt=LONGEST))


def layout(loaded: LoadedModel, template: Template, *anchors: Anchor) -> Layout:
    codec = loaded.codec
    return lay(template, anchors, encode=codec.encode, canvas_length=loaded.canvas_length, end_id=codec.end_id)


def prefix(loaded: LoadedModel, tokens: int) -> Prefix:
    words = loaded.codec.encode("The lungs are clear heart size is normal nodule")
    return read(loaded, {"input_ids": torch.tensor([([2] + [*words] * tokens)[:tokens]])})


def run(loaded: LoadedModel, jobs: list[Job]) -> tuple[dict[tuple[int, int], list[int]], list[Filled | DraftingError]]:
    """Every step's canvas by job and step, and what came of the jobs."""
    frames: dict[tuple[int, int], list[int]] = {}
    filled = infill(loaded, jobs, on_step=lambda job, step, ids: frames.update({(job, step): ids}))
    return frames, filled


@pytest.fixture
def jobs(loaded: LoadedModel, template: Template) -> list[Job]:
    """Prompts of other lengths, one longer than the sliding layers' window; none ends at the same step."""
    start = layout(loaded, template).ids
    return [
        Job(prefix(loaded, 5), layout(loaded, template, *ANCHORS), seed=7),
        Job(prefix(loaded, 160), layout(loaded, template), seed=8, steps=3),
        Job(prefix(loaded, 40), layout(loaded, template, ANCHORS[1]), seed=9, steps=5, start=start),
    ]


def test_after_every_step_the_canvases_are_those_of_the_plain_step(
    loaded: LoadedModel, fast: LoadedModel, jobs: list[Job]
) -> None:
    for some in ([jobs[0]], [jobs[1]], jobs, [*jobs, *jobs]):
        frames, filled = run(fast, some)
        frames_plain, filled_plain = run(loaded, some)
        assert frames == frames_plain
        for own, plain in zip(filled, filled_plain, strict=True):
            assert isinstance(own, Filled)
            assert isinstance(plain, Filled)
            assert (own.ids, own.steps) == (plain.ids, plain.steps)
            assert own.probabilities == pytest.approx(plain.probabilities, abs=1e-5)


def test_rows_that_others_might_have_taken_change_nothing(
    loaded: LoadedModel, fast: LoadedModel, jobs: list[Job]
) -> None:
    """What a batch of a fixed size has too many of is computed and not looked at."""
    assert infill(fast, jobs[:2], size=4) == infill(fast, jobs[:2])


def test_cases_that_would_depend_on_each_other_do_not_share_steps(loaded: LoadedModel, fast: SteppedModel) -> None:
    gpu = SimpleNamespace(device="cuda")
    assert most_together(loaded, 4) == 4
    assert most_together(replace(loaded, model=gpu), 4) == 1
    assert most_together(replace(fast, model=gpu), 4) == 4


def test_it_looks_at_canvases_as_the_plain_step_does(loaded: LoadedModel, fast: SteppedModel, jobs: list[Job]) -> None:
    some = [jobs[0].prefix, jobs[1].prefix, prefix(loaded, LONGEST + 1)]
    canvas = torch.randint(
        loaded.vocabulary_size, (3, loaded.canvas_length), generator=torch.Generator().manual_seed(3)
    )
    for rows in (1, 2, 3):  # for the last there is no room
        seen = fast.stepper.look(fast, some[:rows], canvas[:rows])
        plain = stepper_of(loaded).look(loaded, some[:rows], canvas[:rows])
        torch.testing.assert_close(seen, plain, rtol=1e-4, atol=1e-4)


def test_an_image_that_is_hidden_is_not_seen(loaded: LoadedModel, fast: SteppedModel) -> None:
    whole = replace(prefix(loaded, 160), images=(slice(20, 100),))
    some = [without_image(whole, 0), whole]
    canvas = torch.randint(
        loaded.vocabulary_size, (1, loaded.canvas_length), generator=torch.Generator().manual_seed(3)
    ).repeat(2, 1)
    seen, plain = (stepper_of(model).look(model, some, canvas) for model in (fast, loaded))
    torch.testing.assert_close(seen, plain, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(plain[0], plain[1], rtol=1e-2, atol=1e-2)


def test_what_a_prompt_left_in_the_buffers_is_not_seen(loaded: LoadedModel, fast: LoadedModel, jobs: list[Job]) -> None:
    """A longer prompt, then a shorter one in the same room."""
    expected = run(loaded, [jobs[0]])
    assert run(fast, [jobs[1]]) != expected
    assert run(fast, [jobs[0]])[0] == expected[0]


def test_anchors_stand_at_every_step(fast: LoadedModel, jobs: list[Job]) -> None:
    frames, _ = run(fast, jobs)
    for (job, _), canvas in frames.items():
        assert all(now == fixed for now, fixed in zip(canvas, jobs[job].layout.ids, strict=True) if fixed != FREE)


def test_the_experts_are_those_of_eight_bits(loaded: LoadedModel, jobs: list[Job]) -> None:
    """Rounded weights, so not the same numbers, and nearly."""
    _, (plain,) = run(loaded, [replace(jobs[0], steps=1)])
    stepper = FastStepper(loaded, longest_prompt=LONGEST, eight_bit=True)
    _, (rounded,) = run(SteppedModel.of(loaded, stepper), [replace(jobs[0], steps=1)])
    assert isinstance(plain, Filled)
    assert isinstance(rounded, Filled)
    assert rounded.probabilities != pytest.approx(plain.probabilities, abs=1e-6)
    assert rounded.probabilities == pytest.approx(plain.probabilities, abs=0.01)


def test_an_adapter_in_use_is_not_drafted_without(
    loaded: LoadedModel, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A captured step holds the weights that it was captured with: another adapter, another capture."""
    captures: list[object] = []
    monkeypatch.setattr(FastStepper, "_captured", lambda self, buffers, step: captures.append(step) or step)
    fast = SteppedModel.of(loaded, FastStepper(loaded, longest_prompt=LONGEST))
    projection = loaded.model.model.decoder.layers[0].self_attn.q_proj
    run(fast, [jobs[0]])
    with monkeypatch.context() as attached:
        for active in (["chest"], [], ["chest"]):
            attached.setattr(projection, "lora_A", {}, raising=False)
            attached.setattr(projection, "active_adapters", active, raising=False)
            run(fast, [jobs[0]])
    assert len(captures) == 2  # the base, and chest


def test_what_there_is_no_room_for_is_left_to_the_plain_step(
    loaded: LoadedModel, fast: LoadedModel, template: Template, jobs: list[Job]
) -> None:
    long = Job(prefix(loaded, LONGEST + 1), jobs[0].layout, seed=1)
    for some in ([long], [replace(jobs[0], steps=1)] * 9):
        assert run(fast, some) == run(loaded, some)


def test_rows_whose_buffers_were_taken_cannot_go_on(fast: SteppedModel, jobs: list[Job]) -> None:
    """They would read another patient's prompt."""
    ids = torch.tensor([jobs[0].layout.ids])
    earlier, _ = (fast.stepper.start(fast, [job.prefix], ids, ids.clamp(min=0)) for job in jobs[:2])
    with pytest.raises(RuntimeError, match="other rows have been started"):
        earlier.step(torch.ones(1), torch.zeros(ids.shape), ids.clamp(min=0))
    with pytest.raises(RuntimeError, match="other rows have been started"):
        earlier.keep([0])


def test_without_such_a_gpu_everything_stays_as_it_is(loaded: LoadedModel, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", fast_step.__name__):
        assert accelerated(loaded) is loaded
    assert "plain PyTorch: the model is on the cpu" in caplog.text
