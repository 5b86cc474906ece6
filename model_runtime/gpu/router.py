"""Which experts a token goes to, and with what share: Triton where it runs, plain PyTorch elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from model_runtime.gpu.hardware import unusable


def choose(scores: Tensor, scale: Tensor, each: int) -> tuple[Tensor, Tensor]:
    """The chosen experts and their shares, (tokens, each), int64 and float32, the largest share first.

    `scores` (tokens, experts), the router's own; `scale` (experts,). A token's shares sum up to one before they are
    scaled. Of equal scores the first expert's counts as the higher.
    """
    if unusable(scores.device):
        return choose_plain(scores, scale, each)
    from model_runtime.gpu import router_kernels

    chosen, share = router_kernels.choose(scores.contiguous(), scale, each)
    return chosen, share


def choose_plain(scores: Tensor, scale: Tensor, each: int) -> tuple[Tensor, Tensor]:
    share, chosen = scores.softmax(-1, dtype=torch.float32).sort(dim=-1, descending=True, stable=True)
    share, chosen = share[:, :each], chosen[:, :each]
    return chosen, share / share.sum(-1, keepdim=True) * scale[chosen]
