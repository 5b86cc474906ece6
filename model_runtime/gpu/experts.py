"""A layer's experts for the few tokens of a canvas: Triton where it runs, plain PyTorch elsewhere.

>>> ALL_EXPERTS_FUNCTIONS.register(NAME, grouped_experts)
>>> model.set_experts_implementation(NAME)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from transformers.integrations.moe import grouped_mm_experts_forward

from model_runtime.gpu.hardware import unusable

NAME = "radplug"  # of `grouped_experts`, among transformers' implementations

_ACTIVATION = "gelu_pytorch_tanh"
_E4M3 = torch.float8_e4m3fn


class Weights(NamedTuple):
    """A layer's experts; with scales, weights are 8-bit floats (e4m3), and each row counts times its scale."""

    gate_up: Tensor  # (experts, 2 inner, hidden)
    down: Tensor  # (experts, hidden, inner)
    gate_up_scale: Tensor | None = None  # (experts, 2 inner), float32
    down_scale: Tensor | None = None  # (experts, hidden), float32


def eight_bit(weights: Weights) -> Weights:
    """Half the bytes of bfloat16; each row's largest weight becomes the largest e4m3 knows."""
    gate_up, gate_up_scale = _scaled(weights.gate_up)
    down, down_scale = _scaled(weights.down)
    return Weights(gate_up, down, gate_up_scale, down_scale)


def pairs(x: Tensor, chosen: Tensor, share: Tensor, weights: Weights) -> Tensor:
    """gelu_tanh(gate) * up and down, times the share, of each chosen expert; (tokens, experts of each, hidden).

    `x` (tokens, hidden), `chosen` and `share` (tokens, experts of each). Where Triton does not run, experts are summed
    as they are computed, and there is one row for each token. The result is like `x`.
    """
    if not _fits(x, weights):
        return mix_plain(x, chosen, share, weights)[:, None]
    from model_runtime.gpu.experts_kernels import expert_pairs

    # Converting e4m3 to float16 is cheap where converting it to bfloat16 takes longer than reading it.
    given = x if weights.down_scale is None else x.to(torch.float16)
    out: Tensor = expert_pairs(given.contiguous(), chosen.contiguous(), share.contiguous(), *weights)
    return out


def mix_plain(x: Tensor, chosen: Tensor, share: Tensor, weights: Weights) -> Tensor:
    """The sum over each token's experts, expert by expert, in float32."""
    total = torch.zeros_like(x, dtype=torch.float32)
    for expert in range(weights.down.shape[0]):
        token, slot = (chosen == expert).nonzero(as_tuple=True)
        gate_up = _plain(weights.gate_up, weights.gate_up_scale, expert, x.dtype)
        down = _plain(weights.down, weights.down_scale, expert, x.dtype)
        gate, up = functional.linear(x[token], gate_up).chunk(2, dim=-1)
        out = functional.linear(functional.gelu(gate, approximate="tanh") * up, down)
        total.index_add_(0, token, out.float() * share[token, slot, None])
    return total.to(x.dtype)


def grouped_experts(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """One of transformers' experts implementations, bound to its experts module; the stock one where ours cannot."""
    weights = Weights(self.gate_up_proj, self.down_proj)
    if self.config.hidden_activation == _ACTIVATION and _fits(hidden_states, weights):
        each = pairs(hidden_states, top_k_index, top_k_weights, weights)
        return each.sum(1, dtype=torch.float32).to(hidden_states.dtype)
    stock: Tensor = grouped_mm_experts_forward(self, hidden_states, top_k_index, top_k_weights)
    return stock


def unfit(config: Any) -> str | None:
    """Why the kernels cannot compute a model's experts, in plain words; None where they can. `config`: its text's."""
    from model_runtime.gpu.experts_kernels import MOST_TOKENS, fit

    if config.hidden_activation != _ACTIVATION:
        return f"its experts' activation is {config.hidden_activation}"
    if not all(fit(1 << k, config.hidden_size, config.moe_intermediate_size) for k in range(MOST_TOKENS.bit_length())):
        return f"its experts, {config.hidden_size} wide and {config.moe_intermediate_size} inside, are no whole tiles"
    return None


def _fits(x: Tensor, weights: Weights) -> bool:
    if unusable(x.device) or x.dtype != torch.bfloat16:
        return False
    from model_runtime.gpu.experts_kernels import fit

    return fit(x.shape[0], x.shape[1], weights.down.shape[2])


def _scaled(weight: Tensor) -> tuple[Tensor, Tensor]:
    """e4m3 and a scale for each row; an expert at a time, since in float32 a whole layer would take much memory."""
    rows = torch.empty_like(weight, dtype=_E4M3)
    scales = torch.empty(weight.shape[:-1], dtype=torch.float32, device=weight.device)
    for expert, values in enumerate(weight):
        scale = (values.abs().amax(-1).float() / torch.finfo(_E4M3).max).clamp(min=torch.finfo(torch.float32).tiny)
        rows[expert], scales[expert] = (values.float() / scale[:, None]).to(_E4M3), scale
    return rows, scales


def _plain(weight: Tensor, scale: Tensor | None, expert: int, dtype: torch.dtype) -> Tensor:
    rows = weight[expert]
    return rows if scale is None else (rows.float() * scale[expert][:, None]).to(dtype)
