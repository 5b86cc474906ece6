"""Denoising around what is fixed: layouts behind their prompts → canvases in which no clamped position moved.

Rows of a batch share the reading of the weights and nothing else: each has its own prompt, seed and number of steps,
and leaves the batch when it is done. What a row becomes does not depend on who else is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

import torch
from torch import Tensor

from model_runtime.canvas import FREE, Layout
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.stepping import stepper_of
from model_runtime.errors import AnchorMoved, Cancelled, DraftingError
from model_runtime.prompts.prefix import Prefix

OnStep = Callable[[int, int, list[int]], None]  # a job's index, its step from 1 on, its canvas


@dataclass(frozen=True, slots=True)
class Job:
    """One canvas to be filled. `start` are the ids at its free positions to begin with, FREE where noise is wanted."""

    prefix: Prefix
    layout: Layout
    seed: int
    start: Sequence[int] | None = None  # as long as the layout's ids; None: noise everywhere
    steps: int | None = None  # at most; None: the model card's
    stop: Event | None = None  # set: the draft is no longer wanted


@dataclass(frozen=True, slots=True)
class Filled:
    """A denoised canvas. `probabilities`: the model's, before temperature, for each of `ids`; 1 where clamped."""

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    steps: int


def infill(
    loaded: LoadedModel, jobs: Sequence[Job], *, on_step: OnStep | None = None, size: int = 1
) -> list[Filled | DraftingError]:
    """Fill the free positions of each job's layout; the same job, versions, machine and `size` give the same canvas.

    That is so whoever shares the batch, as long as they are no more than `size`: see stepping.Stepper.start.

    In a job's place stands AnchorMoved where a clamped position does not hold its token, and Cancelled where its `stop`
    was set, which is noticed within one step; the other jobs go on.
    """
    rows = everyone = [_Row(loaded, number, job) for number, job in enumerate(jobs)]
    if not rows:
        return []
    steps = stepper_of(loaded).start(
        loaded,
        [row.job.prefix for row in rows],
        clamp=torch.stack([row.clamp for row in rows]),
        canvas=torch.stack([row.canvas for row in rows]),
        size=size,
    )
    frames: list[tuple[int, int, list[int]]] = []
    while going := [k for k, row in enumerate(rows) if not row.finished]:
        if len(going) < len(rows):
            steps.keep(going)
            rows = [rows[k] for k in going]
        outcome = steps.step(
            temperature=torch.tensor([row.temperature for row in rows]),
            chance=torch.stack([row.chance for row in rows]),
            noise=torch.stack([row.noise for row in rows]),
        )
        # While a GPU is at this step: what the one before said, and what the next one wants.
        _tell(on_step, frames)
        for row in rows:
            row.draw()
        seen = outcome()
        for k, row in enumerate(rows):
            row.take(seen.likeliest[k], seen.confidence[k], float(seen.entropy[k]))
        frames = [(row.number, row.steps, row.likeliest.tolist()) for row in rows if not row.unwanted]
    _tell(on_step, frames)
    return [row.result() for row in everyone]


def _tell(on_step: OnStep | None, frames: Sequence[tuple[int, int, list[int]]]) -> None:
    if on_step:
        for frame in frames:
            on_step(*frame)


class _Row:
    """A job under way; its tensors are on the CPU."""

    def __init__(self, loaded: LoadedModel, number: int, job: Job) -> None:
        self.number, self.job = number, job
        self._sampler = loaded.card.sampler
        self._vocabulary = loaded.vocabulary_size
        self._generator = torch.Generator().manual_seed(job.seed % 2**63)  # on the CPU: the same numbers everywhere
        self._most_steps = job.steps or self._sampler.steps
        self.clamp = torch.tensor(job.layout.ids)
        start = self.clamp if job.start is None else torch.tensor(list(job.start))
        start = torch.where(start == FREE, self._some_noise(), start)
        self.canvas = torch.where(self.clamp == FREE, start, self.clamp)
        self.likeliest, self._confidence = self.canvas, torch.ones_like(self.canvas, dtype=torch.float32)
        self.steps, self._steady, self._full = 0, 0, not job.layout.free
        self.draw()

    def draw(self) -> None:
        """The random numbers of one more step."""
        self.chance = torch.rand(len(self.clamp), generator=self._generator)
        self.noise = self._some_noise()

    def _some_noise(self) -> Tensor:
        return torch.randint(self._vocabulary, (len(self.clamp),), generator=self._generator)

    @property
    def temperature(self) -> float:
        """From the sampler's highest at the first step down towards its lowest."""
        left = (self._most_steps - self.steps) / self._most_steps
        return self._sampler.t_min + (self._sampler.t_max - self._sampler.t_min) * left

    def take(self, likeliest: Tensor, confidence: Tensor, entropy: float) -> None:
        """What a step made of this row; `entropy` is the sum over the canvas, in nats."""
        self._steady = self._steady + 1 if self.steps and torch.equal(likeliest, self.likeliest) else 0
        self.likeliest, self._confidence = likeliest, confidence
        self.steps += 1
        # Clamped positions have no entropy: the mean is over the free ones.
        sure = entropy / self.job.layout.free < self._sampler.confidence_threshold
        steady = self._steady >= self._sampler.stability_threshold
        self._full = (sure and steady) or self.steps == self._most_steps

    @property
    def finished(self) -> bool:
        return self._full or self.unwanted

    @property
    def unwanted(self) -> bool:
        return self.job.stop is not None and self.job.stop.is_set()

    def result(self) -> Filled | DraftingError:
        if not self._full:
            return Cancelled("the draft was stopped, since a newer one is wanted")
        fixed = self.clamp != FREE
        if not torch.equal(self.likeliest[fixed], self.clamp[fixed]):
            return AnchorMoved(
                "a clamped position of the canvas holds another token than it was given; nothing is shown"
            )
        return Filled(tuple(self.likeliest.tolist()), tuple(self._confidence.tolist()), self.steps)
