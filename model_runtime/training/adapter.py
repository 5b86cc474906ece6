"""A LoRA adapter from its first random numbers to its directory; what is trained is one A/B for encoder and decoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from peft import LoraConfig
from peft.tuners.tuners_utils import cast_adapter_dtype
from safetensors.torch import save_file
from torch import nn

from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.lora import adapter_card, adapter_files
from model_runtime.lora.adapter_card import AdapterCard
from model_runtime.lora.adapters import Adapter
from model_runtime.lora.layers import TARGETS, inject, lora_layers


def new_adapter(
    loaded: LoadedModel, name: str, *, rank: int = 16, alpha: int = 32, targets: str = TARGETS
) -> list[nn.Parameter]:
    """Put an adapter that changes nothing yet on the model, freeze the rest; the float32 parameters to be trained.

    `targets` is a regular expression of whole module names. Seed torch first: A begins at random.

    Raises ValueError where `targets` names no layer.
    """
    model = loaded.model
    inject(model, LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets), name)
    cast_adapter_dtype(model, name)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def save_adapter(
    loaded: LoadedModel,
    name: str,
    directory: Path,
    *,
    version: str,
    purpose: str,
    training: Mapping[str, str | int | float],
) -> Adapter:
    """Write the adapter as a directory that `Adapters.attach` and peft's `PeftModel.from_pretrained` take.

    Raises UnusableAdapter where it is not one that `Adapters.attach` would take.
    """
    model = loaded.model
    config: LoraConfig = model.peft_config[name]
    config.auto_mapping = {"base_model_class": type(model).__name__, "parent_library": type(model).__module__}
    config.save_pretrained(str(directory))
    # Encoder and decoder each get a copy: safetensors writes no tensor twice, and peft looks for both.
    tensors = {
        f"{adapter_files.PREFIX}{path}.{half}.weight": getattr(layer, half)[name].weight.detach().cpu().clone()
        for path, layer in lora_layers(model).items()
        for half in ("lora_A", "lora_B")
        if name in layer.lora_A
    }
    save_file(tensors, directory / adapter_files.WEIGHTS, {"format": "pt"})
    card = AdapterCard(name, version, purpose, loaded.fingerprint, training)
    (directory / adapter_card.FILE_NAME).write_text(card.as_toml(), encoding="utf-8")
    return Adapter(card, adapter_files.read(directory, loaded).fingerprint)
