"""Train the demo checkpoint: `python -m model_runtime.training.demo --seconds 1000 --out DIR`."""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import DiffusionGemmaForBlockDiffusion

from model_runtime.checkpoint import LoadedModel
from model_runtime.evaluation.phantoms import evaluate
from model_runtime.training.architecture import DENSE, build_model
from model_runtime.training.examples import CANVAS, HELD_OUT, Example, Teacher
from model_runtime.training.optimization import ADAMW_RATE, MUON_RATE, Optimization
from model_runtime.training.release import SAMPLER, card, in_memory, save
from model_runtime.training.seeing import learn_to_see
from model_runtime.training.step import Objective, corrupt, patches_of, prompt_masks
from model_runtime.vocabulary import build_tokenizer


@dataclass(frozen=True, slots=True)
class Recipe:
    """Training ends with whichever of `seconds` and `steps` is used up first; the learning rate falls towards it."""

    seeing: float = 0.0  # seconds, before `seconds`: see training.seeing
    seconds: float = math.inf
    steps: int = 100_000
    batch: int = 12  # phantoms
    reports: int = 2  # on each phantom
    average: float = 0.99  # of the weights, per step: what is released
    start: Path | None = None  # a checkpoint to go on from, instead of random weights
    seed: int = 0
    workers: int = 1
    trial_every: float = 900.0  # seconds between two trials on held-out phantoms
    trial_count: int = 96
    compiled: bool = True  # a minute at the start, about a fifth less afterwards

    def command(self) -> str:
        """What trains by this recipe."""
        changed = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return " ".join(["radplug train demo", *(f"--{name.replace('_', '-')} {value}" for name, value in changed)])


class Lessons(Dataset[tuple[Example, NDArray[np.int64]]]):
    """Batches without end: no phantom is shown twice."""

    def __init__(self, teacher: Teacher, recipe: Recipe) -> None:
        self._teacher, self._recipe = teacher, recipe

    def __len__(self) -> int:
        return self._recipe.steps

    def __getitem__(self, index: int) -> tuple[Example, NDArray[np.int64]]:
        first = (self._recipe.seed * self._recipe.steps + index) * self._recipe.batch
        return self._teacher.batch(range(first, first + self._recipe.batch)), np.array([self._teacher.prompt(first)])


def train(recipe: Recipe, out: Path, device: torch.device) -> None:
    """Train from nothing and write the checkpoint directory, saying how it goes on standard output."""
    torch.manual_seed(recipe.seed)
    torch.set_float32_matmul_precision("high")
    tokenizer = build_tokenizer()
    teacher = Teacher(tokenizer, recipe.reports)
    model: Any = _resume(recipe.start) if recipe.start else build_model(tokenizer, CANVAS)
    model.set_experts_implementation(DENSE)
    averaged = _copy(model).to(device)
    objective = Objective(
        model,
        image_start=teacher.image_start,
        filler_id=teacher.filler_id,
        temperatures=(SAMPLER.t_min, SAMPLER.t_max),
    ).to(device)
    own: list[Tensor] = list(model.parameters())  # each tied tensor once
    slow: list[Tensor] = list(averaged.parameters())
    paint = patches_of
    if recipe.compiled:
        objective.compile_parts()
        paint = torch.compile(patches_of, fullgraph=True)
    loader = DataLoader(
        Lessons(teacher, recipe), batch_size=None, num_workers=recipe.workers, pin_memory=device.type == "cuda"
    )
    learn_to_see(objective, paint, recipe.seeing, device)
    hidden = (objective.hidden_seeing(), *objective.hidden_writing())
    optimization = Optimization([objective], hidden, learnt=objective.seeing_parts() if recipe.seeing else ())
    started, tried, losses = time.perf_counter(), 0.0, []
    for step, (example, prompt) in enumerate(loader):
        if step == 1:  # the first one compiles
            started = time.perf_counter()
        elapsed = time.perf_counter() - started
        left = 1.0 - max(elapsed / recipe.seconds, step / recipe.steps)
        if left <= 0:
            break
        geometry, canvas, clamped, shown = (tensor.to(device, non_blocking=True) for tensor in example)
        canvas, clamped = canvas.flatten(0, 1), clamped.flatten(0, 1)
        ids = prompt.to(device)
        masks = prompt_masks(model, ids)
        for mask in masks.values():
            torch._dynamo.maybe_mark_dynamic(mask, (2, 3))
        noisy = corrupt(canvas, clamped, len(tokenizer))
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss, parts = objective(paint(geometry), ids, masks, canvas, clamped, noisy, shown)
        loss.backward()
        optimization.step(step, left)
        with torch.no_grad():
            torch._foreach_lerp_(slow, own, 1.0 - min(recipe.average, (1 + step) / (10 + step)))
        losses.append(parts)
        if (step + 1) % 50 == 0:
            _tell(step + 1, elapsed, losses)
            losses.clear()
        if elapsed - tried > recipe.trial_every:
            tried = elapsed
            save(in_memory(_copy(averaged), tokenizer, card({"steps": step + 1})), out)
            _try(in_memory(averaged, tokenizer, card({})), recipe, device)
    facts: dict[str, str | int | float] = {
        "data": "synthetic phantoms with generated reports; no patient, no download",
        "command": recipe.command(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "seed": recipe.seed,
        "batch": f"{recipe.batch} phantoms, {recipe.reports} reports on each",
        "steps": step + 1,
        "rates": f"Muon {MUON_RATE}, AdamW {ADAMW_RATE}",
        "start": "a checkpoint of the same recipe" if recipe.start else "random weights",
        "seconds": f"{recipe.seeing:.0f} seeing, {recipe.seconds:.0f} writing",
        "parameters": sum(parameter.numel() for parameter in own),
    }
    loaded = in_memory(averaged, tokenizer, card(facts))
    _try(loaded, recipe, device)
    save(loaded, out)


def _resume(directory: Path) -> DiffusionGemmaForBlockDiffusion:
    model: Any = DiffusionGemmaForBlockDiffusion.from_pretrained(
        directory, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    return model.train()  # type: ignore[no-any-return]


def _copy(model: DiffusionGemmaForBlockDiffusion) -> Any:
    twin = copy.deepcopy(model)
    twin.tie_weights()
    return twin


def _tell(step: int, elapsed: float, losses: Sequence[Tensor]) -> None:
    words, looks = torch.stack(list(losses)).mean(0).tolist()
    sys.stdout.write(f"step {step}  {elapsed:.0f} s  words {words:.4f}  looks {looks:.4f}\n")
    sys.stdout.flush()


def _try(loaded: LoadedModel, recipe: Recipe, device: torch.device) -> None:
    with torch.autocast(device.type, dtype=torch.bfloat16):
        result = evaluate(loaded, range(HELD_OUT, HELD_OUT + recipe.trial_count), batch=recipe.trial_count)
    sys.stdout.writelines(f"  {line}\n" for line in result.scores.lines())
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    for name, kind in (
        ("seeing", float),
        ("seconds", float),
        ("steps", int),
        ("batch", int),
        ("reports", int),
        ("workers", int),
        ("seed", int),
        ("trial_every", float),
        ("trial_count", int),
    ):
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=getattr(Recipe(), name))
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from, instead of random weights")
    options = vars(parser.parse_args(arguments))
    out = options.pop("out")
    train(Recipe(**options), out, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


if __name__ == "__main__":
    main()
