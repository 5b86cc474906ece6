"""A softmax of which only the largest few are wanted, chosen one after the other without leaving the registers."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_TOKENS = 4  # of a program


@triton.jit
def _choose(
    scores, scale, chosen, share, tokens,
    EXPERTS: tl.constexpr, EXPERTS_UP: tl.constexpr, EACH: tl.constexpr, EACH_UP: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    expert, slot = tl.arange(0, EXPERTS_UP)[None, :], tl.arange(0, EACH_UP)[None, :]
    live = (token < tokens)[:, None]
    score = tl.load(scores + token[:, None] * EXPERTS + expert, mask=live & (expert < EXPERTS), other=float("-inf"))
    score = score.to(tl.float32)
    highest = tl.max(score, 1)
    mass = tl.zeros([TOKENS, EACH_UP], tl.float32)
    taken = tl.zeros([TOKENS, EACH_UP], tl.int32)
    for place in tl.static_range(EACH):
        best, at = tl.max(score, 1, return_indices=True)
        mass = tl.where(slot == place, tl.exp(best - highest)[:, None], mass)
        taken = tl.where(slot == place, at[:, None], taken)
        score = tl.where(expert == at[:, None], float("-inf"), score)
    where = token[:, None] * EACH + slot
    live = live & (slot < EACH)
    mass = mass / tl.sum(mass, 1)[:, None] * tl.load(scale + taken, mask=live, other=0.0).to(tl.float32)
    tl.store(chosen + where, taken.to(tl.int64), mask=live)
    tl.store(share + where, mass, mask=live)


def choose(scores: Tensor, scale: Tensor, each: int) -> tuple[Tensor, Tensor]:
    """See router.choose; all contiguous."""
    tokens, experts = scores.shape
    chosen = torch.empty(tokens, each, dtype=torch.int64, device=scores.device)
    share = torch.empty(tokens, each, dtype=torch.float32, device=scores.device)
    _choose[(triton.cdiv(tokens, _TOKENS),)](
        scores, scale, chosen, share, tokens,
        EXPERTS=experts, EXPERTS_UP=triton.next_power_of_2(experts),
        EACH=each, EACH_UP=triton.next_power_of_2(each), TOKENS=_TOKENS, num_warps=4,
    )  # fmt: skip
    return chosen, share
