"""Attention from a canvas to its prompt and to itself, without a mask and without copying the prompt.

How much of the prompt's room each row fills is read from the device's memory, so that one captured graph serves
prompts of every length and spends nothing on room that is empty. (Online softmax as in FlashAttention-2, arXiv
2307.08691; keys are shared out where there are too few queries to fill the GPU, as in Flash-Decoding.)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor


class Tile(NamedTuple):
    """Queries and keys of a tile, among how many programs the keys are shared out, Triton's warps and stages."""

    queries: int
    keys: int
    shares: int
    warps: int
    stages: int


# By the width of a head, and by the number of rows that each is good for. Tuned on one H200 with Triton 3.6.
_TILES = {
    256: {1: Tile(64, 64, 2, 4, 3), 2: Tile(64, 64, 1, 4, 3), 8: Tile(128, 64, 1, 8, 2)},
    512: {1: Tile(64, 32, 2, 8, 2), 8: Tile(64, 32, 1, 8, 2)},
}
_ANY = {1: Tile(64, 64, 2, 4, 2), 8: Tile(64, 64, 1, 4, 2)}
_UNITED = 8  # queries of a program


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
    q, k, v, prompt_k, prompt_v, first, out, parts, sums, length, room,
    HEADS: tl.constexpr, KV: tl.constexpr, HEAD: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr,
    SHARES: tl.constexpr,
):  # fmt: skip
    """A tile of the queries of all heads that share one head of keys, one behind the other; and a share of the keys."""
    kv, row, part = tl.program_id(1), (tl.program_id(2) // SHARES).to(tl.int64), tl.program_id(2) % SHARES
    index = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    live = index < HEADS // KV * length
    place, head = index % length, kv * (HEADS // KV) + index // length
    which = (row * length + place) * HEADS + head
    at = which[:, None] * HEAD + tl.arange(0, HEAD)[None, :]
    query = tl.load(q + at, mask=live[:, None], other=0.0)
    best = tl.full([QUERIES], -1e30, tl.float32)  # not -inf: a tile of which nothing is seen must not give NaN
    total = tl.zeros([QUERIES], tl.float32)
    mixed = tl.zeros([QUERIES, HEAD], tl.float32)
    begin = tl.load(first + row)
    of_prompt = (row * KV + kv) * room * HEAD
    each = tl.cdiv(tl.cdiv(room - begin // KEYS * KEYS, KEYS), SHARES) * KEYS
    start = begin // KEYS * KEYS + part * each
    for n in range(start, tl.minimum(start + each, room), KEYS):
        p = n + tl.arange(0, KEYS)
        seen = (p >= begin) & (p < room)
        best, total, mixed = _look_at(query, prompt_k, prompt_v, of_prompt + p * HEAD, seen, best, total, mixed, HEAD)
    each = tl.cdiv(tl.cdiv(length, KEYS), SHARES) * KEYS
    for n in range(part * each, tl.minimum(part * each + each, length), KEYS):
        p = n + tl.arange(0, KEYS)
        own = ((row * length + p) * KV + kv) * HEAD
        best, total, mixed = _look_at(query, k, v, own, p < length, best, total, mixed, HEAD)
    if SHARES == 1:
        tl.store(out + at, (mixed / total[:, None]).to(out.dtype.element_ty), mask=live[:, None])
    else:
        slot = which * SHARES + part
        tl.store(parts + slot[:, None] * HEAD + tl.arange(0, HEAD)[None, :], mixed, mask=live[:, None])
        tl.store(sums + slot * 2, best, mask=live)
        tl.store(sums + slot * 2 + 1, total, mask=live)


@triton.jit
def _unite(parts, sums, out, count, HEAD: tl.constexpr, SHARES: tl.constexpr, QUERIES: tl.constexpr):
    """What the programs made of their shares of the keys, weighted by their sums."""
    which = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    live = which < count
    d = tl.arange(0, HEAD)[None, :]
    highest = tl.full([QUERIES], -1e30, tl.float32)
    for part in tl.static_range(SHARES):
        highest = tl.maximum(highest, tl.load(sums + (which * SHARES + part) * 2, live, 0.0))
    whole = tl.zeros([QUERIES], tl.float32)
    mixed = tl.zeros([QUERIES, HEAD], tl.float32)
    for part in tl.static_range(SHARES):
        slot = which * SHARES + part
        weight = tl.exp2(tl.load(sums + slot * 2, live, 0.0) - highest)
        whole += weight * tl.load(sums + slot * 2 + 1, live, 1.0)
        mixed += weight[:, None] * tl.load(parts + slot[:, None] * HEAD + d, live[:, None], 0.0)
    tl.store(out + which[:, None] * HEAD + d, (mixed / whole[:, None]).to(out.dtype.element_ty), live[:, None])


def attend(q: Tensor, k: Tensor, v: Tensor, prompt_k: Tensor, prompt_v: Tensor, first: Tensor) -> Tensor:
    """See attention.attend; all contiguous."""
    rows, length, heads, head = q.shape
    kv, room = prompt_k.shape[1:3]
    by_rows = _TILES.get(head, _ANY)
    tile = by_rows[min((most for most in by_rows if most >= rows), default=max(by_rows))]
    out, count, float32 = torch.empty_like(q), rows * length * heads, {"dtype": torch.float32, "device": q.device}
    parts = torch.empty(count if tile.shares > 1 else 0, tile.shares, head, **float32)
    sums = torch.empty(*parts.shape[:2], 2, **float32)
    _attend[(triton.cdiv(heads // kv * length, tile.queries), kv, rows * tile.shares)](
        q, k, v, prompt_k, prompt_v, first, out, parts, sums, length, room,
        HEADS=heads, KV=kv, HEAD=head, QUERIES=tile.queries, KEYS=tile.keys, SHARES=tile.shares,
        num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    if tile.shares > 1:
        _unite[(triton.cdiv(count, _UNITED),)](
            parts, sums, out, count, HEAD=head, SHARES=tile.shares, QUERIES=_UNITED, num_warps=4
        )
    return out
