"""The GPU's own step through its kernels, against the plain step. For where it runs, see test_gpu_kernels.

On a machine that has PyTorch and transformers and little else:
    PYTHONPATH=tests python -m pytest -c /dev/null --confcutdir tests/model_runtime tests/model_runtime/test_gpu_step.py
"""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec

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
def plain(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    directory = tiny_checkpoint.write(tmp_path_factory.mktemp("wide"), canvas_length=64, steps=4, wide=True)
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
def jobs(plain: LoadedModel, template: Template) -> list[Job]:
    codec = plain.codec
    how = {"encode": codec.encode, "canvas_length": plain.canvas_length, "end_id": codec.end_id}
    small = replace(template, sections=(replace(template.sections[0], tokens=40),))
    layout = lay(small, [Anchor("FINDINGS", "No pleural effusion or pneumothorax.")], **how)
    words = codec.encode("The lungs are clear heart size is normal nodule")
    prompts = [torch.tensor([([2] + [*words] * tokens)[:tokens]], device=plain.device) for tokens in (5, 160, 40)]
    return [Job(read(plain, {"input_ids": ids}), layout, seed) for seed, ids in enumerate(prompts)]


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("rows", [1, 3])
def test_it_looks_at_canvases_as_the_plain_step_does(
    rows: int, plain: LoadedModel, fast: SteppedModel, jobs: list[Job]
) -> None:
    prefixes = [job.prefix for job in jobs[:rows]]
    canvas = torch.randint(300, (rows, 64), generator=torch.Generator().manual_seed(3)).to(plain.device)
    close = 1e-4 if plain.model.dtype == torch.float32 else 2e-2
    looked = fast.stepper.look(fast, prefixes, canvas)
    assert error(looked, PlainStepper().look(plain, prefixes, canvas)) < close


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
