"""From a step's logits to its guess, over the full vocabulary: Triton where it runs, plain PyTorch elsewhere.

The semantics are those of denoising.step: clamped positions are certain, banned ids out of reach, the sample is drawn
at the step's temperature and the confidence is that before temperature.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model_runtime.canvas import FREE
from model_runtime.denoising.step import draw
from model_runtime.gpu.hardware import unusable


def sample(
    logits: Tensor,
    cap: float,
    clamp: Tensor,
    banned: Tensor,
    temperature: Tensor,
    chance: Tensor,
    probabilities: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The likeliest tokens, those drawn, their entropy at the temperature, the likeliest's confidence; (rows,) each.

    Args:
        logits: the output layer's own, before the softcap, (rows, vocabulary).
        cap: of the softcap.
        clamp: (rows,), a token id or FREE.
        banned: (vocabulary,), True for ids that must not stand in a gap.
        temperature, chance: (rows,) float32; the chance uniform in [0, 1).
        probabilities: (rows, vocabulary), written: those at the temperature, for the next step's self-conditioning.
    """
    if unusable(logits.device):
        return sample_plain(logits, cap, clamp, banned, temperature, chance, probabilities)
    from model_runtime.gpu import sampler_kernels

    return sampler_kernels.sample(
        logits, cap, clamp.contiguous(), banned, temperature.contiguous(), chance.contiguous(), probabilities
    )


def sample_plain(
    logits: Tensor,
    cap: float,
    clamp: Tensor,
    banned: Tensor,
    temperature: Tensor,
    chance: Tensor,
    probabilities: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x = torch.tanh(logits.float() / cap) * cap
    certain = torch.full_like(x, float("-inf")).scatter(-1, clamp.clamp(min=0)[:, None], 0.0)
    x = torch.where((clamp == FREE)[:, None], x.masked_fill(banned, float("-inf")), certain)
    scaled = x / temperature[:, None]
    p = scaled.softmax(-1)
    probabilities.copy_(p)
    entropy = torch.special.entr(p).sum(-1)
    return scaled.argmax(-1), draw(p, chance), entropy, x.softmax(-1).amax(-1)
