"""A checkpoint of the real size with random weights: DiffusionGemma-26B-A4B, or Gemma-4-26B-A4B as its sibling.

    python bench/full_size.py diffusion_gemma /scratch/diffusion      # 52 GB, sharded
    python bench/full_size.py gemma4 /scratch/sibling
    python bench/full_size.py diffusion_gemma /tmp/small --tiny       # the same files, a few MB

It drafts nonsense, at the speed of the real one. The tokenizer is a working one of the full vocabulary size: byte
fallback, the words of phantom reports, control tokens where the real one has them, and unused tokens elsewhere.
Weights are made where they can be made fast, one shard at a time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    DiffusionGemmaConfig,
    DiffusionGemmaForBlockDiffusion,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
)
from transformers.models.gemma.tokenization_gemma import GemmaTokenizer
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

from model_runtime.checkpoints.model_card import FILE_NAME
from model_runtime.prompts.prompt import IMAGE, IMAGE_END, IMAGE_START
from model_runtime.training.vocabulary import build_tokenizer

TEXT: dict[str, Any] = {
    "vocab_size": 262_144,
    "hidden_size": 2816,
    "intermediate_size": 2112,
    "num_hidden_layers": 30,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "num_global_key_value_heads": 2,
    "head_dim": 256,
    "global_head_dim": 512,
    "num_experts": 128,
    "top_k_experts": 8,
    "moe_intermediate_size": 704,
    "sliding_window": 1024,
    "max_position_embeddings": 262_144,
    "hidden_activation": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-6,
    "final_logit_softcapping": 30.0,
    "use_bidirectional_attention": "vision",
    "tie_word_embeddings": True,
    "attention_bias": False,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
VISION: dict[str, Any] = {
    "model_type": "gemma4_vision",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 72,
    "patch_size": 16,
    "pooling_kernel_size": 3,
    "position_embedding_size": 10_240,
    "standardize": True,
    "use_clipped_linears": False,
}
SIBLING = {
    "attention_k_eq_v": True,
    "enable_moe_block": True,
    "hidden_size_per_layer_input": 0,
    "num_kv_shared_layers": 0,
    "use_double_wide_mlp": False,
}
TINY_TEXT = {
    "vocab_size": 8192,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_global_key_value_heads": 1,
    "head_dim": 16,
    "global_head_dim": 32,
    "num_experts": 8,
    "top_k_experts": 2,
    "moe_intermediate_size": 32,
    "sliding_window": 256,
    "max_position_embeddings": 4096,
}
TINY_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "position_embedding_size": 1024,
}
SOFT_TOKENS = {False: 560, True: 70}  # of an image, at most; True: tiny
# Where the real tokenizer has them, in a vocabulary of any size: the images' are counted from its end.
CONTROL = {
    "<pad>": 0,
    "<eos>": 1,
    "<bos>": 2,
    "<unk>": 3,
    "<mask>": 4,
    "<|turn>": 105,
    "<turn|>": 106,
    IMAGE_START: -6145,
    IMAGE: -3264,
    IMAGE_END: -3262,
}
_OF_A_LAYERS_OUTPUT = ("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")
CARD = """\
name = "random-weights"
version = "0"
purpose = "Measuring speed and memory. It drafts nonsense."
modalities = []
body_parts = []
end = "<turn|>"

[prompt]
images = 2

[sampler]
steps = 16
entropy_bound = 0.1
t_min = 0.4
t_max = 0.8
confidence_threshold = 0.005
stability_threshold = 1
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", choices=["diffusion_gemma", "gemma4"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--tiny", action="store_true", help="the same files, small")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="makes the weights")
    arguments = parser.parse_args()
    started = time.perf_counter()
    count = write(arguments.directory, arguments.architecture, tiny=arguments.tiny, device=arguments.device)
    print(f"{count / 1e9:.3f} B parameters in {time.perf_counter() - started:.0f} s: {arguments.directory}")


