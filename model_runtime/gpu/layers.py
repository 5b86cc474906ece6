"""A decoder layer in four parts, so that its dense and its sparse half can run side by side.

The arithmetic is transformers' own. What differs is where things lie: the prompt's keys and values are read in place,
projections of one input are one product, and what stands between two products is one launch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from model_runtime.gpu import norms
from model_runtime.gpu.attention import attend
from model_runtime.gpu.experts import Weights, pairs
from model_runtime.gpu.norms import Attended
from model_runtime.gpu.router import choose


class Joined(NamedTuple):
    """Weights of projections that read the same input, one below the other."""

    heads: Tensor  # of queries, keys and, where they are not the keys, values; (all their rows, hidden)
    gate_up: Tensor  # of the dense half, (2 inner, hidden)

    @classmethod
    def of(cls, module: Any) -> Joined | None:
        """A layer's, None where its projections have biases. Its own weights become views: nothing is kept twice."""
        own, mlp = module.self_attn, module.mlp
        heads = [own.q_proj, own.k_proj] if own.v_proj is None else [own.q_proj, own.k_proj, own.v_proj]
        if any(projection.bias is not None for projection in heads):
            return None
        return cls(_joined(heads), _joined([mlp.gate_proj, mlp.up_proj]))


def enter(decoder: Any, canvas: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Canvas ids and what the last step thought of them → the first layer's input, and its norm; (tokens, hidden).

    `probabilities` (rows, canvas length, vocabulary); all zero at the first step, which gives no signal at all.
    """
    embedding = decoder.embed_tokens
    signal = torch.matmul(probabilities, embedding.weight) * embedding.embed_scale.to(embedding.weight.dtype)
    hidden = decoder.self_conditioning(embedding(canvas), signal).flatten(0, 1)
    return hidden, decoder.layers[0].input_layernorm(hidden)


def attention(
    module: Any,
    hidden: Tensor,
    normed: Tensor,
    cos: Tensor,
    sin: Tensor,
    prompt_keys: Tensor,
    prompt_values: Tensor,
    first: Tensor,
    joined: Joined | None,
) -> Attended:
    """A layer's first part. `hidden` and its norm (tokens, hidden); `cos` and `sin` (rows, canvas length, head).

    The prompt as in attention.attend. Without `joined`, each projection is the module's own, adapters included.
    """
    own, eps = module.self_attn, module.input_layernorm.eps
    if joined is None:
        parts = [own.q_proj, own.k_proj] if own.v_proj is None else [own.q_proj, own.k_proj, own.v_proj]
        projected = torch.cat([part(normed) for part in parts], dim=-1)
    else:
        projected = functional.linear(normed, joined.heads)
    q, k, v = norms.heads(
        projected.view(*cos.shape[:2], -1),
        own.q_norm.weight,
        own.k_norm.weight,
        cos,
        sin,
        eps,
        key_heads=prompt_keys.shape[1],
        own_values=own.v_proj is not None,
    )
    mixed = attend(q, k, v, prompt_keys, prompt_values, first)
    weights = norms.AfterAttention(
        module.post_attention_layernorm.weight,
        module.pre_feedforward_layernorm.weight,
        module.router.scale,
        module.pre_feedforward_layernorm_2.weight,
    )
    return norms.after_attention(own.o_proj(mixed.flatten(2).flatten(0, 1)), hidden, weights, eps)


def dense(module: Any, attended: Attended, joined: Joined | None) -> Tensor:
    """What the dense half makes of it, (tokens, hidden)."""
    mlp, x = module.mlp, attended.for_dense
    if joined is None:
        gate_up = torch.cat([mlp.gate_proj(x), mlp.up_proj(x)], dim=-1)
    else:
        gate_up = functional.linear(x, joined.gate_up)
    out: Tensor = mlp.down_proj(norms.gated(gate_up))
    return out


def route(module: Any, attended: Attended) -> tuple[Tensor, Tensor]:
    """Each token's experts and their shares, (tokens, their number)."""
    router = module.router
    return choose(router.proj(attended.for_router), router.per_expert_scale, router.config.top_k_experts)


def sparse(attended: Attended, routed: tuple[Tensor, Tensor], experts: Weights) -> Tensor:
    """What each token's experts make of it, to be summed; (tokens, their number, hidden)."""
    return pairs(attended.for_experts, *routed, experts)


def join(
    module: Any, attended: Attended, of_dense: Tensor, of_experts: Tensor, following: Any
) -> tuple[Tensor, Tensor]:
    """The layer's output, and what `following`, the norm that reads it, makes of it; (tokens, hidden) each."""
    weights = norms.AfterExperts(
        module.post_feedforward_layernorm_1.weight,
        module.post_feedforward_layernorm_2.weight,
        module.post_feedforward_layernorm.weight,
        module.layer_scalar,
        following.weight,
    )
    return norms.after_experts(of_experts, of_dense, attended.hidden, weights, following.eps)


def _joined(projections: list[Any]) -> Tensor:
    joined = torch.cat([projection.weight.detach() for projection in projections])
    parts = torch.split(joined, [projection.out_features for projection in projections])
    for projection, part in zip(projections, parts, strict=True):
        projection.weight.data = part
    return joined
