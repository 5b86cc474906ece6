"""A trained model as a checkpoint directory: weights, tokenizer, image processor, model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationConfig,
    EntropyBoundSamplerConfig,
)

from model_runtime.baseline.outline import PATTERN as OUTLINE_PATTERN
from model_runtime.checkpoints.card_file import assignments
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.checkpoints.codec import TextCodec
from model_runtime.checkpoints.model_card import FILE_NAME, ModelCard, Sampler
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts.prompt import PATTERN
from model_runtime.training.architecture import build_image_processor
from model_runtime.training.examples import CANVAS
from model_runtime.training.vocabulary import END, FILLER

SAMPLER = Sampler(steps=24, entropy_bound=0.1, t_min=0.1, t_max=0.6, confidence_threshold=0.01, stability_threshold=1)
# One token at each step, in order, at one temperature: what else a sampler has does not apply.
SIBLING_SAMPLER = Sampler(
    steps=CANVAS, entropy_bound=0.0, t_min=0.6, t_max=0.6, confidence_threshold=0.0, stability_threshold=0
)
_PURPOSE = "Trained on synthetic phantom radiographs to show the software at work. Not for clinical use."


def card(training: Mapping[str, str | int | float]) -> ModelCard:
    return ModelCard(
        name="radplug-phantom-demo",
        version="1",
        purpose=_PURPOSE,
        modalities=tuple(sorted(TEMPLATE.modalities)),
        body_parts=tuple(sorted(TEMPLATE.body_parts)),
        end=END,
        filler=FILLER,
        sampler=SAMPLER,
        prompt={"pattern": PATTERN, "images": 1},
        training=training,
    )


def sibling_card(training: Mapping[str, str | int | float]) -> ModelCard:
    return replace(
        card(training),
        name="radplug-phantom-sibling",
        sampler=SIBLING_SAMPLER,
        prompt={"pattern": OUTLINE_PATTERN, "images": 1},
    )


def in_memory(model: Any, tokenizer: PreTrainedTokenizerBase, model_card: ModelCard) -> LoadedModel:
    """The model as if it had been saved and loaded, to be tried out while it is trained."""
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        image_processor=build_image_processor(),
        codec=TextCodec(tokenizer, model_card, len(tokenizer)),
        card=model_card,
        fingerprint="",
    )


def save(loaded: LoadedModel, directory: Path) -> None:
    """Write a directory that `checkpoint.load` and `from_pretrained` take; weights in bfloat16, each tie once."""
    model = loaded.model
    model.generation_config = _generation_config(loaded)
    model.to(torch.bfloat16).save_pretrained(directory)
    loaded.tokenizer.save_pretrained(directory)
    loaded.image_processor.save_pretrained(directory)
    (directory / FILE_NAME).write_text(card_text(loaded.card), encoding="utf-8")


def _generation_config(loaded: LoadedModel) -> GenerationConfig:
    """For those who load the directory without this package."""
    sampler = loaded.card.sampler
    tokens = {
        "eos_token_id": loaded.codec.end_id,
        "pad_token_id": loaded.tokenizer.pad_token_id,
        "bos_token_id": loaded.tokenizer.bos_token_id,
    }
    if loaded.architecture == "gemma4":
        return GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=CANVAS, do_sample=sampler.t_max > 0, temperature=sampler.t_max, **tokens
        )
    return DiffusionGemmaGenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=loaded.canvas_length,
        max_denoising_steps=sampler.steps,
        sampler_config=EntropyBoundSamplerConfig(entropy_bound=sampler.entropy_bound),
        t_min=sampler.t_min,
        t_max=sampler.t_max,
        stability_threshold=sampler.stability_threshold,
        confidence_threshold=sampler.confidence_threshold,
        **tokens,
    )


def card_text(model_card: ModelCard) -> str:
    """The card as TOML."""
    values = {name: getattr(model_card, name) for name in model_card.__slots__}
    tables = {
        "sampler": {name: getattr(model_card.sampler, name) for name in model_card.sampler.__slots__},
        "prompt": values.pop("prompt"),
        "training": values.pop("training"),
    }
    del values["sampler"]
    lines = [*assignments(values)]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *assignments(table)]
    return "\n".join(lines) + "\n"
