"""What stands between a layer's matrix products, in one reading each: Triton where it runs, plain PyTorch elsewhere.

Every norm is an RMSNorm in float32 whose result is rounded to the model's type, as transformers has it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from model_runtime.gpu.hardware import unusable


class Attended(NamedTuple):
    """The hidden states after attention, and three normed readings of them; (tokens, hidden) each."""

    hidden: Tensor
    for_dense: Tensor
    for_router: Tensor
    for_experts: Tensor


class AfterAttention(NamedTuple):
    """A layer's weights, (hidden,) each."""

    attention: Tensor
    dense: Tensor
    router: Tensor  # its own scale, by which it also divides by the root of the width
    experts: Tensor


class AfterExperts(NamedTuple):
    """A layer's weights, (hidden,) each but the scalar's."""

    dense: Tensor
    experts: Tensor
    both: Tensor
    scalar: Tensor  # (1,), of the whole layer
    following: Tensor  # of whatever reads the layer's output


def normed(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    return functional.rms_norm(x.float(), x.shape[-1:], None if weight is None else weight.float(), eps).type_as(x)


def heads(
    projected: Tensor,
    q_weight: Tensor,
    k_weight: Tensor,
    cos: Tensor,
    sin: Tensor,
    eps: float,
    *,
    key_heads: int,
    own_values: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, normed and, but for the values, turned; (rows, canvas length, heads, head) each.

    `projected` (rows, canvas length, all heads one behind the other); without values of their own, the keys'
    projections are the values, too. `cos` and `sin` (rows, canvas length, head).
    """
    by_head = projected.view(*projected.shape[:2], -1, q_weight.shape[0])
    queries = by_head.shape[2] - key_heads * (2 if own_values else 1)
    if not unusable(projected.device):
        from model_runtime.gpu import norms_kernels

        q, k, v = norms_kernels.heads(by_head.contiguous(), q_weight, k_weight, cos, sin, eps, queries, key_heads)
        return q, k, v
    q, k, v = by_head[:, :, :queries], by_head[:, :, queries : queries + key_heads], by_head[:, :, -key_heads:]
    return (
        _turned(normed(q, q_weight, eps), cos, sin),
        _turned(normed(k, k_weight, eps), cos, sin),
        normed(v, None, eps),
    )


def after_attention(out: Tensor, hidden: Tensor, weights: AfterAttention, eps: float) -> Attended:
    """`out` is the attention's projection, `hidden` what the layer was given, (tokens, hidden) each."""
    if not unusable(out.device):
        from model_runtime.gpu import norms_kernels

        return Attended(*norms_kernels.after_attention(out.contiguous(), hidden, *weights, eps))
    hidden = hidden + normed(out, weights.attention, eps)
    for_router = normed(hidden, None, eps) * weights.router * hidden.shape[-1] ** -0.5
    return Attended(hidden, normed(hidden, weights.dense, eps), for_router, normed(hidden, weights.experts, eps))


def gated(gate_up: Tensor) -> Tensor:
    """gelu_tanh(gate) * up, of (tokens, 2 inner) → (tokens, inner)."""
    if not unusable(gate_up.device):
        from model_runtime.gpu import norms_kernels

        out: Tensor = norms_kernels.gated(gate_up)
        return out
    gate, up = gate_up.chunk(2, dim=-1)
    return functional.gelu(gate, approximate="tanh") * up


def after_experts(
    of_experts: Tensor, of_dense: Tensor, hidden: Tensor, weights: AfterExperts, eps: float
) -> tuple[Tensor, Tensor]:
    """The layer's output, and the norm of it that is read next; (tokens, hidden) each.

    `of_experts` (tokens, any number, hidden) are summed; `of_dense` and `hidden` (tokens, hidden).
    """
    if not unusable(hidden.device):
        from model_runtime.gpu import norms_kernels

        out, following = norms_kernels.after_experts(of_experts, of_dense, hidden, *weights, eps)
        return out, following
    summed = of_experts.sum(1, dtype=torch.float32).type_as(hidden)
    both = normed(of_dense, weights.dense, eps) + normed(summed, weights.experts, eps)
    hidden = (hidden + normed(both, weights.both, eps)) * weights.scalar
    return hidden, normed(hidden, weights.following, eps)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions."""
    left, right = x.chunk(2, dim=-1)
    return x * cos[:, :, None] + torch.cat((-right, left), dim=-1) * sin[:, :, None]
