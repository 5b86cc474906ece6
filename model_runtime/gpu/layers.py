"""The decoder's layers as functions of their module, so that one compiled function serves all layers of a kind.

The arithmetic is transformers' own. What differs is where things lie: the prompt's keys and values are read in place,
projections of one input are one product, and a layer comes in four parts, so that its dense and its sparse half can run
side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from model_runtime.gpu.attention import attend
from model_runtime.gpu.experts import Weights, mix
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


class Attended(NamedTuple):
    """What attention has made of the hidden states, and three normed readings of it; (tokens, hidden) but `hidden`."""

    hidden: Tensor  # (rows, canvas length, hidden)
    for_dense: Tensor
    for_router: Tensor
    for_experts: Tensor


def enter(decoder: Any, canvas: Tensor, probabilities: Tensor) -> Tensor:
    """Canvas ids and what the last step thought of them → (rows, canvas length, hidden).

    `probabilities` (rows, canvas length, vocabulary); all zero at the first step, which gives no signal at all.
    """
    embedding = decoder.embed_tokens
    signal = torch.matmul(probabilities, embedding.weight) * embedding.embed_scale.to(embedding.weight.dtype)
    entered: Tensor = decoder.self_conditioning(embedding(canvas), signal)
    return entered


def leave(model: Any, hidden: Tensor) -> Tensor:
    """Logits before the softcap, (rows, canvas length, vocabulary)."""
    logits: Tensor = model.lm_head(model.model.decoder.norm(hidden))
    return logits


def attention(
    module: Any,
    hidden: Tensor,
    cos: Tensor,
    sin: Tensor,
    prompt_keys: Tensor,
    prompt_values: Tensor,
    first: Tensor,
    joined: Joined | None,
) -> Attended:
    """A layer's first part. `hidden` (rows, canvas length, hidden), `cos` and `sin` (rows, canvas length, head).

    The prompt as in attention.attend. Without `joined`, each projection is the module's own, adapters included.
    """
    own = module.self_attn
    x = module.input_layernorm(hidden)
    by_head = (*x.shape[:2], -1, own.head_dim)
    if joined is None:
        q, k = own.q_proj(x).view(by_head), own.k_proj(x).view(by_head)
        v = k if own.v_proj is None else own.v_proj(x).view(by_head)
    else:
        heads = functional.linear(x, joined.heads).view(by_head)
        of_prompt = prompt_keys.shape[1]
        queries = heads.shape[2] - of_prompt * (1 if own.v_proj is None else 2)
        q, k = heads[:, :, :queries], heads[:, :, queries : queries + of_prompt]
        v = heads[:, :, -of_prompt:]
    mixed = attend(
        _turned(own.q_norm(q), cos, sin),
        _turned(own.k_norm(k), cos, sin),
        own.v_norm(v),
        prompt_keys,
        prompt_values,
        first,
    )
    hidden = hidden + module.post_attention_layernorm(own.o_proj(mixed.reshape(*x.shape[:2], -1)))
    tokens, router = hidden.reshape(-1, hidden.shape[-1]), module.router
    return Attended(
        hidden,
        module.pre_feedforward_layernorm(tokens),
        router.norm(tokens) * router.scale * router.scalar_root_size,
        module.pre_feedforward_layernorm_2(tokens),
    )


def dense(module: Any, attended: Attended, joined: Joined | None) -> Tensor:
    """What the dense half adds, (tokens, hidden)."""
    mlp, x = module.mlp, attended.for_dense
    if joined is None:
        out = mlp(x)
    else:
        gate, up = functional.linear(x, joined.gate_up).chunk(2, dim=-1)
        out = mlp.down_proj(mlp.act_fn(gate) * up)
    normed: Tensor = module.post_feedforward_layernorm_1(out)
    return normed


def sparse(module: Any, attended: Attended, experts: Weights | None) -> Tensor:
    """What the experts add, (tokens, hidden); `experts` instead of the module's own, where they are given."""
    router = module.router
    scores = router.proj(attended.for_router)
    chosen, share = choose(scores, router.per_expert_scale, router.config.top_k_experts)
    if experts is None:
        out = module.experts(attended.for_experts, chosen, share)
    else:
        out = mix(attended.for_experts, chosen, share, experts)
    normed: Tensor = module.post_feedforward_layernorm_2(out)
    return normed


def join(module: Any, attended: Attended, of_dense: Tensor, of_experts: Tensor) -> Tensor:
    """The layer's output, like its input."""
    both = module.post_feedforward_layernorm(of_dense + of_experts)
    out: Tensor = (attended.hidden + both.view_as(attended.hidden)) * module.layer_scalar
    return out


def _joined(projections: list[Any]) -> Tensor:
    joined = torch.cat([projection.weight.detach() for projection in projections])
    parts = torch.split(joined, [projection.out_features for projection in projections])
    for projection, part in zip(projections, parts, strict=True):
        projection.weight.data = part
    return joined


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, x (rows, canvas length, heads, head)."""
    left, right = x.chunk(2, dim=-1)
    return x * cos[:, :, None] + torch.cat((-right, left), dim=-1) * sin[:, :, None]
