"""How near the fast step comes to the plain one, at whatever size: layer by layer, step by step, draft by draft."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import numpy as np
import torch
from decode_case import STOCK, Case
from torch import Tensor

from model_runtime.canvas import FREE
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.infill import infill
from model_runtime.denoising.step import Clamp, guess, look
from model_runtime.gpu import experts, layers
from model_runtime.prompts.prefix import PrefixRows

ROWS = 1


@torch.no_grad()
def of_layers(case: Case) -> None:
    """Each layer from the same input, against the same layer in float32: relative errors."""
    decoder = case.loaded.model.model.decoder
    kinds = case.loaded.model.config.get_text_config(decoder=True).layer_types
    prefixes, clamp, canvas = case.canvases(ROWS)
    rows = PrefixRows(case.loaded, prefixes, case.loaded.canvas_length)
    inputs: list[Tensor] = []
    hooks = [layer.register_forward_pre_hook(lambda module, x: inputs.append(x[0].clone())) for layer in decoder.layers]
    look(case.loaded, rows, canvas)
    for hook in hooks:
        hook.remove()
    stepper = case.fast.stepper
    stepper.start(case.fast, prefixes, clamp.cpu(), canvas.cpu())
    buffers = stepper.buffers[:ROWS]
    errors: dict[str, list[float]] = {}
    for k, (kind, layer, x) in enumerate(zip(kinds, decoder.layers, inputs, strict=True)):
        where = (buffers.cos[kind], buffers.sin[kind], buffers.keys[k], buffers.values[k], buffers.first[kind])
        own = experts.Weights(layer.experts.gate_up_proj, layer.experts.down_proj)
        exact = deepcopy(layer).float()
        exact.experts.config._experts_implementation = "eager"
        wanted = stock_layer(exact, x.float(), kind, rows, decoder)
        with case.experts(STOCK):
            found = {"stock": stock_layer(layer, x, kind, rows, decoder)}
        found["fast"] = fast_layer(layer, x, where, own)
        found["fast, 8-bit experts"] = fast_layer(layer, x, where, experts.eight_bit(own))
        for name, out in found.items():
            errors.setdefault(name, []).append(relative(out, wanted))
    case.results["a layer's relative error, from the same input, against float32"] = {
        name: {"mean": sum(some) / len(some), "worst": max(some), "of layer": some.index(max(some))}
        for name, some in errors.items()
    }


def stock_layer(layer: Any, x: Tensor, kind: str, rows: PrefixRows, decoder: Any) -> Tensor:
    """Transformers' own, in the input's type."""
    cache = copy(rows.cache)
    cache.layers = list(rows.cache.layers)
    kept = cache.layers[layer.layer_idx]
    cache.layers[layer.layer_idx] = type(kept)(kept.keys.to(x.dtype), kept.values.to(x.dtype))
    out: Tensor = layer(
        x.clone(),
        position_embeddings=decoder.rotary_emb(x, rows.places, kind),
        attention_mask=rows.masks[kind],
        position_ids=rows.places,
        past_key_values=cache,
    )
    return out


def fast_layer(layer: Any, x: Tensor, where: tuple[Tensor, ...], weights: experts.Weights) -> Tensor:
    cos, sin, *prompt = where
    hidden = x.flatten(0, 1)
    normed = layer.input_layernorm(hidden)
    attended = layers.attention(layer, hidden, normed, cos, sin, prompt[0], prompt[1], prompt[2], None)
    of_experts = layers.sparse(attended, layers.route(layer, attended), weights)
    out, _ = layers.join(layer, attended, layers.dense(layer, attended, None), of_experts, layer.input_layernorm)
    return out.view_as(x)


@torch.no_grad()
def experts_hit(case: Case) -> dict[str, float]:
    """By one canvas of noise: how much of the weights a step has to read."""
    prefixes, _, canvas = case.canvases(ROWS)
    hit: list[int] = []
    routers = [layer.router for layer in case.loaded.model.model.decoder.layers]
    hooks = [
        router.register_forward_hook(lambda module, x, out: hit.append(out[2].unique().numel())) for router in routers
    ]
    look(case.loaded, PrefixRows(case.loaded, prefixes, case.loaded.canvas_length), canvas)
    for hook in hooks:
        hook.remove()
    return {"mean": sum(hit) / len(hit), "fewest": min(hit), "experts": routers[0].proj.out_features}


@torch.no_grad()
def of_logits(case: Case) -> None:
    """Two steps' logits on the same canvas and the same hint, against the whole decoder in float32."""
    prefixes, clamp, canvas = case.canvases(ROWS)
    rows = PrefixRows(case.loaded, prefixes, case.loaded.canvas_length)
    heat, chance = torch.full((ROWS,), 0.8, device=canvas.device), torch.full(canvas.shape, 0.5, device=canvas.device)
    found: dict[str, list[Tensor]] = {}
    for name in (STOCK, *([experts.NAME] if case.loaded.device.type == "cuda" else [])):
        with case.experts(name):
            hint = guess(case.loaded, rows, Clamp(clamp, case.loaded.codec.banned), canvas, None, heat, chance).hint
            found[f"plain, {name} experts"] = [look(case.loaded, rows, canvas, each) for each in (None, hint)]
    for name, fast in (("fast", case.fast), ("fast, 8-bit experts", case.fast_in_eight_bits)):
        fast.stepper.start(fast, prefixes, clamp.cpu(), canvas.cpu())
        buffers, cap = fast.stepper.buffers[:ROWS], fast.model.final_logit_softcapping
        for signal in (torch.zeros_like(buffers.probabilities), hint.softmax(-1, dtype=torch.float32)):
            buffers.probabilities.copy_(signal)
            logits = fast.stepper.logits(buffers).float().view_as(hint)
            found.setdefault(name, []).append(torch.tanh(logits / cap) * cap)
    wanted = [exact_logits(case, rows, canvas, each) for each in (None, hint)]
    free = clamp == FREE
    case.results["logits, relative error against float32"] = {
        name: {
            "first step": relative(first, wanted[0]),
            "second": relative(second, wanted[1]),
            "likeliest agree": float((first.argmax(-1) == wanted[0].argmax(-1))[free].float().mean()),
        }
        for name, (first, second) in found.items()
    }


