"""A directory of weights, tokenizer, image processor and model card → a loaded model with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import (
    AutoTokenizer,
    DiffusionGemmaForBlockDiffusion,
    Gemma4ForConditionalGeneration,
    PreTrainedTokenizerBase,
)
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

from model_runtime.checkpoints import model_card
from model_runtime.checkpoints.codec import TextCodec
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.errors import DraftingError, UnusableCheckpoint

Device = Literal["auto", "cpu", "cuda"]
Architecture = Literal["diffusion_gemma", "gemma4"]  # as config.json names them
_DIFFUSION: tuple[Architecture, ...] = ("diffusion_gemma",)

_WEIGHTS, _SHARDS = "model.safetensors", "model.safetensors.index.json"
_NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", model_card.FILE_NAME)
_OPTIONAL = ("generation_config.json", "special_tokens_map.json", "chat_template.jinja", "processor_config.json")
_CLASSES: dict[str, Any] = {
    "diffusion_gemma": DiffusionGemmaForBlockDiffusion,
    "gemma4": Gemma4ForConditionalGeneration,
}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to draft, and what it was loaded from."""

    model: Any  # of the architecture's class, whose annotations do not say what its calls return
    tokenizer: PreTrainedTokenizerBase
    image_processor: Gemma4ImageProcessorPil
    codec: TextCodec
    card: ModelCard
    fingerprint: str

    @property
    def architecture(self) -> Architecture:
        name: Architecture = self.model.config.model_type
        return name

    @property
    def canvas_length(self) -> int:
        """Of a diffusion model; one that writes from left to right has no canvas."""
        return int(self.model.config.canvas_length)

    @property
    def vocabulary_size(self) -> int:
        """Width of the output layer, which may exceed the tokenizer's vocabulary."""
        return int(self.model.config.text_config.vocab_size)

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)


def load(
    directory: Path,
    device: Device = "auto",
    dtype: torch.dtype | None = None,
    *,
    architectures: Collection[Architecture] = _DIFFUSION,
) -> LoadedModel:
    """Load a checkpoint of one of the architectures; nothing is downloaded and no pickle is read.

    `dtype` is by default float32 on a CPU and bfloat16 on a GPU, whatever the weights are stored in.

    Raises:
        UnusableCheckpoint: a piece is missing or broken, or the weights are another architecture's.
        DraftingError: a GPU is asked for and there is none.
    """
    directory = Path(directory)
    files, architecture = _files(directory), _architecture(directory, architectures)
    card = ModelCard.read(directory)
    place = _place(device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        image_processor = Gemma4ImageProcessorPil.from_pretrained(directory, local_files_only=True)
        result = _CLASSES[architecture].from_pretrained(
            directory,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype or (torch.float32 if place.type == "cpu" else torch.bfloat16),
            device_map={"": place},  # shard by shard to where it is wanted, not all of it through the host's memory
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UnusableCheckpoint(f"{directory} cannot be loaded: {error}; copy the checkpoint anew") from error
    model, report = result
    # Transformers fills absent weights with random numbers and goes on.
    if absent := [*report["missing_keys"], *report["mismatched_keys"]]:
        raise UnusableCheckpoint(f"{directory}: {len(absent)} weights are absent or misshapen, e.g. {absent[0]}")
    return LoadedModel(
        model=model.eval(),
        tokenizer=tokenizer,
        image_processor=image_processor,
        codec=TextCodec(tokenizer, card, model.config.text_config.vocab_size),
        card=card,
        fingerprint=fingerprint(files),
    )


def fingerprint_of(directory: Path) -> str:
    """Of a checkpoint directory, as `load` gives it. Raises UnusableCheckpoint where a file is missing."""
    return fingerprint(_files(Path(directory)))


def fingerprint(files: list[Path]) -> str:
    """sha256, hexadecimal, as `sha256sum FILES | sha256sum` in the files' own directory prints it, sorted by name."""
    files = sorted(files, key=lambda path: path.name)
    with ThreadPoolExecutor() as pool:  # hashing leaves the GIL; shards are hashed side by side
        lines = [f"{digest}  {path.name}\n" for digest, path in zip(pool.map(_sha256, files), files, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(directory: Path) -> list[Path]:
    """Every file that decides what is drafted; raises UnusableCheckpoint where one is missing."""
    if not directory.is_dir():
        raise UnusableCheckpoint(f"{directory} is not a directory; name the directory of a checkpoint")
    weights = _weights(directory)
    if missing := [name for name in (*_NEEDED, *weights) if not (directory / name).is_file()]:
        raise UnusableCheckpoint(f"{directory} lacks {', '.join(missing)}; copy the whole checkpoint")
    extras = [name for name in (_SHARDS, *_OPTIONAL) if (directory / name).is_file()]
    return [directory / name for name in {*_NEEDED, *weights, *extras}]


def _architecture(directory: Path, wanted: Collection[Architecture]) -> str:
    found = str(_json(directory / "config.json").get("model_type"))
    if found not in wanted:
        raise UnusableCheckpoint(f"{directory} holds a {found} model; {' or '.join(wanted)} is wanted")
    return found


def _weights(directory: Path) -> list[str]:
    """File names of the weights: one file, or the shards that the index lists."""
    if not (directory / _SHARDS).is_file():
        return [_WEIGHTS]
    shards = _json(directory / _SHARDS).get("weight_map")
    if not isinstance(shards, dict):
        raise UnusableCheckpoint(f"{directory / _SHARDS} lists no weights; copy the checkpoint anew")
    return sorted(set(shards.values()))


def _json(path: Path) -> dict[str, object]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableCheckpoint(f"{path} cannot be read: {error}; copy the checkpoint anew") from error
    if not isinstance(table, dict):
        raise UnusableCheckpoint(f"{path} is not a JSON object; copy the checkpoint anew")
    return table


def _place(device: Device) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise DraftingError("device cuda is asked for and no GPU is usable here; choose cpu or auto")
    return torch.device(device)
