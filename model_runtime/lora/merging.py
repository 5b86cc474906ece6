"""An adapter added to the base weights: a model without LoRA layers, for code and servers that know none."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.lora import adapter_files
from model_runtime.lora.layers import linear_layers, lora_layers


def merged(loaded: LoadedModel, directory: Path) -> LoadedModel:
    """The model with an adapter's delta added once to each weight that encoder and decoder share.

    `loaded` stays as it is, with or without attached adapters, and shares every weight that the adapter does not
    change: of the full-size model, attention and dense MLP are new (3.3 GB in bfloat16). The sum is made in float32
    and rounded once, to the base's type.

    Raises UnusableAdapter: see `adapter_files.read`.
    """
    files = adapter_files.read(directory, loaded)
    model = loaded.model
    # What a deep copy finds here it takes instead of copying: tensors as they are, sums for the changed ones, and
    # plain layers in the place of LoRA layers.
    instead: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    layers = linear_layers(model)
    for name, (a, b) in files.pairs.items():
        weight = layers[name].weight
        if instead[id(weight)] is weight:  # encoder and decoder name it twice
            delta = files.scaling * (b.to(weight.device, torch.float32) @ a.to(weight.device, torch.float32))
            sum_ = (weight.detach().float() + delta).to(weight.dtype)
            instead[id(weight)] = nn.Parameter(sum_, requires_grad=False)
    for wrapper in lora_layers(model).values():
        instead[id(wrapper)] = copy.deepcopy(wrapper.get_base_layer(), instead)
    result = copy.deepcopy(model, instead)
    result.__dict__.pop("peft_config", None)
    return replace(loaded, model=result, fingerprint=f"{loaded.fingerprint}+{files.fingerprint}")
