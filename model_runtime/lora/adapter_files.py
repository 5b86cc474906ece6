"""An adapter directory → its weights, proven to be for these base weights, or the reason why they cannot be used.

The directory is peft's own, adapter_config.json and adapter_model.safetensors, with an adapter_card.toml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from model_runtime.checkpoints.checkpoint import LoadedModel, fingerprint
from model_runtime.errors import UnusableAdapter
from model_runtime.lora import adapter_card
from model_runtime.lora.adapter_card import AdapterCard
from model_runtime.lora.layers import base_modules, linear_layers, sharing

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # PeftModel's, before the name of a module

# Settings of a LoraConfig that we read, and those that change nothing in a finished adapter; all others of peft's
# (DoRA, biases, ranks by layer, whole modules, parameters of experts, …) must stand at their defaults.
_READ = {"peft_type", "auto_mapping", "r", "lora_alpha", "target_modules"}
_WITHOUT_EFFECT = {"lora_dropout", "inference_mode", "task_type", "peft_version", "base_model_name_or_path", "revision"}

_ORDINARY = re.compile(r"model\.(encoder\.language_model|decoder)\.layers\.\d+\.(self_attn|mlp)\.\w+")
_ON_REQUEST = ("router", "self_conditioning", "vision_tower", "embed_vision")


class Pair(NamedTuple):
    """What is added to a weight (outputs, inputs): scaling · b @ a."""

    a: Tensor  # (rank, inputs)
    b: Tensor  # (outputs, rank)


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """An adapter as it lies on disk. `pairs` by the name of the linear layer, encoder and decoder each with theirs."""

    card: AdapterCard
    fingerprint: str
    config: LoraConfig
    pairs: Mapping[str, Pair]

    @property
    def scaling(self) -> float:
        return float(self.config.lora_alpha / self.config.r)


def read(directory: Path, loaded: LoadedModel) -> AdapterFiles:
    """Read and check an adapter; the model is left as it is, and no pickle is read.

    Raises UnusableAdapter: a file is missing or broken, the adapter is for other weights or another architecture, it
    is more than plain LoRA, or it changes what must not be changed.
    """
    directory = Path(directory)
    card = AdapterCard.read(directory)
    config = _config(directory / CONFIG, type(loaded.model).__name__)
    if card.base_fingerprint != loaded.fingerprint:
        raise UnusableAdapter(
            f"the adapter {card.name} was trained on the checkpoint {card.base_fingerprint}, and {loaded.card.name} "
            f"here is {loaded.fingerprint}; take the adapter for this checkpoint, or train it anew"
        )
    pairs = _pairs(directory / WEIGHTS)
    if wrong := _unfit(pairs, config, loaded):
        raise UnusableAdapter(f"the adapter {card.name} does not fit {loaded.card.name}: {wrong}")
    files = [directory / name for name in (CONFIG, WEIGHTS, adapter_card.FILE_NAME)]
    return AdapterFiles(card, fingerprint(files), config, pairs)


def _config(path: Path, architecture: str) -> LoraConfig:
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind, base = table["peft_type"], (table.get("auto_mapping") or {}).get("base_model_class", architecture)
        config = LoraConfig(
            r=int(table["r"]),
            lora_alpha=int(table["lora_alpha"]),
            target_modules=table["target_modules"],
            inference_mode=True,
        )
    except FileNotFoundError:
        raise UnusableAdapter(f"{path} is missing; copy the whole adapter") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableAdapter(f"{path} cannot be read: {error!r}; copy the adapter anew") from error
    if kind != "LORA":
        raise UnusableAdapter(f"{path} is of a {kind} adapter; LORA is wanted")
    if base != architecture:
        raise UnusableAdapter(f"{path} is for a {base}, and the model is a {architecture}; take another adapter")
    usual = LoraConfig().to_dict()  # type: ignore[no-untyped-call]
    odd = [
        key
        for key, value in table.items()
        if key not in _READ | _WITHOUT_EFFECT and (value or None) != (usual.get(key) or None)
    ]
    if odd:
        raise UnusableAdapter(f"{path} sets {', '.join(sorted(odd))}; only plain LoRA is supported, train it so")
    return config


def _pairs(path: Path) -> dict[str, Pair]:
    if not path.is_file():
        raise UnusableAdapter(f"{path} is missing; weights are read from safetensors only, never from a pickle")
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UnusableAdapter(f"{path} cannot be read: {error}; copy the adapter anew") from error
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        found = re.fullmatch(re.escape(PREFIX) + r"(.+)\.lora_([AB])\.weight", key)
        if found is None:
            raise UnusableAdapter(f"{path} holds {key}, which is no LoRA weight; only plain LoRA is supported")
        if not tensor.isfinite().all():
            raise UnusableAdapter(f"{path} holds numbers in {key} that are not finite; train the adapter anew")
        halves.setdefault(found[1], {})[found[2]] = tensor
    if alone := [name for name, half in halves.items() if len(half) != 2]:
        raise UnusableAdapter(f"{path} holds only one of A and B for {alone[0]}; copy the adapter anew")
    return {name: Pair(half["A"], half["B"]) for name, half in halves.items()}


def _unfit(pairs: Mapping[str, Pair], config: LoraConfig, loaded: LoadedModel) -> str | None:
    """Why the pairs cannot be added to the model's weights, in words; None where they can."""
    layers = linear_layers(loaded.model)
    if strangers := sorted(pairs.keys() - layers.keys()):
        return f"the model has no linear layer {strangers[0]} (and {len(strangers) - 1} more)"
    for name, (a, b) in pairs.items():
        outputs, inputs = layers[name].weight.shape
        if a.shape != (config.r, inputs) or b.shape != (outputs, config.r):
            wanted = f"({config.r}, {inputs}) and ({outputs}, {config.r})"
            return f"A and B of {name} are {tuple(a.shape)} and {tuple(b.shape)}, wanted {wanted}"
        if reason := _frozen(name, config):
            return reason
    try:
        asked = {name for name in base_modules(loaded.model) if check_target_module_exists(config, name)}
    except re.error as error:
        return f"its target_modules are no regular expression: {error}"
    if asked != pairs.keys():
        example = min(asked ^ pairs.keys())
        return f"{CONFIG} names {len(asked)} layers and {WEIGHTS} holds {len(pairs)}; they differ in {example}"
    for group in sharing(layers):
        if (held := [name for name in group if name in pairs]) and not _one_pair(held, group, pairs):
            return f"{' and '.join(group)} are one weight and need one and the same A and B; train them tied"
    return None


def _frozen(name: str, config: LoraConfig) -> str | None:
    """Why a layer must not be changed; None where it may."""
    if _ORDINARY.fullmatch(name):
        return None
    block = next((block for block in _ON_REQUEST if block in name.split(".")), None)
    if block is None:
        return f"{name} cannot be adapted; only layers of encoder and decoder can"
    targets = config.target_modules
    named: Iterable[str] = [targets] if isinstance(targets, str) else targets or ()
    if any(block in target for target in named):
        return None
    return f"{name} would be changed without being meant: name {block} in target_modules, or leave it out"


def _one_pair(held: list[str], group: list[str], pairs: Mapping[str, Pair]) -> bool:
    first = pairs[held[0]]
    return len(held) == len(group) and all(
        torch.equal(pairs[name].a, first.a) and torch.equal(pairs[name].b, first.b) for name in held
    )