def write(directory: Path, architecture: str, *, tiny: bool, device: str) -> int:
    """Fill the directory; the number of parameters."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = build_full_tokenizer(TINY_TEXT["vocab_size"] if tiny else TEXT["vocab_size"])
    tokenizer.save_pretrained(directory)
    Gemma4ImageProcessorPil(max_soft_tokens=SOFT_TOKENS[tiny]).save_pretrained(directory)
    (directory / FILE_NAME).write_text(CARD, encoding="utf-8")
    model = build(architecture, tokenizer, tiny=tiny)
    model.config.architectures = [type(model).__name__]
    model.config.dtype = torch.bfloat16
    model.config.save_pretrained(directory)
    return write_weights(directory, model, device, most_bytes=(1 << 20) if tiny else (4 << 30))


def build(architecture: str, tokenizer: GemmaTokenizer, *, tiny: bool) -> Any:
    """The model without its weights: shapes, names and ties."""
    text = {**TEXT, **(TINY_TEXT if tiny else {})}
    vision = {**VISION, **(TINY_VISION if tiny else {})}
    image, start, end = (tokenizer.convert_tokens_to_ids(token) for token in (IMAGE, IMAGE_START, IMAGE_END))
    ids = {"image_token_id": image, "boi_token_id": start, "eoi_token_id": end}
    with torch.device("meta"):
        if architecture == "gemma4":
            config = Gemma4Config(text_config={**text, **SIBLING}, vision_config=vision, audio_config=None, **ids)
            return Gemma4ForConditionalGeneration(config)
        canvas_length = 64 if tiny else 256
        return DiffusionGemmaForBlockDiffusion(
            DiffusionGemmaConfig(text_config=text, vision_config=vision, canvas_length=canvas_length, **ids)
        )


def build_full_tokenizer(size: int) -> GemmaTokenizer:
    """The demo's words in a vocabulary of `size`; what is left over is unused."""
    learnt = json.loads(build_tokenizer().backend_tokenizer.to_str())["model"]
    places = {token: place % size for token, place in CONTROL.items()}
    free = iter(sorted(set(range(size)) - set(places.values())))
    for token in learnt["vocab"]:
        if token not in places:
            places[token] = next(free)
    places |= {f"<unused{place}>": place for place in free}
    merges: Any = [tuple(pair) for pair in learnt["merges"]]
    tokenizer = GemmaTokenizer(vocab=places, merges=merges, add_bos_token=False)
    tokenizer.add_special_tokens({"additional_special_tokens": [*CONTROL][5:]})
    return tokenizer


def write_weights(directory: Path, model: Any, device: str, most_bytes: int) -> int:
    """Shards of at most `most_bytes` (or one tensor) and their index; each tie once, as save_pretrained does it."""
    shapes = {name: t.shape for name, t in model.state_dict().items() if name not in model.all_tied_weights_keys}
    groups = list(_groups({name: 2 * shape.numel() for name, shape in shapes.items()}, most_bytes))
    index: dict[str, str] = {}
    torch.manual_seed(0)
    for number, names in enumerate(groups, 1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors"
        shard = {name: random_weight(name, shapes[name], device) for name in names}
        save_file(shard, directory / file, metadata={"format": "pt"})
        index |= dict.fromkeys(names, file)
    count = sum(shape.numel() for shape in shapes.values())
    contents = {"metadata": {"total_size": 2 * count}, "weight_map": index}
    (directory / "model.safetensors.index.json").write_text(json.dumps(contents, indent=2), encoding="utf-8")
    return count


def _groups(sizes: dict[str, int], most_bytes: int) -> Iterator[list[str]]:
    group: list[str] = []
    for name, size in sizes.items():
        if group and sum(sizes[other] for other in group) + size > most_bytes:
            yield group
            group = []
        group.append(name)
    yield group


def random_weight(name: str, shape: torch.Size, device: str) -> Tensor:
    """As a model begins: small matrices, attention whose scores are about one, layers that each change a little.

    If they changed more, all tokens would soon be alike and go to the same experts.
    """
    weight = torch.empty(shape, dtype=torch.bfloat16, device=device)
    if len(shape) > 1:
        return weight.normal_(std=0.02)
    if name.endswith("std_bias"):
        return weight.zero_()
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        return weight.fill_(shape[0] ** -0.25)  # the architecture does not scale its scores
    return weight.fill_(0.1 if name.endswith(_OF_A_LAYERS_OUTPUT) else 1.0)


if __name__ == "__main__":
    main()
