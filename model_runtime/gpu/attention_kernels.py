"""Attention from a canvas to its prompt and to itself, without a mask and without copying the prompt.

How much of the prompt's room each row fills is read from the device's memory, so that one captured graph serves
prompts of every length and spends nothing on room that is empty. (Online softmax as in FlashAttention-2,
arXiv 2307.08691.)
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

# By the width of a head: queries and keys of a tile, warps, stages. Not yet tuned.
_TILES = {256: (64, 64, 4, 2), 512: (64, 32, 8, 2)}


@triton.jit
def _look_at(query, keys, values, at, seen, best, total, mixed, HEAD: tl.constexpr):
    """One tile of keys: `at` (tile,) its offsets, `seen` (tile,) which of them count."""
    d = tl.arange(0, HEAD)
    key = tl.load(keys + at[:, None] + d[None, :], mask=seen[:, None], other=0.0)
    score = tl.dot(query, tl.trans(key)) * 1.4426950408889634  # the exponent's base is 2
    score = tl.where(seen[None, :], score, float("-inf"))
    higher = tl.maximum(best, tl.max(score, 1))
    share = tl.exp2(score - higher[:, None])
    shrink = tl.exp2(best - higher)
    value = tl.load(values + at[:, None] + d[None, :], mask=seen[:, None], other=0.0)
    mixed = tl.dot(share.to(value.dtype), value, mixed * shrink[:, None])
    return higher, total * shrink + tl.sum(share, 1), mixed


@triton.jit
def _attend(
    q, k, v, prompt_k, prompt_v, first, out, length, room,
    HEADS: tl.constexpr, KV: tl.constexpr, HEAD: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """A tile of the queries of all heads that share one head of keys, laid one behind the other."""
    kv, row = tl.program_id(1), tl.program_id(2).to(tl.int64)
    index = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    live = index < HEADS // KV * length
    place, head = index % length, kv * (HEADS // KV) + index // length
    at = ((row * length + place) * HEADS + head)[:, None] * HEAD + tl.arange(0, HEAD)[None, :]
    query = tl.load(q + at, mask=live[:, None], other=0.0)
    best = tl.full([QUERIES], -1e30, tl.float32)  # not -inf: a tile of which nothing is seen must not give NaN
    total = tl.zeros([QUERIES], tl.float32)
    mixed = tl.zeros([QUERIES, HEAD], tl.float32)
    begin = tl.load(first + row)
    of_prompt = (row * KV + kv) * room * HEAD
    for n in range(begin // KEYS * KEYS, room, KEYS):
        p = n + tl.arange(0, KEYS)
        seen = (p >= begin) & (p < room)
        best, total, mixed = _look_at(query, prompt_k, prompt_v, of_prompt + p * HEAD, seen, best, total, mixed, HEAD)
    for n in range(0, length, KEYS):
        p = n + tl.arange(0, KEYS)
        own = ((row * length + p) * KV + kv) * HEAD
        best, total, mixed = _look_at(query, k, v, own, p < length, best, total, mixed, HEAD)
    tl.store(out + at, (mixed / total[:, None]).to(out.dtype.element_ty), mask=live[:, None])


@torch.library.custom_op("radplug::attend", mutates_args=())
def attend(q: Tensor, k: Tensor, v: Tensor, prompt_k: Tensor, prompt_v: Tensor, first: Tensor) -> Tensor:
    """See attention.attend; all contiguous."""
    rows, length, heads, head = q.shape
    kv, room = prompt_k.shape[1:3]
    queries, keys, warps, stages = _TILES.get(head, (64, 64, 4, 2))
    out = torch.empty_like(q)
    _attend[(triton.cdiv(heads // kv * length, queries), kv, rows)](
        q, k, v, prompt_k, prompt_v, first, out, length, room,
        HEADS=heads, KV=kv, HEAD=head, QUERIES=queries, KEYS=keys, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return out


@attend.register_fake
def _(q, k, v, prompt_k, prompt_v, first):
    return torch.empty_like(q)
