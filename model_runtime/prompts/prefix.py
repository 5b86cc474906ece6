"""A prompt as the model has read it: the keys and values of every layer, so that a draft costs denoising steps only."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from model_runtime.checkpoints.checkpoint import LoadedModel


@dataclass(frozen=True, slots=True)
class Prefix:
    """One prompt. A sliding layer keeps its window's last positions only; `length` counts all that were read."""

    cache: Cache
    length: int
    images: tuple[slice, ...] = ()  # the positions of each image's soft tokens

    @property
    def bytes(self) -> int:
        layers: list[Any] = self.cache.layers  # transformers' union also has kinds without keys
        return sum(t.numel() * t.element_size() for layer in layers for t in (layer.keys, layer.values))


@torch.no_grad()
def read(loaded: LoadedModel, inputs: Mapping[str, Tensor]) -> Prefix:
    """Read a prompt as `prompt.encode` makes it, a batch of one, images in both directions."""
    ids = inputs["input_ids"]
    cache = DynamicCache(config=loaded.model.config.get_text_config(decoder=True))
    images = {name: inputs[name] for name in ("pixel_values", "image_position_ids") if name in inputs}
    kinds = inputs.get("mm_token_type_ids")
    _encode(loaded, cache, ids, 0, kinds, images)
    return Prefix(cache, ids.shape[1], () if kinds is None else tuple(_runs(kinds[0].tolist())))


@torch.no_grad()
def extended(loaded: LoadedModel, prefix: Prefix, ids: Sequence[int]) -> Prefix:
    """The prefix with finished text behind it, for a canvas that follows another; `prefix` stays as it is."""
    cache = copy.deepcopy(prefix.cache)
    _encode(loaded, cache, torch.tensor([list(ids)], device=loaded.device), prefix.length, None, {})
    return replace(prefix, cache=cache, length=prefix.length + len(ids))


def without_image(prefix: Prefix, image: int) -> Prefix:
    """What the decoder sees of a prompt when an image's positions are hidden from it; the others keep their places."""
    hidden = prefix.images[image]
    layers: list[Any] = prefix.cache.layers

    def rest(layer: Any) -> _Layer:
        first = prefix.length - layer.keys.shape[2]  # of the positions that the layer has kept
        begin, end = (max(border - first, 0) for border in (hidden.start, hidden.stop))
        return _Layer(*(torch.cat([t[:, :, :begin], t[:, :, end:]], dim=2) for t in (layer.keys, layer.values)))

    return replace(prefix, cache=_Cache([rest(layer) for layer in layers]))


def _runs(kinds: Sequence[int]) -> Iterator[slice]:
    """Where images stand; between any two, there is a token that ends one and a token that begins the next."""
    place = 0
    for is_image, run in groupby(kinds, bool):
        length = len(list(run))
        if is_image:
            yield slice(place, place + length)
        place += length


def _encode(
    loaded: LoadedModel,
    cache: Cache,
    ids: Tensor,
    start: int,
    image_positions: Tensor | None,
    images: Mapping[str, Tensor],
) -> None:
    encoder = loaded.model.model.encoder
    places = torch.arange(start, start + ids.shape[1], device=ids.device)[None]
    # As generate() does it. The encoder makes masks by itself too, and throws them away (transformers 5.17 to 5.23).
    masks = encoder.create_masks_for_generate(
        config=loaded.model.config,
        inputs_embeds=torch.empty(*ids.shape, 0, device=ids.device, dtype=loaded.model.dtype),
        attention_mask=torch.ones(1, start + ids.shape[1], dtype=torch.bool, device=ids.device),
        past_key_values=cache,
        position_ids=places,
        mm_token_type_ids=image_positions,
    )
    encoder(input_ids=ids, attention_mask=masks, past_key_values=cache, position_ids=places, **images)


class PrefixRows:
    """Several prefixes as the decoder takes them: one batch, shorter ones padded in front and masked.

    Attributes:
        cache: keys and values by layer, (rows, heads, positions, head).
        masks: for each kind of layer, (rows, 1, 1, positions + canvas length), True where there is something to see;
            None where no row is padded.
        places: the canvas's positions, (rows, canvas length).
    """

    def __init__(self, loaded: LoadedModel, prefixes: Sequence[Prefix], canvas_length: int) -> None:
        kinds = loaded.model.config.get_text_config(decoder=True).layer_types
        layers: list[list[Any]] = [[prefix.cache.layers[k] for prefix in prefixes] for k in range(len(kinds))]
        self.cache = _Cache(
            [_Layer(_padded([row.keys for row in rows]), _padded([row.values for row in rows])) for rows in layers]
        )
        self.masks = {
            kind: _mask([row.keys.shape[2] for row in layers[kinds.index(kind)]], canvas_length, loaded.device)
            for kind in set(kinds)
        }
        starts = torch.tensor([prefix.length for prefix in prefixes], device=loaded.device)
        self.places = starts[:, None] + torch.arange(canvas_length, device=loaded.device)


@dataclass(frozen=True, slots=True)
class _Layer:
    keys: Tensor
    values: Tensor


class _Cache(Cache):
    """What the decoder reads of a `Cache`: its layers. It never writes one."""

    is_compileable = False

    def __init__(self, layers: Sequence[_Layer]) -> None:
        self.layers: list[Any] = list(layers)


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """(1, heads, positions, head) each → (rows, heads, most positions, head), zeros in front."""
    most = max(row.shape[2] for row in rows)
    return torch.cat([torch.nn.functional.pad(row, (0, 0, most - row.shape[2], 0)) for row in rows])


def _mask(kept: Sequence[int], canvas_length: int, device: torch.device) -> Tensor | None:
    most = max(kept)
    if all(length == most for length in kept):
        return None
    seen = torch.arange(most + canvas_length, device=device) >= most - torch.tensor(kept, device=device)[:, None]
    return seen[:, None, None, :]
