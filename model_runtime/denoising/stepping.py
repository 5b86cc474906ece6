"""The seam between the denoising loop and what computes its steps: plain PyTorch here, a GPU's own way in `gpu`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor

from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.step import Clamp, accept, guess, look
from model_runtime.prompts.prefix import Prefix, PrefixRows


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step thought of each row, on the CPU; see denoising.step.Guess."""

    likeliest: Tensor  # (rows, canvas length)
    confidence: Tensor  # (rows, canvas length)
    entropy: Tensor  # (rows,), the sum over the canvas, nats


class Steps(Protocol):
    """Rows under way. Their canvases, and what the model thought of them last, stay on the device."""

    def step(self, temperature: Tensor, chance: Tensor, noise: Tensor) -> Callable[[], Seen]:
        """Begin a step of every row; the call that comes back waits for its end, and is made before the next `step`.

        All are on the CPU: `temperature` (rows,), `chance` and `noise` (rows, canvas length); see denoising.step.
        """
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only; `rows` ascends."""
        ...


class Stepper(Protocol):
    """A way of computing steps: all give the same canvases, within the rounding of their arithmetic."""

    def warm_up(self, loaded: LoadedModel) -> None:
        """Do beforehand what would delay a draft."""
        ...

    def start(
        self, loaded: LoadedModel, prefixes: Sequence[Prefix], clamp: Tensor, canvas: Tensor, *, size: int = 1
    ) -> Steps:
        """Rows to be denoised together, one for each prefix; `clamp` and `canvas` (rows, canvas length) on the CPU.

        `clamp` holds a token where one is fixed, else FREE. Whoever starts rows is done with those started before.
        A GPU's rounding depends on how many rows it computes: they are never fewer than `size`, even when some have
        ended, so that a row's canvas does not depend on who shares the batch.
        """
        ...

    def look(self, loaded: LoadedModel, prefixes: Sequence[Prefix], canvas: Tensor) -> Tensor:
        """The model's own logits of canvases that are not under way, float32 (rows, canvas length, vocabulary).

        `canvas` (rows, canvas length) on the device. Whoever looks is done with the rows started before.
        """
        ...


@dataclass(frozen=True, slots=True)
class SteppedModel(LoadedModel):
    """A loaded model that brings its own way of computing steps."""

    stepper: Stepper

    @classmethod
    def of(cls, loaded: LoadedModel, stepper: Stepper) -> SteppedModel:
        return cls(**{f.name: getattr(loaded, f.name) for f in fields(LoadedModel)}, stepper=stepper)


def stepper_of(loaded: LoadedModel) -> Stepper:
    return loaded.stepper if isinstance(loaded, SteppedModel) else PlainStepper()


def most_together(loaded: LoadedModel, batch: int) -> int:
    """How many rows of `batch` can share steps and not depend on each other: plain steps on a GPU do not promise it."""
    return batch if loaded.device.type == "cpu" or isinstance(loaded, SteppedModel) else 1


class PlainStepper:
    """Runs anywhere, on whatever device the model is."""

    def warm_up(self, loaded: LoadedModel) -> None:
        """Nothing is to be done."""

    def start(
        self, loaded: LoadedModel, prefixes: Sequence[Prefix], clamp: Tensor, canvas: Tensor, *, size: int = 1
    ) -> Steps:
        return _PlainSteps(loaded, prefixes, clamp, canvas)

    @torch.no_grad()
    def look(self, loaded: LoadedModel, prefixes: Sequence[Prefix], canvas: Tensor) -> Tensor:
        return look(loaded, PrefixRows(loaded, prefixes, loaded.canvas_length), canvas)


class _PlainSteps:
    def __init__(self, loaded: LoadedModel, prefixes: Sequence[Prefix], clamp: Tensor, canvas: Tensor) -> None:
        self._loaded, self._prefixes = loaded, prefixes
        self._clamp, self._canvas = clamp.to(loaded.device), canvas.to(loaded.device)
        self._hint: Tensor | None = None
        self.keep(range(len(prefixes)))

    def keep(self, rows: Sequence[int]) -> None:
        going = list(rows)
        self._prefixes = [self._prefixes[row] for row in going]
        self._clamp, self._canvas = self._clamp[going], self._canvas[going]
        self._hint = None if self._hint is None else self._hint[going]
        self._read = PrefixRows(self._loaded, self._prefixes, self._loaded.canvas_length)
        self._fixed = Clamp(self._clamp, self._loaded.codec.banned)

    def step(self, temperature: Tensor, chance: Tensor, noise: Tensor) -> Callable[[], Seen]:
        device = self._loaded.device

        def result() -> Seen:
            now = guess(
                self._loaded,
                self._read,
                self._fixed,
                self._canvas,
                self._hint,
                temperature.to(device),
                chance.to(device),
            )
            self._canvas = accept(now, self._loaded.card.sampler.entropy_bound, noise.to(device))
            self._hint = now.hint
            return Seen(now.likeliest.cpu(), now.confidence.cpu(), now.entropy.sum(-1).cpu())

        return result
