"""What the parts of bench/decode.py share: models, prompts, jobs, and what was measured."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_runtime.canvas import FREE, Anchor, Code, Section, Template, lay
from model_runtime.checkpoints import checkpoint
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.infill import Job
from model_runtime.denoising.stepping import SteppedModel
from model_runtime.gpu.fast_step import SIZES, FastStepper, accelerated
from model_runtime.phantoms.phantom import Phantom
from model_runtime.prompts import prompt
from model_runtime.prompts.prefix import Prefix, read
from model_runtime.prompts.prompt import PromptFacts

ORDER = PromptFacts("DX", "CHEST", "PA", "F", "60-69", "Cough and fever.")
ANCHORS = (Anchor("FINDINGS", "No pleural effusion or pneumothorax."), Anchor("IMPRESSION", "Heart size is normal."))
STOCK = "grouped_mm"  # transformers' experts
GIB = 1 << 30


class Case:
    """Models are loaded when they are first asked for; `results` is what is kept."""

    def __init__(self, arguments: argparse.Namespace, results: dict[str, Any]) -> None:
        self.arguments, self.results = arguments, results
        self.tries = 1 if arguments.tiny else 3
        self.few, self.many = (1, 3) if arguments.tiny else (4, 12)  # steps; what they differ in is steps alone
        self.rows: Sequence[int] = SIZES[:2] if arguments.tiny else SIZES

    @cached_property
    def loaded(self) -> LoadedModel:
        return self._load(self.arguments.diffusion, "diffusion_gemma")

    @cached_property
    def sibling(self) -> LoadedModel:
        return self._load(self.arguments.sibling, "gemma4")

    @cached_property
    def fast(self) -> SteppedModel:
        return self._stepped(eight_bit=False)

    @cached_property
    def fast_in_eight_bits(self) -> SteppedModel:
        return self._stepped(eight_bit=True)

    @cached_property
    def prefixes(self) -> list[Prefix]:
        """Of as many cases as are ever drafted together; a longer indication makes a longer prompt."""
        orders = [replace(ORDER, indication="Cough and fever. " * (1 + k % 3)) for k in range(self.rows[-1])]
        return [read(self.loaded, self.inputs(self.loaded, k, order)) for k, order in enumerate(orders)]

    def inputs(self, loaded: LoadedModel, seed: int, order: PromptFacts = ORDER) -> dict[str, Tensor]:
        how = {"tokenizer": loaded.tokenizer, "image_processor": loaded.image_processor}
        inputs = prompt.encode([self.image(seed)], order, **how)
        return {name: tensor.to(loaded.device) for name, tensor in inputs.items()}

    def image(self, seed: int) -> np.ndarray:
        return np.repeat(Phantom.of(seed).image(192 if self.arguments.tiny else 1152)[..., None], 3, axis=-1)

    def template(self, findings: float, impression: float) -> Template:
        """Slots as shares of the canvas."""
        code, shares = Code("18782-3", "LN", "XR Chest"), {"FINDINGS": findings, "IMPRESSION": impression}
        sections = [
            Section(name, f"{name}:", code, tokens=int(self.loaded.canvas_length * share))
            for name, share in shares.items()
        ]
        return Template("bench", code, tuple(section for section in sections if section.tokens))

    def jobs(self, rows: int, steps: int, template: Template | None = None) -> list[Job]:
        codec, template = self.loaded.codec, template or self.template(0.55, 0.25)
        anchors = [anchor for anchor in ANCHORS if anchor.section in {s.name for s in template.sections}]
        how = {"encode": codec.encode, "canvas_length": self.loaded.canvas_length, "end_id": codec.end_id}
        layout = lay(template, anchors, **how)
        return [Job(prefix, layout, seed, steps=steps) for seed, prefix in enumerate(self.prefixes[:rows])]

    def canvases(self, rows: int) -> tuple[list[Prefix], Tensor, Tensor]:
        """Prompts, clamps and noised canvases of some rows."""
        clamp = torch.tensor([job.layout.ids for job in self.jobs(rows, 1)], device=self.loaded.device)
        noise = torch.randint(self.loaded.vocabulary_size, clamp.shape, generator=torch.Generator().manual_seed(0))
        return self.prefixes[:rows], clamp, torch.where(clamp == FREE, noise.to(clamp.device), clamp)

    @contextmanager
    def experts(self, name: str) -> Iterator[None]:
        """The whole model with another implementation of its experts."""
        before = self.loaded.model.config.get_text_config(decoder=True)._experts_implementation
        self.loaded.model.set_experts_implementation(name)
        try:
            yield
        finally:
            self.loaded.model.set_experts_implementation(before)

    def _load(self, directory: Path, architecture: checkpoint.Architecture) -> LoadedModel:
        seconds, loaded = timed(lambda: checkpoint.load(directory, architectures=[architecture]))
        self.results[f"load {architecture}"] = {
            "seconds": seconds,
            "GPU, GiB": allocated(),
            "GPU at most, GiB": allocated(most=True),
            "host at most, GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20),
            "parameters": sum(parameter.numel() for parameter in loaded.model.parameters()),
        }
        loaded = replace(
            loaded, card=replace(loaded.card, sampler=replace(loaded.card.sampler, confidence_threshold=-1.0))
        )
        if self.arguments.discard:
            for shard in directory.glob("*.safetensors"):
                shard.unlink()
        return loaded

    def _stepped(self, *, eight_bit: bool) -> SteppedModel:
        if self.loaded.device.type == "cpu":
            return SteppedModel.of(self.loaded, FastStepper(self.loaded, eight_bit=eight_bit))
        fast = accelerated(self.loaded, eight_bit=eight_bit)
        if not isinstance(fast, SteppedModel):
            raise SystemExit("there is no GPU here that the fast step runs on")
        return fast


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    synchronize()
    started = time.perf_counter()
    result = run()
    synchronize()
    return time.perf_counter() - started, result


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def allocated(*, most: bool = False) -> float:
    """GiB of the GPU's memory, now or at most."""
    return (torch.cuda.max_memory_allocated() if most else torch.cuda.memory_allocated()) / GIB
