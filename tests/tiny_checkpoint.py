"""A whole checkpoint directory of the real architecture, tiny and with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    DiffusionGemmaConfig,
    DiffusionGemmaForBlockDiffusion,
    DiffusionGemmaTextConfig,
    Gemma4VisionConfig,
)
from transformers.models.gemma.tokenization_gemma import GemmaTokenizer
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

CARD = """\
name = "tiny"
version = "0"
purpose = "tests"
modalities = ["DX", "CR"]
body_parts = ["CHEST"]
filler = "<filler>"
end = "<turn|>"

[prompt]
images = 2

[sampler]
steps = {steps}
entropy_bound = 0.1
t_min = 0.4
t_max = 0.8
confidence_threshold = 0.005
stability_threshold = 1
"""
SENTENCE = "FINDINGS: IMPRESSION: The lungs are clear No pleural effusion or pneumothorax heart size is normal nodule"
WORDS = SENTENCE.split()


def write(directory: Path, *, canvas_length: int, steps: int, wide: bool = False) -> Path:
    """A checkpoint that writes nonsense, in exactly `steps` denoising steps a draft; `directory`.

    `wide`: its experts are whole tiles of the GPU's kernels.
    """
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(directory)
    tiny_model(tokenizer, canvas_length, wide=wide).save_pretrained(directory)
    Gemma4ImageProcessorPil(max_soft_tokens=70).save_pretrained(directory)
    (directory / "model_card.toml").write_text(CARD.format(steps=steps), encoding="utf-8")
    return directory


def tiny_tokenizer() -> GemmaTokenizer:
    """Byte fallback, single characters, and whole words with the space before them."""
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += sorted({*"".join(WORDS), "▁", ".", ",", "0", "1", "2"})
    vocabulary = {token: i for i, token in enumerate(tokens)}
    merges = []
    for word in WORDS:
        piece = "▁"
        for character in word:
            if (piece, character) not in merges:
                merges.append((piece, character))
            piece += character
            vocabulary.setdefault(piece, len(vocabulary))
    vocabulary["<filler>"] = len(vocabulary)
    vocabulary["\t"] = len(vocabulary)
    tokenizer = GemmaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=False)
    special = ["<|turn>", "<turn|>", "<|image|>", "<|image>", "<image|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    return tokenizer


def tiny_model(tokenizer: GemmaTokenizer, canvas_length: int, *, wide: bool = False) -> DiffusionGemmaForBlockDiffusion:
    torch.manual_seed(0)
    image, start, stop = (tokenizer.convert_tokens_to_ids(t) for t in ("<|image|>", "<|image>", "<image|>"))
    text = DiffusionGemmaTextConfig(
        vocab_size=len(tokenizer) + 8,  # wider than the vocabulary, as padded output layers are
        hidden_size=256 if wide else 32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_global_key_value_heads=1,
        head_dim=16,
        global_head_dim=16,
        sliding_window=128,
        num_experts=4,
        top_k_experts=2,
        moe_intermediate_size=128 if wide else 16,
        use_bidirectional_attention="vision",
        max_position_embeddings=1024,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    vision = Gemma4VisionConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        position_embedding_size=64,
    )
    model = DiffusionGemmaForBlockDiffusion(
        DiffusionGemmaConfig(
            text_config=text.to_dict(),
            vision_config=vision.to_dict(),
            canvas_length=canvas_length,
            image_token_id=image,
            boi_token_id=start,
            eoi_token_id=stop,
        )
    )
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<turn|>")]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model
