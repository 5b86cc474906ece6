"""The decoder's layers as functions of their module, so that one compiled function serves all layers of a kind.

The arithmetic is transformers' own, but for attention: the prompt's keys and values are read where they lie.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model_runtime.gpu.attention import attend
from model_runtime.gpu.experts import Weights, mix


def enter(decoder: Any, canvas: Tensor, probabilities: Tensor) -> Tensor:
    """Canvas ids and what the last step thought of them → (rows, canvas length, hidden).

    `probabilities` (rows, canvas length, vocabulary); all zero at the first step, which gives no signal at all.
    """
    embedding = decoder.embed_tokens
    signal = torch.matmul(probabilities, embedding.weight) * embedding.embed_scale.to(embedding.weight.dtype)
    entered: Tensor = decoder.self_conditioning(embedding(canvas), signal)
    return entered


def layer(
    module: Any,
    hidden: Tensor,
    cos: Tensor,
    sin: Tensor,
    prompt_keys: Tensor,
    prompt_values: Tensor,
    first: Tensor,
    experts: Weights | None,
) -> Tensor:
    """One decoder layer. `hidden` (rows, canvas length, hidden), `cos` and `sin` (rows, canvas length, head).

    The prompt as in attention.attend; `experts` instead of the module's own, where they are given.
    """
    attention = module.self_attn
    x = module.input_layernorm(hidden)
    by_head = (*x.shape[:2], -1, attention.head_dim)
    k = attention.k_proj(x).view(by_head)
    v = k if attention.v_proj is None else attention.v_proj(x).view(by_head)
    mixed = attend(
        _turned(attention.q_norm(attention.q_proj(x).view(by_head)), cos, sin),
        _turned(attention.k_norm(k), cos, sin),
        attention.v_norm(v),
        prompt_keys,
        prompt_values,
        first,
    )
    hidden = hidden + module.post_attention_layernorm(attention.o_proj(mixed.reshape(*x.shape[:2], -1)))

    dense = module.post_feedforward_layernorm_1(module.mlp(module.pre_feedforward_layernorm(hidden)))
    tokens = hidden.reshape(-1, hidden.shape[-1])
    _, share, chosen = module.router(tokens)
    given = module.pre_feedforward_layernorm_2(tokens)
    sparse = module.experts(given, chosen, share) if experts is None else mix(given, chosen, share, experts)
    sparse = module.post_feedforward_layernorm_2(sparse.reshape(hidden.shape))
    out: Tensor = (hidden + module.post_feedforward_layernorm(dense + sparse)) * module.layer_scalar
    return out


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, x (rows, canvas length, heads, head)."""
    left, right = x.chunk(2, dim=-1)
    return x * cos[:, :, None] + torch.cat((-right, left), dim=-1) * sin[:, :, None]
