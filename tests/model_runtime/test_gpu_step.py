"""The GPU's own step through its kernels, against the plain step. For where it runs, see test_gpu_kernels.

On a machine that has PyTorch and transformers and little else:
    PYTHONPATH=tests python -m pytest -c /dev/null --confcutdir tests/model_runtime tests/model_runtime/test_gpu_step.py
"""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import tiny_checkpoint
import torch

from model_runtime.canvas import FREE, Anchor, Template, lay
from model_runtime.checkpoints.checkpoint import LoadedModel, load
from model_runtime.denoising.infill import Filled, Job, infill
from model_runtime.denoising.stepping import PlainStepper, SteppedModel
from model_runtime.gpu import attention, experts, norms, router, sampler
from model_runtime.gpu.fast_step import FastStepper
from model_runtime.gpu.hardware import unusable
from model_runtime.prompts.prefix import read


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint.write(tmp_path_factory.mktemp("wide"), canvas_length=64, steps=4, wide=True)


@pytest.fixture(scope="module")
def plain(directory: Path) -> LoadedModel:
    if find_spec("triton") and os.environ.get("TRITON_INTERPRET") == "1":
        return load(directory, "cpu")
    if reason := unusable(torch.device("cuda" if torch.cuda.is_available() else "cpu")):
        pytest.skip(f"Triton's kernels do not run here: {reason}")
    return load(directory, "cuda")


@pytest.fixture
def fast(plain: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> SteppedModel:
    if plain.device.type == "cpu":  # interpreted
        for module in (attention, experts, norms, router, sampler):
            monkeypatch.setattr(module, "unusable", lambda device: None)
    return SteppedModel.of(plain, FastStepper(plain, longest_prompt=200))


@pytest.fixture
def prompts(plain: LoadedModel) -> list[torch.Tensor]:
    words = plain.codec.encode("The lungs are clear heart size is normal nodule")
    return [torch.tensor([([2] + [*words] * tokens)[:tokens]]) for tokens in (5, 160, 40)]


@pytest.fixture
def jobs(plain: LoadedModel, template: Template, prompts: list[torch.Tensor]) -> list[Job]:
    codec = plain.codec
    how = {"encode": codec.encode, "canvas_length": plain.canvas_length, "end_id": codec.end_id}
    small = replace(template, sections=(replace(template.sections[0], tokens=40),))
    layout = lay(small, [Anchor("FINDINGS", "No pleural effusion or pneumothorax.")], **how)
    return [Job(read(plain, {"input_ids": ids.to(plain.device)}), layout, seed) for seed, ids in enumerate(prompts)]


def off(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The relative error of a position's logits, in the middle: rounding that sends a token to another expert is rare,
    happens to the plain step as well, and is large where it happens."""
    found, wanted = found.float().cpu(), wanted.float().cpu()
    return float(((found - wanted).norm(dim=-1) / wanted.norm(dim=-1)).median())


@pytest.mark.parametrize("rows", [1, 3])
def test_it_looks_at_canvases_as_the_plain_step_does(
    rows: int, directory: Path, plain: LoadedModel, fast: SteppedModel, prompts: list[torch.Tensor]
) -> None:
    canvas = torch.randint(300, (rows, 64), generator=torch.Generator().manual_seed(3))

    def looked(model: LoadedModel, stepper: PlainStepper | FastStepper) -> torch.Tensor:
        prefixes = [read(model, {"input_ids": ids.to(model.device)}) for ids in prompts[:rows]]
        return stepper.look(model, prefixes, canvas.to(model.device))

    exact = load(directory, "cpu")
    wanted = looked(exact, PlainStepper())
    assert exact.model.dtype == torch.float32
    assert off(looked(fast, fast.stepper), wanted) < 1e-4 + 1.25 * off(looked(plain, PlainStepper()), wanted)


@pytest.mark.parametrize("rows", [1, 3])
def test_canvases_are_the_same_again_whoever_shares_the_batch(rows: int, fast: SteppedModel, jobs: list[Job]) -> None:
    together = infill(fast, jobs[:rows], size=4)
    assert infill(fast, jobs[:rows], size=4) == together
    assert [infill(fast, [job], size=4)[0] for job in jobs[:rows]] == together
    for job, filled in zip(jobs, together, strict=False):
        assert isinstance(filled, Filled)
        assert all(now == fixed for now, fixed in zip(filled.ids, job.layout.ids, strict=True) if fixed != FREE)


@pytest.mark.parametrize("rows", [1, 3])
def test_canvases_are_those_of_the_plain_step(
    rows: int, plain: LoadedModel, fast: SteppedModel, jobs: list[Job]
) -> None:
    """Exactly in float32; in bfloat16 a first step's likeliest tokens are nearly all the same."""
    exact = plain.model.dtype == torch.float32
    steps = 4 if exact else 1
    some = [Job(job.prefix, job.layout, job.seed, steps=steps) for job in jobs[:rows]]
    same: list[bool] = []
    for own, other in zip(infill(fast, some), infill(plain, some), strict=True):
        assert isinstance(own, Filled)
        assert isinstance(other, Filled)
        same += [a == b for a, b in zip(own.ids, other.ids, strict=True)]
    assert sum(same) == len(same) if exact else sum(same) > 0.9 * len(same)
