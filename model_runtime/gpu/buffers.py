"""Memory that a captured step reads and writes: the same addresses at every replay, for every draft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor

from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.prompts.prefix import Prefix


@dataclass(frozen=True, slots=True)
class Buffers:
    """Some rows; every tensor's first dimension is the row."""

    keys: list[Tensor]  # of the prompts, by layer, (rows, key heads, room, head); see attention.attend
    values: list[Tensor]
    first: dict[str, Tensor]  # by kind of layer, (rows,) int32: where in the room the prompt begins
    cos: dict[str, Tensor]  # by kind of layer, (rows, canvas length, head)
    sin: dict[str, Tensor]
    clamp: Tensor  # (rows, canvas length), as are those that follow
    canvas: Tensor
    noise: Tensor
    chance: Tensor
    likeliest: Tensor
    confidence: Tensor
    entropy: Tensor
    temperature: Tensor  # (rows,)
    probabilities: Tensor  # (rows, canvas length, vocabulary)

    @classmethod
    def of(cls, loaded: LoadedModel, rows: int, longest_prompt: int) -> Self:
        """Room for so many rows, each with a prompt of up to that many positions."""
        decoder = loaded.model.model.decoder
        config = loaded.model.config.get_text_config(decoder=True)
        like = {"dtype": loaded.model.dtype, "device": loaded.device}
        ids = torch.zeros(rows, loaded.canvas_length, dtype=torch.long, device=loaded.device)
        numbers = torch.zeros_like(ids, dtype=torch.float32)
        keys = [
            torch.zeros(
                rows,
                layer.self_attn.k_proj.out_features // layer.self_attn.head_dim,
                min(longest_prompt, config.sliding_window) if kind == "sliding_attention" else longest_prompt,
                layer.self_attn.head_dim,
                **like,
            )
            for kind, layer in zip(config.layer_types, decoder.layers, strict=True)
        ]
        room = {kind: each.shape[2] for kind, each in zip(config.layer_types, keys, strict=True)}
        turns = {kind: decoder.rotary_emb(decoder.embed_tokens.weight, ids, kind)[0] for kind in room}
        return cls(
            keys=keys,
            values=[torch.zeros_like(each) for each in keys],
            first={
                kind: torch.full((rows,), most, dtype=torch.int32, device=loaded.device) for kind, most in room.items()
            },
            cos={kind: turn.clone() for kind, turn in turns.items()},
            sin={kind: turn.clone() for kind, turn in turns.items()},
            clamp=ids,
            canvas=ids.clone(),
            noise=ids.clone(),
            chance=numbers,
            likeliest=ids.clone(),
            confidence=numbers.clone(),
            entropy=numbers.clone(),
            temperature=numbers[:, 0].clone().fill_(1.0),
            probabilities=torch.zeros(rows, loaded.canvas_length, loaded.vocabulary_size, **like),
        )

    def __getitem__(self, rows: slice) -> Self:
        """The same memory, fewer rows."""
        return type(self)(**{field.name: _each(getattr(self, field.name), rows) for field in fields(self)})

    def move(self, source: int, target: int) -> None:
        """Row `target` becomes what row `source` is."""
        for tensor in self._tensors():
            tensor[target].copy_(tensor[source])

    def read(self, loaded: LoadedModel, row: int, prefix: Prefix) -> None:
        """Put a prompt into the row's room. Not a byte of what another prompt left there is seen."""
        kinds = loaded.model.config.get_text_config(decoder=True).layer_types
        layers: list[Any] = prefix.cache.layers
        for kind, keys, values, layer in zip(kinds, self.keys, self.values, layers, strict=True):
            begin = keys.shape[2] - layer.keys.shape[2]
            keys[row, :, begin:].copy_(layer.keys[0])
            values[row, :, begin:].copy_(layer.values[0])
            self.first[kind][row] = begin
        decoder = loaded.model.model.decoder
        places = prefix.length + torch.arange(self.canvas.shape[1], device=self.canvas.device)[None]
        for kind in self.first:
            cos, sin = decoder.rotary_emb(decoder.embed_tokens.weight, places, kind)
            self.cos[kind][row], self.sin[kind][row] = cos[0], sin[0]

    def holds(self, prefix: Prefix) -> bool:
        """Whether the room is large enough."""
        layers: Sequence[Any] = prefix.cache.layers
        return all(layer.keys.shape[2] <= keys.shape[2] for layer, keys in zip(layers, self.keys, strict=True))

    def _tensors(self) -> list[Tensor]:
        found: list[Tensor] = []
        for field in fields(self):
            value = getattr(self, field.name)
            found += value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]
        return found


def _each(value: Any, rows: slice) -> Any:
    if isinstance(value, list):
        return [tensor[rows] for tensor in value]
    if isinstance(value, dict):
        return {kind: tensor[rows] for kind, tensor in value.items()}
    return value[rows]
