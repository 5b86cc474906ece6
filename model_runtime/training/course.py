"""The way from random weights to a checkpoint, the same for every model that is trained on phantoms."""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerBase

from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.evaluation.phantoms import evaluate
from model_runtime.phantoms.phantom import HELD_OUT
from model_runtime.training.architecture import DENSE
from model_runtime.training.examples import Teacher
from model_runtime.training.optimization import ADAMW_RATE, MUON_RATE, Optimization
from model_runtime.training.release import in_memory, save
from model_runtime.training.seeing import learn_to_see
from model_runtime.training.sight import Sight
from model_runtime.training.vocabulary import build_tokenizer

Arrays = tuple[NDArray[Any], ...]


class Objective(Protocol):
    """A model with its loss, an `nn.Module`; called with a lesson's arrays as tensors."""

    sight: Sight

    def __call__(self, *lesson: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and its parts apart: words, findings named from the image."""

    def compile_parts(self) -> None:
        """Compile layer by layer."""

    def hidden_writing(self) -> tuple[nn.Module, ...]:
        """The layers that text goes through, without the embeddings."""


@dataclass(frozen=True, slots=True)
class Pupil:
    """What sets one kind of model apart from another while it is trained."""

    command: str  # that trains it
    build: Callable[[PreTrainedTokenizerBase], Any]  # with random weights
    objective: Callable[[Any, Teacher], Any]  # an Objective
    lesson: Callable[[Teacher, range], Arrays]  # of a batch of phantoms, by their seeds
    card: Callable[[Mapping[str, str | int | float]], ModelCard]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Seeing ends with whichever of `seeing` and `looks` is used up first, writing likewise with `seconds` and `steps`.

    The learning rate falls towards the end.
    """

    seeing: float = 0.0  # seconds, before `seconds`: see training.seeing
    looks: int = 100_000  # steps of seeing
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

    def options(self) -> str:
        """As the training command takes them."""
        changed = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in changed)


class Lessons(Dataset[Arrays]):
    """Batches without end: no phantom is shown twice."""

    def __init__(self, pupil: Pupil, teacher: Teacher, recipe: Recipe) -> None:
        self._pupil, self._teacher, self._recipe = pupil, teacher, recipe

    def __len__(self) -> int:
        return self._recipe.steps

    def __getitem__(self, index: int) -> Arrays:
        first = (self._recipe.seed * self._recipe.steps + index) * self._recipe.batch
        return self._pupil.lesson(self._teacher, range(first, first + self._recipe.batch))


def train(pupil: Pupil, recipe: Recipe, out: Path, device: torch.device) -> None:
    """Train and write the checkpoint directory, saying how it goes on standard output."""
    torch.manual_seed(recipe.seed)
    torch.set_float32_matmul_precision("high")
    tokenizer = build_tokenizer()
    teacher = Teacher(tokenizer, recipe.reports)
    model = pupil.build(tokenizer)
    if recipe.start:
        model = (
            type(model)
            .from_pretrained(recipe.start, local_files_only=True, use_safetensors=True, dtype=torch.float32)
            .train()
        )
    model.set_experts_implementation(DENSE)
    averaged = _copy(model).to(device)
    module = pupil.objective(model, teacher).to(device)
    objective: Objective = module
    own: list[Tensor] = list(model.parameters())  # each tied tensor once
    slow: list[Tensor] = list(averaged.parameters())
    if recipe.compiled:
        objective.compile_parts()
    loader = DataLoader(
        Lessons(pupil, teacher, recipe), batch_size=None, num_workers=recipe.workers, pin_memory=device.type == "cuda"
    )
    began = time.perf_counter()
    looks = learn_to_see(objective.sight, recipe.seeing, recipe.looks, device)
    seen = time.perf_counter() - began
    hidden = (objective.sight.hidden(), *objective.hidden_writing())
    optimization = Optimization([module], hidden, learnt=[objective.sight] if recipe.seeing else ())
    started, tried, losses = time.perf_counter(), 0.0, []
    for step, lesson in enumerate(loader):
        if step == 1:  # the first one compiles
            started = time.perf_counter()
        elapsed = time.perf_counter() - started
        left = 1.0 - max(elapsed / recipe.seconds, step / recipe.steps)
        if left <= 0:
            break
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss, parts = objective(*(tensor.to(device, non_blocking=True) for tensor in lesson))
        loss.backward()  # type: ignore[no-untyped-call]
        optimization.step(step, left)
        with torch.no_grad():
            torch._foreach_lerp_(slow, own, 1.0 - min(recipe.average, (1 + step) / (10 + step)))
        losses.append(parts)
        if (step + 1) % 50 == 0:
            _tell(step + 1, elapsed, losses)
            losses.clear()
        if elapsed - tried > recipe.trial_every:
            tried = elapsed
            save(in_memory(_copy(averaged), tokenizer, pupil.card({"steps": step + 1})), out)
            _try(in_memory(averaged, tokenizer, pupil.card({})), recipe, device)
    facts: dict[str, str | int | float] = {
        "data": "synthetic phantoms with generated reports; no patient, no download",
        "command": f"{pupil.command} {recipe.options()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "seed": recipe.seed,
        "batch": f"{recipe.batch} phantoms, {recipe.reports} reports on each",
        "looks": looks,
        "steps": step + 1,
        "rates": f"Muon {MUON_RATE}, AdamW {ADAMW_RATE}",
        "start": "a checkpoint of the same recipe" if recipe.start else "random weights",
        "seconds": f"{seen:.0f} seeing, {time.perf_counter() - started:.0f} writing",
        "parameters": sum(parameter.numel() for parameter in own),
    }
    loaded = in_memory(averaged, tokenizer, pupil.card(facts))
    _try(loaded, recipe, device)
    save(loaded, out)


def _copy(model: Any) -> Any:
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


def run(pupil: Pupil, description: str | None, arguments: Sequence[str] | None = None) -> None:
    """The training command of `pupil`, on the GPU where there is one."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True)
    for name, kind in (
        ("seeing", float),
        ("looks", int),
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
    train(pupil, Recipe(**options), out, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
