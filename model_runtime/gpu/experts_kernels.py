"""Experts for few tokens and many experts: each weight is read from memory once for each tile of tokens.

The weight tile is the first operand of the product (out^T = W x^T): a tensor core takes 64 weight rows at a time, and
the few tokens that one expert has are its narrow side. Tiles are wide enough for most experts to need only one, and
one that would be mostly empty is computed as a narrow one. Four launches, none waits for the host: pairs of token and
expert are sorted by expert, gate and up, down, and the sum over a token's experts, which is left to the caller.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from model_runtime.gpu.norms_kernels import gelu_tanh

MOST_TOKENS = 2048


class Tile(NamedTuple):
    """How one product is cut up: weight rows, depth of a tile, and Triton's stages and warps."""

    rows: int
    depth: int
    stages: int
    warps: int


class Tiles(NamedTuple):
    tokens: int  # of a tile
    narrow: int  # of one whose expert has no more left
    gate_up: Tile
    down: Tile


# By the number of tokens; tuned on one H200 with Triton 3.6, tokens spread evenly over 128 experts.
_TILES = {
    128: Tiles(16, 16, Tile(64, 128, 2, 4), Tile(128, 64, 4, 8)),
    256: Tiles(32, 16, Tile(64, 64, 5, 4), Tile(64, 64, 4, 4)),
    512: Tiles(64, 32, Tile(64, 64, 4, 4), Tile(64, 64, 4, 4)),
    1024: Tiles(64, 32, Tile(64, 64, 4, 4), Tile(128, 64, 3, 4)),
    MOST_TOKENS: Tiles(128, 64, Tile(64, 64, 3, 8), Tile(128, 64, 3, 4)),
}
_TILES_OF_8_BITS = {
    128: Tiles(16, 16, Tile(64, 128, 3, 4), Tile(128, 64, 4, 8)),
    256: Tiles(32, 32, Tile(64, 128, 4, 4), Tile(128, 64, 4, 4)),
    512: Tiles(32, 32, Tile(64, 64, 5, 4), Tile(128, 64, 4, 8)),
    1024: Tiles(64, 64, Tile(64, 128, 4, 4), Tile(128, 64, 4, 4)),
    MOST_TOKENS: Tiles(64, 64, Tile(64, 64, 5, 4), Tile(128, 64, 4, 4)),
}


def tiles(tokens: int, *, eight_bit: bool) -> Tiles:
    table = _TILES_OF_8_BITS if eight_bit else _TILES
    return table[min(most for most in table if most >= tokens)]


def fit(tokens: int, hidden: int, inner: int) -> bool:
    """Whether sizes are whole tiles."""
    if tokens > MOST_TOKENS:
        return False
    for eight_bit in (False, True):
        _, _, gate_up, down = tiles(tokens, eight_bit=eight_bit)
        if inner % gate_up.rows or hidden % gate_up.depth or hidden % down.rows or inner % down.depth:
            return False
    return True


@triton.jit
def _sort(
    chosen, order, tile_expert, tile_start, tile_stop, pairs, most_tiles,
    EXPERTS: tl.constexpr, EXPERTS_UP: tl.constexpr, TOKENS: tl.constexpr,
    PAIRS_UP: tl.constexpr, OWN_UP: tl.constexpr, TILES_UP: tl.constexpr,
):  # fmt: skip
    """Program e finds the pairs routed to expert e, in order, and its tiles. No atomics: always the same result."""
    e = tl.program_id(0)
    pair = tl.arange(0, PAIRS_UP)
    expert = tl.load(chosen + pair, mask=pair < pairs, other=EXPERTS_UP).to(tl.int32)
    counts = tl.histogram(expert, EXPERTS_UP, mask=expert < EXPERTS_UP)
    each = tl.arange(0, EXPERTS_UP)
    tiles_of = (counts + (TOKENS - 1)) // TOKENS
    first_row = tl.sum(tl.where(each < e, counts, 0), 0)
    first_tile = tl.sum(tl.where(each < e, tiles_of, 0), 0)
    count = tl.sum(tl.where(each == e, counts, 0), 0)
    mine = expert == e
    rank = tl.cumsum(mine.to(tl.int32), 0) - 1
    tl.store(order + first_row + rank, pair, mask=mine)
    tile = tl.arange(0, OWN_UP)
    own = tile * TOKENS < count
    tl.store(tile_expert + first_tile + tile, e + tl.zeros([OWN_UP], tl.int32), mask=own)
    tl.store(tile_start + first_tile + tile, first_row + tile * TOKENS, mask=own)
    tl.store(tile_stop + first_tile + tile, first_row + count + tl.zeros([OWN_UP], tl.int32), mask=own)
    if e == EXPERTS - 1:
        rest = tl.arange(0, TILES_UP)
        unused = (rest >= tl.sum(tiles_of, 0)) & (rest < most_tiles)
        tl.store(tile_expert + rest, tl.full([TILES_UP], -1, tl.int32), mask=unused)


