"""The scripts that measure the real size, run on small models: what they write loads, and what they measure prints."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch

from model_runtime.checkpoints.checkpoint import Architecture, load
from model_runtime.prompts.prompt import IMAGE

DECODE = Path(__file__).parents[2] / "bench/decode.py"
PARTS = ("load", "fast", "layers", "canvases", "logits", "sibling")


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Path]:
    folder = tmp_path_factory.mktemp("full_size")
    return {"diffusion_gemma": folder / "diffusion", "gemma4": folder / "sibling"}


@pytest.fixture(scope="module")
def printed(directories: dict[Architecture, Path]) -> str:
    diffusion, sibling = directories.values()
    arguments = ["--tiny", "--diffusion", diffusion, "--sibling", sibling, "--parts", *PARTS]
    done = subprocess.run([sys.executable, DECODE, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_decoding_is_measured_from_loading_to_the_ratio(printed: str) -> None:
    assert "fast step: a canvas of 256, times as fast as 256 tokens of the sibling" in printed
    assert "3   share 1\n" in printed, "in float32, canvases are the same after every step"


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize("architecture", ["diffusion_gemma", "gemma4"])
def test_a_sharded_checkpoint_is_loaded_and_each_tie_takes_memory_once(
    architecture: Architecture, directories: dict[Architecture, Path]
) -> None:
    directory = directories[architecture]
    index = json.loads((directory / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 1
    loaded = load(directory, "cpu", torch.bfloat16, architectures=[architecture])
    tensors = chain(
        loaded.model.named_parameters(remove_duplicate=False), loaded.model.named_buffers(remove_duplicate=False)
    )
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for _, t in tensors}
    assert sum(storages.values()) < 1.01 * index["metadata"]["total_size"]
    text = "Heart size is normal, Ångström 12."
    assert loaded.codec.decode(loaded.codec.encode(text)) == text
    assert len(loaded.tokenizer) == loaded.vocabulary_size
    assert loaded.tokenizer.convert_tokens_to_ids(IMAGE) == loaded.model.config.image_token_id
