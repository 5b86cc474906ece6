"""Denoising around what is fixed: layouts and prompt → canvases in which no clamped position moved.

At every step the logits of a clamped position are made one-hot. Its argmax, its sample and its self-conditioning
signal are then the fixed token, and its entropy is zero, so that the sampler accepts it first and never renoises it.
The public `generate()` does the rest; it commits the argmax of these processed logits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.generation.streamers import BaseStreamer
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationConfig,
    EntropyBoundSamplerConfig,
)

from model_runtime.canvas import FREE, Layout
from model_runtime.checkpoint import LoadedModel
from model_runtime.errors import AnchorMoved

OnStep = Callable[[list[list[int]]], None]  # the canvases after one step, a row for each layout

# generate() draws from torch's global generator only, which one process can seed for one draft at a time.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Filled:
    """A denoised canvas. `probabilities`: the model's, before temperature, for each of `ids`; 1 where clamped."""

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    steps: int


def infill(
    loaded: LoadedModel,
    inputs: Mapping[str, Tensor],
    layouts: Sequence[Layout],
    *,
    seed: int,
    on_step: OnStep | None = None,
) -> list[Filled]:
    """Fill the free positions of each layout; the same inputs, seed and versions give the same canvases.

    `inputs` are what `generate()` takes as prompt, one row for each layout. `on_step` cancels by raising; its
    exception comes out of here.

    Raises AnchorMoved where a clamped position does not hold its token.
    """
    model, device = loaded.model, loaded.device
    clamp = torch.tensor([layout.ids for layout in layouts], device=device)  # (layouts, canvas length)
    clamped = clamp != FREE
    processor = ClampedLogits(clamp, loaded.codec.banned)
    with _one_at_a_time, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        noise = torch.randint(loaded.vocabulary_size, clamp.shape, device=device)
        output = model.generate(
            **inputs,
            decoder_input_ids=torch.where(clamped, clamp, noise),
            # Built anew for each call: generate() appends its temperature to the list that it is given.
            logits_processor=LogitsProcessorList([processor]),
            generation_config=_generation_config(loaded, free=min(layout.free for layout in layouts)),
            # Without one, generate() leaves alone what stands behind the first end token.
            pad_token_id=None,
            streamer=None if on_step is None else _Steps(on_step),
        )
    canvas = output.sequences[:, -clamp.shape[1] :]
    if not torch.equal(canvas[clamped], clamp[clamped]):
        raise AnchorMoved("a clamped position of the canvas holds another token than it was given; nothing is shown")
    # A row that stopped early keeps its canvas while the others go on: its probabilities are those of its last step.
    steps = torch.round(clamp.shape[1] / output.tokens_per_forward).int().tolist()
    return [
        Filled(tuple(canvas[row].tolist()), tuple(processor.confidence[n - 1][row].tolist()), n)
        for row, n in enumerate(steps)
    ]


class ClampedLogits(LogitsProcessor):
    """One-hot logits at clamped positions; banned ids out of reach at the free ones.

    `confidence`: for each step, the probability of the likeliest token, (layouts, canvas length).
    """

    def __init__(self, clamp: Tensor, banned: Sequence[int]) -> None:
        self._rows, self._columns = (clamp != FREE).nonzero(as_tuple=True)
        self._ids = clamp[self._rows, self._columns]
        self._banned = torch.tensor(banned, dtype=torch.long, device=clamp.device)
        self.confidence: list[Tensor] = []

    # The third parameter's name is how generate() finds it.
    def __call__(self, input_ids: Tensor, scores: Tensor, cur_step: Tensor) -> Tensor:  # scores (layouts, canvas, ids)
        scores = scores.index_fill(-1, self._banned, float("-inf"))
        scores[self._rows, self._columns] = float("-inf")
        scores[self._rows, self._columns, self._ids] = 0.0
        self.confidence.append(scores.float().softmax(-1).amax(-1))
        return scores


class _Steps(BaseStreamer):
    def __init__(self, on_step: OnStep) -> None:
        self._on_step = on_step

    def put_draft(self, value: Tensor) -> None:
        self._on_step(value.tolist())

    def put(self, value: Tensor) -> None:
        """The finished canvas, which infill returns."""

    def end(self) -> None:
        """Nothing is left to say."""


def _generation_config(loaded: LoadedModel, free: int) -> DiffusionGemmaGenerationConfig:
    sampler, length = loaded.card.sampler, loaded.canvas_length
    settings: dict[str, Any] = {
        "max_new_tokens": length,
        "max_denoising_steps": sampler.steps,
        "sampler_config": EntropyBoundSamplerConfig(entropy_bound=sampler.entropy_bound),
        "t_min": sampler.t_min,
        "t_max": sampler.t_max,
        "stability_threshold": sampler.stability_threshold,
        # The stop rule takes the mean entropy over the whole canvas, and clamped positions have none.
        "confidence_threshold": sampler.confidence_threshold * max(free, 1) / length,
    }
    return DiffusionGemmaGenerationConfig(**settings)  # type: ignore[no-untyped-call]