@triton.jit
def _gate_up_tile(
    x, w, scale, inner, order, e, n0, start, stop,
    CHOSEN: tl.constexpr, HIDDEN: tl.constexpr, INNER: tl.constexpr, LARGEST: tl.constexpr,
    TOKENS: tl.constexpr, ROWS: tl.constexpr, DEPTH: tl.constexpr, SCALED: tl.constexpr,
):  # fmt: skip
    rows = start + tl.arange(0, TOKENS)
    live = rows < stop
    token = tl.load(order + rows, mask=live, other=0) // CHOSEN
    n = n0 + tl.arange(0, ROWS)
    x_at = x + token[:, None] * HIDDEN + tl.arange(0, DEPTH)[None, :]
    gate = tl.zeros([ROWS, TOKENS], tl.float32)
    up = tl.zeros([ROWS, TOKENS], tl.float32)
    for k0 in range(0, HIDDEN, DEPTH):
        xs = tl.trans(tl.load(x_at + k0))
        gates = w.load([e * (2 * INNER) + n0, k0])
        ups = w.load([e * (2 * INNER) + INNER + n0, k0])
        if SCALED:
            gates = gates.to(xs.dtype)
            ups = ups.to(xs.dtype)
        gate = tl.dot(gates, xs, gate)
        up = tl.dot(ups, xs, up)
    if SCALED:
        gate = gate * tl.load(scale + e * (2 * INNER) + n)[:, None]
        up = up * tl.load(scale + e * (2 * INNER) + INNER + n)[:, None]
    value = tl.minimum(tl.maximum(gelu_tanh(gate) * up, -LARGEST), LARGEST)
    tl.store(inner + rows[:, None] * INNER + n[None, :], tl.trans(value.to(inner.dtype.element_ty)), live[:, None])


@triton.jit
def _gate_up(
    x, w, scale, inner, order, tile_expert, tile_start, tile_stop,
    CHOSEN: tl.constexpr, HIDDEN: tl.constexpr, INNER: tl.constexpr, LARGEST: tl.constexpr,
    TOKENS: tl.constexpr, NARROW: tl.constexpr, ROWS: tl.constexpr, DEPTH: tl.constexpr, SCALED: tl.constexpr,
):  # fmt: skip
    """inner[sorted pair] = gelu_tanh(gate) * up, never beyond LARGEST."""
    e = tl.load(tile_expert + tl.program_id(0))
    if e >= 0:
        n0 = tl.program_id(1) * ROWS
        start, stop = tl.load(tile_start + tl.program_id(0)), tl.load(tile_stop + tl.program_id(0))
        few = tl.minimum(stop - start, TOKENS) <= NARROW
        if few:
            _gate_up_tile(
                x, w, scale, inner, order, e, n0, start, stop, CHOSEN, HIDDEN, INNER, LARGEST,
                NARROW, ROWS, DEPTH, SCALED,
            )  # fmt: skip
        if NARROW < TOKENS:  # noqa: SIM102 (known when it is compiled)
            if not few:
                _gate_up_tile(
                    x, w, scale, inner, order, e, n0, start, stop, CHOSEN, HIDDEN, INNER, LARGEST,
                    TOKENS, ROWS, DEPTH, SCALED,
                )  # fmt: skip


@triton.jit
def _down_tile(
    inner, w, scale, out, share, order, e, n0, start, stop,
    HIDDEN: tl.constexpr, INNER: tl.constexpr,
    TOKENS: tl.constexpr, ROWS: tl.constexpr, DEPTH: tl.constexpr, SCALED: tl.constexpr,
):  # fmt: skip
    rows = start + tl.arange(0, TOKENS)
    live = rows < stop
    pair = tl.load(order + rows, mask=live, other=0)
    weight = tl.load(share + pair, mask=live, other=0.0).to(tl.float32)
    n = n0 + tl.arange(0, ROWS)
    total = tl.zeros([ROWS, TOKENS], tl.float32)
    for k0 in range(0, INNER, DEPTH):
        values = inner.load([start, k0])  # what follows the expert's own rows is another's, and is not written
        weights = w.load([e * HIDDEN + n0, k0])
        if SCALED:
            weights = weights.to(values.dtype)
        total = tl.dot(weights, tl.trans(values), total)
    if SCALED:
        total = total * tl.load(scale + e * HIDDEN + n)[:, None]
    result = tl.trans((total * weight[None, :]).to(out.dtype.element_ty))
    tl.store(out + pair[:, None] * HIDDEN + n[None, :], result, live[:, None])


