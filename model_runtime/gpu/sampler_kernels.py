"""What a step needs to know of the full vocabulary's logits, in two readings of them and one writing.

A row's logits are cut into chunks. `_measure` sums up each chunk, `_choose` joins a row's chunks and draws: the chunk
by its mass, then the token within it. `_spread` writes the probabilities.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from model_runtime.canvas import FREE

_CHUNK = 4096


@triton.jit
def _capped(logits, banned, row, token, size, CAP: tl.constexpr):
    """The softcapped logits at `token`, and which of them are out of reach."""
    raw = tl.load(logits + row * size + token, mask=token < size, other=0.0).to(tl.float32)
    dead = (token >= size) | (tl.load(banned + token, mask=token < size, other=1) != 0)
    return CAP * (2.0 * tl.sigmoid(raw * (2.0 / CAP)) - 1.0), dead


@triton.jit
def _measure(
    logits, clamp, banned, temperature, sums, size, chunks,
    FREE: tl.constexpr, CAP: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Of a chunk: the highest logit, and the sums of exp(z), z exp(z) and exp(z T); z = (x - highest) / T.

    The GPU's units for exponents and quotients are what limits it: there is one quotient for a row, not for a token.
    """
    chunk, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    if tl.load(clamp + row) == FREE:
        token = chunk * CHUNK + tl.arange(0, CHUNK)
        x, dead = _capped(logits, banned, row, token, size, CAP)
        highest = tl.max(tl.where(dead, float("-inf"), x), 0)
        below = tl.where(dead, 0.0, x - highest)
        z = below * (1.0 / tl.load(temperature + row))
        warm = tl.where(dead, 0.0, tl.exp(z))
        at = sums + (row * chunks + chunk) * 4
        tl.store(at, highest)
        tl.store(at + 1, tl.sum(warm, 0))
        tl.store(at + 2, tl.sum(warm * z, 0))
        tl.store(at + 3, tl.sum(tl.where(dead, 0.0, tl.exp(below)), 0))


@triton.jit
def _choose(
    logits, clamp, banned, temperature, chance, sums,
    likeliest, drawn, entropy, confidence, log_mass, size, chunks,
    FREE: tl.constexpr, CAP: tl.constexpr, CHUNK: tl.constexpr, CHUNKS_UP: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    fixed = tl.load(clamp + row)
    if fixed != FREE:
        tl.store(likeliest + row, fixed)
        tl.store(drawn + row, fixed)
        tl.store(entropy + row, 0.0)
        tl.store(confidence + row, 1.0)
    else:
        heat = tl.load(temperature + row)
        chunk = tl.arange(0, CHUNKS_UP)
        real = chunk < chunks
        at = sums + (row * chunks + chunk) * 4
        tops_of = tl.load(at, mask=real, other=float("-inf"))
        highest = tl.max(tops_of, 0)
        some = tops_of > float("-inf")
        below = tl.where(some, tops_of - highest, 0.0)
        shrink = tl.where(some, tl.exp(below / heat), 0.0)
        warm = tl.load(at + 1, mask=real, other=0.0)
        mass = warm * shrink
        whole = tl.sum(mass, 0)
        mean = tl.sum((tl.load(at + 2, mask=real, other=0.0) + warm * below / heat) * shrink, 0) / whole
        cold = tl.sum(tl.where(some, tl.exp(below), 0.0) * tl.load(at + 3, mask=real, other=0.0), 0)
        tl.store(entropy + row, tl.log(whole) - mean)
        tl.store(confidence + row, 1.0 / cold)
        tl.store(log_mass + row, highest / heat + tl.log(whole))
        inside = tl.arange(0, CHUNK)
        best = tl.argmax(tops_of, 0)
        x, dead = _capped(logits, banned, row, best * CHUNK + inside, size, CAP)
        tl.store(likeliest + row, (best * CHUNK + tl.argmax(tl.where(dead, float("-inf"), x), 0)).to(tl.int64))
        # A parallel sum need not rise from place to place, nor end at the whole: only what has mass is ever chosen.
        upto = tl.cumsum(mass, 0)
        mark = tl.load(chance + row) * whole
        here = tl.min(tl.where((upto > mark) & (mass > 0), chunk, CHUNKS_UP), 0)
        here = tl.where(here < CHUNKS_UP, here, tl.max(tl.where(mass > 0, chunk, 0), 0))
        rest = mark - tl.sum(tl.where(chunk < here, mass, 0.0), 0)
        x, dead = _capped(logits, banned, row, here * CHUNK + inside, size, CAP)
        share = tl.where(dead, 0.0, tl.exp((x - highest) / heat))
        found = tl.min(tl.where((tl.cumsum(share, 0) > rest) & (share > 0), inside, CHUNK), 0)
        found = tl.where(found < CHUNK, found, tl.max(tl.where(share > 0, inside, 0), 0))
        tl.store(drawn + row, (here * CHUNK + found).to(tl.int64))


@triton.jit
def _spread(
    logits, clamp, banned, temperature, log_mass, probabilities, size,
    FREE: tl.constexpr, CAP: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1).to(tl.int64)
    token = tl.program_id(0) * CHUNK + tl.arange(0, CHUNK)
    fixed = tl.load(clamp + row)
    if fixed != FREE:
        p = tl.where(token == fixed, 1.0, 0.0)
    else:
        x, dead = _capped(logits, banned, row, token, size, CAP)
        p = tl.where(dead, 0.0, tl.exp(x * (1.0 / tl.load(temperature + row)) - tl.load(log_mass + row)))
    tl.store(probabilities + row * size + token, p.to(probabilities.dtype.element_ty), mask=token < size)


def sample(
    logits: Tensor,
    cap: float,
    clamp: Tensor,
    banned: Tensor,
    temperature: Tensor,
    chance: Tensor,
    probabilities: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See sampler.sample; all contiguous."""
    rows, size = logits.shape
    chunks, device = triton.cdiv(size, _CHUNK), logits.device
    sums = torch.empty(rows, chunks, 4, dtype=torch.float32, device=device)
    likeliest, drawn = torch.empty(2, rows, dtype=torch.int64, device=device)
    entropy, confidence, log_mass = torch.empty(3, rows, dtype=torch.float32, device=device)
    how = {"FREE": FREE, "CAP": cap, "CHUNK": _CHUNK, "num_warps": 4}
    given = (logits, clamp, banned, temperature)
    _measure[(chunks, rows)](*given, sums, size, chunks, **how)
    _choose[(rows,)](
        *given, chance, sums, likeliest, drawn, entropy, confidence, log_mass, size, chunks,
        CHUNKS_UP=triton.next_power_of_2(chunks), **how,
    )  # fmt: skip
    _spread[(chunks, rows)](*given, log_mass, probabilities, size, **how)
    return likeliest, drawn, entropy, confidence
