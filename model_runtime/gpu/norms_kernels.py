"""Norms, residuals and gates of a token in one launch: what lies between two matrix products never leaves registers.

Values are rounded to the model's type wherever transformers has them in a tensor.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_HEADS = 4  # of a program
_GATES = 1024  # of a program


@triton.jit
def gelu_tanh(x):
    return x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))  # 2 sqrt(2 / pi)


@triton.jit
def _norm(x, size, eps):
    """What a row is multiplied by."""
    return tl.rsqrt(tl.sum(x * x, 0) / size + eps)


@triton.jit
def _heads(
    projected, q_weight, k_weight, cos, sin, q, k, v, eps, given,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, HEAD: tl.constexpr, HEADS: tl.constexpr,
):  # fmt: skip
    """Some of a token's heads: queries, then keys, then values, which may be the keys' own projections."""
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) * HEADS + tl.arange(0, HEADS)[:, None]
    d = tl.arange(0, HEAD)[None, :]
    across = (d + HEAD // 2) % HEAD
    kind = projected.dtype.element_ty
    of_query, of_value, live = head < QUERIES, head >= QUERIES + KEYS, head < QUERIES + 2 * KEYS
    at = projected + (token * given + tl.where(head < given, head, head - KEYS)) * HEAD
    x = tl.load(at + d, live, 0.0).to(tl.float32)
    norm = tl.rsqrt(tl.sum(x * x, 1)[:, None] / HEAD + eps)
    x *= norm
    other = tl.load(at + across, live, 0.0).to(tl.float32) * norm
    straight = (x * tl.where(of_query, tl.load(q_weight + d), tl.load(k_weight + d)).to(tl.float32)).to(kind)
    other *= tl.where(of_query, tl.load(q_weight + across), tl.load(k_weight + across)).to(tl.float32)
    other = tl.where(d < HEAD // 2, -other, other).to(kind)
    cosine, sine = tl.load(cos + token * HEAD + d).to(tl.float32), tl.load(sin + token * HEAD + d).to(tl.float32)
    turned = straight.to(tl.float32) * cosine + other.to(tl.float32) * sine
    out = tl.where(of_value, x, turned).to(kind)
    tl.store(q + (token * QUERIES + head) * HEAD + d, out, of_query)
    tl.store(k + (token * KEYS + head - QUERIES) * HEAD + d, out, (head >= QUERIES) & (head < QUERIES + KEYS))
    tl.store(v + (token * KEYS + head - QUERIES - KEYS) * HEAD + d, out, of_value & live)


@triton.jit
def _after_attention(
    out, hidden, w_attention, w_dense, w_router, w_experts, new, for_dense, for_router, for_experts, eps,
    HIDDEN: tl.constexpr, HIDDEN_UP: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * HIDDEN + tl.arange(0, HIDDEN_UP)
    d = tl.arange(0, HIDDEN_UP)
    live = d < HIDDEN
    kind = hidden.dtype.element_ty
    x = tl.load(out + at, live, 0.0).to(tl.float32)
    x = (x * _norm(x, HIDDEN, eps) * tl.load(w_attention + d, live, 0.0).to(tl.float32)).to(kind).to(tl.float32)
    x = (tl.load(hidden + at, live, 0.0).to(tl.float32) + x).to(kind)
    tl.store(new + at, x, live)
    x = x.to(tl.float32)
    x *= _norm(x, HIDDEN, eps)
    tl.store(for_dense + at, (x * tl.load(w_dense + d, live, 0.0).to(tl.float32)).to(kind), live)
    tl.store(for_experts + at, (x * tl.load(w_experts + d, live, 0.0).to(tl.float32)).to(kind), live)
    x = (x.to(kind).to(tl.float32) * tl.load(w_router + d, live, 0.0).to(tl.float32)).to(kind).to(tl.float32)
    tl.store(for_router + at, (x * (HIDDEN**-0.5)).to(kind), live)


@triton.jit
def _gated(gate_up, out, INNER: tl.constexpr, GATES: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * GATES + tl.arange(0, GATES)
    live = d < INNER
    gate = tl.load(gate_up + token * 2 * INNER + d, live, 0.0).to(tl.float32)
    up = tl.load(gate_up + token * 2 * INNER + INNER + d, live, 0.0).to(tl.float32)
    kind = out.dtype.element_ty
    value = gelu_tanh(gate).to(kind).to(tl.float32) * up
    tl.store(out + token * INNER + d, value.to(kind), live)


@triton.jit
def _after_experts(
    of_experts, of_dense, hidden, w_dense, w_experts, w_both, scalar, w_following, new, following, eps,
    EACH: tl.constexpr, HIDDEN: tl.constexpr, HIDDEN_UP: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, HIDDEN_UP)
    at, live = token * HIDDEN + d, d < HIDDEN
    kind = hidden.dtype.element_ty
    x = tl.zeros([HIDDEN_UP], tl.float32)
    for expert in tl.static_range(EACH):
        x += tl.load(of_experts + (token * EACH + expert) * HIDDEN + d, live, 0.0).to(tl.float32)
    x = x.to(kind).to(tl.float32)
    x = (x * _norm(x, HIDDEN, eps) * tl.load(w_experts + d, live, 0.0).to(tl.float32)).to(kind).to(tl.float32)
    y = tl.load(of_dense + at, live, 0.0).to(tl.float32)
    y = (y * _norm(y, HIDDEN, eps) * tl.load(w_dense + d, live, 0.0).to(tl.float32)).to(kind).to(tl.float32)
    x = (x + y).to(kind).to(tl.float32)
    x = (x * _norm(x, HIDDEN, eps) * tl.load(w_both + d, live, 0.0).to(tl.float32)).to(kind).to(tl.float32)
    x = (tl.load(hidden + at, live, 0.0).to(tl.float32) + x).to(kind).to(tl.float32)
    x = (x * tl.load(scalar).to(tl.float32)).to(kind)
    tl.store(new + at, x, live)
    x = x.to(tl.float32)
    x = x * _norm(x, HIDDEN, eps) * tl.load(w_following + d, live, 0.0).to(tl.float32)
    tl.store(following + at, x.to(kind), live)


def heads(
    by_head: Tensor,
    q_weight: Tensor,
    k_weight: Tensor,
    cos: Tensor,
    sin: Tensor,
    eps: float,
    queries: int,
    key_heads: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """See norms.heads; `by_head` (rows, canvas length, heads that are projected, head), all contiguous."""
    rows, length, given, head = by_head.shape
    q = by_head.new_empty(rows, length, queries, head)
    k, v = by_head.new_empty(2, rows, length, key_heads, head)
    _heads[(rows * length, triton.cdiv(queries + 2 * key_heads, _HEADS))](
        by_head, q_weight, k_weight, cos, sin, q, k, v, eps, given,
        QUERIES=queries, KEYS=key_heads, HEAD=head, HEADS=_HEADS, num_warps=4,
    )  # fmt: skip
    return q, k, v


def after_attention(
    out: Tensor, hidden: Tensor, attention: Tensor, dense: Tensor, router: Tensor, experts: Tensor, eps: float
) -> Tensor:
    """See norms.after_attention; the four results, one behind the other."""
    tokens, size = hidden.shape
    results = hidden.new_empty(4, tokens, size)
    _after_attention[(tokens,)](
        out, hidden, attention, dense, router, experts, *results, eps,
        HIDDEN=size, HIDDEN_UP=triton.next_power_of_2(size), num_warps=8,
    )  # fmt: skip
    return results


def gated(gate_up: Tensor) -> Tensor:
    """See norms.gated."""
    tokens, inner = gate_up.shape[0], gate_up.shape[1] // 2
    out = gate_up.new_empty(tokens, inner)
    _gated[(tokens, triton.cdiv(inner, _GATES))](gate_up, out, INNER=inner, GATES=_GATES, num_warps=4)
    return out


def after_experts(
    of_experts: Tensor,
    of_dense: Tensor,
    hidden: Tensor,
    dense: Tensor,
    experts: Tensor,
    both: Tensor,
    scalar: Tensor,
    following: Tensor,
    eps: float,
) -> Tensor:
    """See norms.after_experts; the two results, one behind the other."""
    tokens, size = hidden.shape
    results = hidden.new_empty(2, tokens, size)
    _after_experts[(tokens,)](
        of_experts, of_dense, hidden, dense, experts, both, scalar, following, *results, eps,
        EACH=of_experts.shape[1], HIDDEN=size, HIDDEN_UP=triton.next_power_of_2(size), num_warps=8,
    )  # fmt: skip
    return results