@triton.jit
def _down(
    inner, inner_narrow, w, scale, out, share, order, tile_expert, tile_start, tile_stop,
    HIDDEN: tl.constexpr, INNER: tl.constexpr,
    TOKENS: tl.constexpr, NARROW: tl.constexpr, ROWS: tl.constexpr, DEPTH: tl.constexpr, SCALED: tl.constexpr,
):  # fmt: skip
    """out[pair] = share * (W inner)."""
    e = tl.load(tile_expert + tl.program_id(0))
    if e >= 0:
        n0 = tl.program_id(1) * ROWS
        start, stop = tl.load(tile_start + tl.program_id(0)), tl.load(tile_stop + tl.program_id(0))
        few = tl.minimum(stop - start, TOKENS) <= NARROW
        if few:
            _down_tile(
                inner_narrow, w, scale, out, share, order, e, n0, start, stop,
                HIDDEN, INNER, NARROW, ROWS, DEPTH, SCALED,
            )  # fmt: skip
        if NARROW < TOKENS:  # noqa: SIM102 (known when it is compiled)
            if not few:
                _down_tile(
                    inner, w, scale, out, share, order, e, n0, start, stop,
                    HIDDEN, INNER, TOKENS, ROWS, DEPTH, SCALED,
                )  # fmt: skip


def expert_pairs(
    x: Tensor,
    chosen: Tensor,
    share: Tensor,
    gate_up: Tensor,
    down: Tensor,
    gate_up_scale: Tensor | None,
    down_scale: Tensor | None,
) -> Tensor:
    """Each chosen expert's output times its share, (tokens, chosen, hidden) of `share`'s neighbours' type.

    `x` (tokens, hidden), `chosen` and `share` (tokens, chosen), all contiguous; weights and scales as in
    experts.Weights; scaled weights want `x` in float16.
    """
    tokens, hidden = x.shape
    experts, inner_size = down.shape[0], down.shape[2]
    cut = tiles(tokens, eight_bit=down_scale is not None)
    pairs, device = chosen.numel(), x.device
    most_tiles = pairs // cut.tokens + min(experts, pairs)
    order = torch.empty(pairs, dtype=torch.int32, device=device)
    of_tiles = torch.empty(3, most_tiles, dtype=torch.int32, device=device)
    where = (order, of_tiles[0], of_tiles[1], of_tiles[2])
    _sort[(experts,)](
        chosen, *where, pairs, most_tiles,
        EXPERTS=experts, EXPERTS_UP=triton.next_power_of_2(experts), TOKENS=cut.tokens,
        PAIRS_UP=triton.next_power_of_2(pairs), OWN_UP=triton.next_power_of_2(triton.cdiv(tokens, cut.tokens)),
        TILES_UP=triton.next_power_of_2(most_tiles), num_warps=8,
    )  # fmt: skip
    inner = torch.empty(pairs, inner_size, dtype=x.dtype, device=device)
    _gate_up[(most_tiles, inner_size // cut.gate_up.rows)](
        x, _described(gate_up, *cut.gate_up[:2]), gate_up_scale, inner, *where,
        CHOSEN=chosen.shape[1], HIDDEN=hidden, INNER=inner_size, LARGEST=torch.finfo(x.dtype).max,
        **_how(cut, cut.gate_up, gate_up_scale),
    )  # fmt: skip
    out = torch.empty(tokens, chosen.shape[1], hidden, dtype=_of_the_model(x), device=device)
    _down[(most_tiles, hidden // cut.down.rows)](
        _described(inner, cut.tokens, cut.down.depth), _described(inner, cut.narrow, cut.down.depth),
        _described(down, *cut.down[:2]), down_scale, out, share, *where,
        HIDDEN=hidden, INNER=inner_size, **_how(cut, cut.down, down_scale),
    )  # fmt: skip
    return out


def _of_the_model(x: Tensor) -> torch.dtype:
    """Results of a float16 product are bfloat16, whose range is that of the model's other values."""
    return torch.bfloat16 if x.dtype == torch.float16 else x.dtype


def _described(matrix: Tensor, rows: int, depth: int) -> TensorDescriptor:
    flat = matrix.view(-1, matrix.shape[-1])
    return TensorDescriptor(flat, list(flat.shape), list(flat.stride()), [rows, depth])


def _how(cut: Tiles, tile: Tile, scale: Tensor | None) -> dict[str, int | bool]:
    return {
        "TOKENS": cut.tokens,
        "NARROW": cut.narrow,
        "ROWS": tile.rows,
        "DEPTH": tile.depth,
        "SCALED": scale is not None,
        "num_stages": tile.stages,
        "num_warps": tile.warps,
    }