def exact_logits(case: Case, rows: PrefixRows, canvas: Tensor, hint: Tensor | None) -> Tensor:
    """Transformers' own, in float32, a layer at a time."""
    model, decoder = case.loaded.model, case.loaded.model.model.decoder
    kinds = model.config.get_text_config(decoder=True).layer_types
    embedding = decoder.embed_tokens.weight.float()
    scale = decoder.embed_tokens.embed_scale.to(decoder.embed_tokens.weight.dtype).float()
    signal = torch.zeros_like(embedding[canvas]) if hint is None else hint.softmax(-1, dtype=torch.float32) @ embedding
    x = deepcopy(decoder.self_conditioning).float()(embedding[canvas] * scale, signal * scale)
    for kind, layer in zip(kinds, decoder.layers, strict=True):
        exact = deepcopy(layer).float()
        exact.experts.config._experts_implementation = "eager"
        x = stock_layer(exact, x, kind, rows, decoder)
    logits = deepcopy(decoder.norm).float()(x) @ embedding.T
    return torch.tanh(logits / model.final_logit_softcapping) * model.final_logit_softcapping


def of_canvases(case: Case) -> None:
    """A whole draft on the same random numbers; once a token differs, what follows may, too."""
    with case.experts(STOCK):
        plain = canvases(case, case.loaded)
    fast = canvases(case, case.fast)
    if canvases(case, case.fast) != fast:
        raise RuntimeError("the same draft was not the same again")
    jobs = case.jobs(case.rows[-1] // 2, case.few)
    together = infill(case.fast, jobs, size=case.rows[-1])
    if any(
        infill(case.fast, [job], size=case.rows[-1]) != [filled] for job, filled in zip(jobs, together, strict=True)
    ):
        raise RuntimeError("a draft depends on who shares its batch")
    case.results["share of positions where the fast step's canvas is the plain one's"] = {
        str(step): {"share": float(np.mean(np.array(fast[step]) == np.array(plain[step])))} for step in plain
    }


def canvases(case: Case, loaded: LoadedModel) -> dict[int, list[list[int]]]:
    """By step, every row's canvas. Raises RuntimeError where an anchor has moved."""
    jobs, seen = case.jobs(ROWS, case.many), {}
    infill(loaded, jobs, on_step=lambda row, step, ids: seen.setdefault(step, []).append(ids))
    for rows in seen.values():
        for job, ids in zip(jobs, rows, strict=True):
            if any(now != fixed for now, fixed in zip(ids, job.layout.ids, strict=True) if fixed != FREE):
                raise RuntimeError("an anchor moved")
    return seen


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())
