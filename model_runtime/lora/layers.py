"""LoRA layers in a model whose encoder and decoder share their weights: where the base is one tensor, so are A and B.

Peft gives every module an A and a B of its own (Hu et al., arXiv 2106.09685: W + alpha / rank · B A). With two
different deltas for one base tensor there would be no single weight to merge into.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

# Attention and dense MLP of encoder and decoder; experts, router, vision tower and self-conditioning stay as they are.
TARGETS = r".*(encoder\.language_model|decoder)\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"


def base_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The base's modules by name, the same whether adapters are attached or not."""
    return {name.removesuffix(".base_layer"): module for name, module in model.named_modules() if ".lora_" not in name}


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """Those of them that an adapter can change."""
    return {name: module for name, module in base_modules(model).items() if isinstance(module, nn.Linear)}


def lora_layers(model: nn.Module) -> dict[str, LoraLayer]:
    """The layers that some adapter changes, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def sharing(layers: Mapping[str, nn.Linear]) -> list[list[str]]:
    """Names of the layers, those that hold the same weight together."""
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for name, layer in layers.items():
        groups[id(layer.weight)].append(name)
    return list(groups.values())


def inject(model: nn.Module, config: LoraConfig, name: str) -> None:
    """Give the layers that the config names one more A and B, used from now on, and freeze the base.

    Raises ValueError where the config names no layer.
    """
    known = model.__dict__.pop("peft_config", {})  # peft warns of what other adapters have left there
    inject_adapter_in_model(config, model, name)
    model.peft_config |= known
    owners: dict[int, LoraLayer] = {}
    for layer in lora_layers(model).values():
        if name in layer.lora_A:
            owner = owners.setdefault(id(layer.get_base_layer().weight), layer)
            layer.lora_A[name], layer.lora_B[name] = owner.lora_A[name], owner.lora_B[name]
