"""The demo checkpoint's size: the real architecture, every part of it kept, small enough to be trained on a CPU.

Its sibling is Gemma 4, which writes from left to right, of the same size.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    DiffusionGemmaConfig,
    DiffusionGemmaForBlockDiffusion,
    DiffusionGemmaTextConfig,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4TextConfig,
    Gemma4VisionConfig,
    PreTrainedTokenizerBase,
)
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

from model_runtime.prompts.prompt import IMAGE, IMAGE_END, IMAGE_START

# A square image becomes 384 x 384: 16 x 16 patches, pooled 2 x 2 to 64 soft tokens.
IMAGE_SIZE, PATCH, POOL = 384, 24, 2
SOFT_TOKENS = (IMAGE_SIZE // PATCH // POOL) ** 2
DENSE = "dense"

_TEXT_LAYERS, _TEXT_HEAD = 4, 64
_VISION_LAYERS, _VISION_HEAD = 5, 32
_INNER = 384
# The sibling has no self-conditioning; what that weighs goes to its dense layers.
_SIBLING_INNER = _INNER + _INNER // _TEXT_LAYERS


def build_model(tokenizer: PreTrainedTokenizerBase, canvas_length: int) -> DiffusionGemmaForBlockDiffusion:
    """A new model with random weights, float32, ties made."""
    text = DiffusionGemmaTextConfig(**_text_settings(tokenizer), intermediate_size=_INNER)
    config = DiffusionGemmaConfig(text_config=text.to_dict(), canvas_length=canvas_length, **_image_settings(tokenizer))
    model = DiffusionGemmaForBlockDiffusion(config)
    model.tie_weights()
    _start_gently(model)
    return model


def build_sibling(tokenizer: PreTrainedTokenizerBase) -> Gemma4ForConditionalGeneration:
    """As `build_model`; 192 parameters fewer, those of the self-conditioning's norm."""
    text = Gemma4TextConfig(
        **_text_settings(tokenizer),
        intermediate_size=_SIBLING_INNER,
        enable_moe_block=True,
        attention_k_eq_v=True,
        hidden_size_per_layer_input=0,
        final_logit_softcapping=30.0,
    )
    model = Gemma4ForConditionalGeneration(Gemma4Config(text_config=text.to_dict(), **_image_settings(tokenizer)))
    model.tie_weights()
    _start_gently(model)
    return model


def _text_settings(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 192,
        "num_hidden_layers": _TEXT_LAYERS,
        "layer_types": ["sliding_attention"] * (_TEXT_LAYERS - 1) + ["full_attention"],
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "num_global_key_value_heads": 1,
        "head_dim": _TEXT_HEAD,
        "global_head_dim": _TEXT_HEAD,
        "sliding_window": 1024,
        "max_position_embeddings": 4096,
        "num_experts": 4,
        "top_k_experts": 2,
        "moe_intermediate_size": 64,
        "use_bidirectional_attention": "vision",
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }


def _image_settings(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    vision = Gemma4VisionConfig(
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=_VISION_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=_VISION_HEAD,
        patch_size=PATCH,
        pooling_kernel_size=POOL,
        position_embedding_size=64,
    )
    vocabulary = tokenizer.get_vocab()
    return {
        "vision_config": vision.to_dict(),
        "image_token_id": vocabulary[IMAGE],
        "boi_token_id": vocabulary[IMAGE_START],
        "eoi_token_id": vocabulary[IMAGE_END],
    }


def build_image_processor() -> Gemma4ImageProcessorPil:
    """At most 70 soft tokens, the fewest that the processor knows."""
    return Gemma4ImageProcessorPil(max_soft_tokens=70, patch_size=PATCH, pooling_kernel_size=POOL)


@torch.no_grad()
def _start_gently(model: torch.nn.Module) -> None:
    """Initial values that a pretrained model does not need: attention starts flat, blocks small, places told apart."""
    for name, parameter in model.named_parameters():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            parameter.fill_(
                (_VISION_HEAD if "vision" in name else _TEXT_HEAD) ** -0.25
            )  # the architecture does not scale its scores
        elif name.endswith(("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")):
            parameter.fill_((2 * (_VISION_LAYERS if "vision" in name else _TEXT_LAYERS)) ** -0.5)
        elif name.endswith("position_embedding_table"):
            parameter.normal_(std=0.3)
        elif name.endswith("patch_embedder.input_proj.weight"):
            parameter.normal_(std=0.06)


def dense_experts(
    self: Any, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
) -> torch.Tensor:
    """All experts for all tokens, the ones not chosen weighted zero: for few small experts faster than sorting.

    `hidden_states` (tokens, hidden), `top_k_*` (tokens, chosen); the same result as the stock implementations.
    """
    tokens, hidden = hidden_states.shape
    experts = self.num_experts
    weights = torch.zeros(tokens, experts, dtype=top_k_weights.dtype, device=hidden_states.device)
    weights = weights.scatter(1, top_k_index, top_k_weights)
    gate_up = hidden_states @ self.gate_up_proj.reshape(-1, hidden).T
    gate, up = gate_up.view(tokens, experts, -1).chunk(2, dim=-1)
    inner = self.act_fn(gate) * up * weights[..., None].to(gate.dtype)
    output: torch.Tensor = inner.reshape(tokens, -1) @ self.down_proj.transpose(1, 2).reshape(-1, hidden)
    return output


ALL_EXPERTS_FUNCTIONS.register(DENSE, dense_experts)
