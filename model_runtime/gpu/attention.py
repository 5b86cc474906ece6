"""Attention from a canvas to its prompt and to itself: Triton where it runs, plain PyTorch elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model_runtime.gpu.hardware import unusable


def attend(q: Tensor, k: Tensor, v: Tensor, prompt_k: Tensor, prompt_v: Tensor, first: Tensor) -> Tensor:
    """Every position of a canvas sees the whole canvas and its prompt; scores are not scaled, as the model wants it.

    Args:
        q: (rows, canvas length, heads, head).
        k, v: the canvas's, (rows, canvas length, key heads, head).
        prompt_k, prompt_v: (rows, key heads, room, head), each row's prompt at the end of the room.
        first: (rows,) int32, where in the room the prompt begins; what stands before it is not seen.

    Returns (rows, canvas length, heads, head).
    """
    if unusable(q.device):
        return attend_plain(q, k, v, prompt_k, prompt_v, first)
    from model_runtime.gpu import attention_kernels

    out: Tensor = attention_kernels.attend(q.contiguous(), k.contiguous(), v.contiguous(), prompt_k, prompt_v, first)
    return out


def attend_plain(q: Tensor, k: Tensor, v: Tensor, prompt_k: Tensor, prompt_v: Tensor, first: Tensor) -> Tensor:
    length, room = q.shape[1], prompt_k.shape[2]
    keys, values = torch.cat([prompt_k, k.transpose(1, 2)], 2), torch.cat([prompt_v, v.transpose(1, 2)], 2)
    seen = torch.arange(room + length, device=q.device) >= first[:, None]
    mixed = functional.scaled_dot_product_attention(
        q.transpose(1, 2), keys, values, attn_mask=seen[:, None, None], scale=1.0, enable_gqa=True
    )
    return mixed.transpose(1, 2)
