"""One training step: phantoms painted where the model is, a noised canvas, and the loss on its free positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DiffusionGemmaForBlockDiffusion, DynamicCache

from model_runtime.findings import CHOICES
from model_runtime.painting import paint, unflatten
from model_runtime.training.architecture import IMAGE_SIZE, PATCH, SOFT_TOKENS

_GRID = IMAGE_SIZE // PATCH
_FILLER_WEIGHT = 0.2  # of the loss: there are more empty positions than words
_LOOK_WEIGHT = 0.3
_ALL_NOISE = 0.2  # of examples start from nothing, as a draft does


def patches_of(geometry: Tensor) -> Tensor:
    """What the image processor would make of the phantoms' 8-bit images: (images, patches, PATCH * PATCH * 3)."""
    centres = (torch.arange(IMAGE_SIZE, device=geometry.device, dtype=torch.float32) + 0.5) / IMAGE_SIZE
    noise = torch.randn(len(geometry), IMAGE_SIZE, IMAGE_SIZE, device=geometry.device)
    return patches(paint(unflatten(geometry), centres[None, :], centres[:, None], noise, torch))


def patches(brightness: Tensor) -> Tensor:
    """(images, IMAGE_SIZE, IMAGE_SIZE) from 0 to 1 → (images, patches, PATCH * PATCH * 3) in the processor's order."""
    grey = torch.floor(brightness * 255 + 0.5) / 255
    grid = grey.view(-1, _GRID, PATCH, _GRID, PATCH).permute(0, 1, 3, 2, 4).reshape(-1, _GRID**2, PATCH**2)
    return grid.repeat_interleave(3, dim=-1)


def corrupt(canvas: Tensor, clamped: Tensor, vocabulary: int) -> Tensor:
    """Uniform noise on free positions; each example has a share of it between 0.001 and 1."""
    level = 0.001 + 0.999 * torch.rand(len(canvas), 1, device=canvas.device)
    level = torch.where(torch.rand_like(level) < _ALL_NOISE, 1.0, level)
    noised = (torch.rand(canvas.shape, device=canvas.device) < level) & ~clamped
    return torch.where(noised, torch.randint_like(canvas, vocabulary), canvas)


class Prefix:
    """Keys and values of the prompt in one layer, in the place of a whole `Cache`."""

    is_compileable = False
    keys: Tensor  # (images, heads, prompt length, head)
    values: Tensor

    @classmethod
    def of(cls, keys: Tensor, values: Tensor) -> Prefix:
        prefix = cls()
        prefix.update(keys, values, 0)
        return prefix

    @property
    def layers(self) -> list[Prefix]:
        return [self]

    def update(self, keys: Tensor, values: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        self.keys, self.values = keys, values
        return keys, values

    def repeated(self, times: int) -> Prefix:
        """For several reports on each image."""
        return Prefix.of(self.keys.repeat_interleave(times, 0), self.values.repeat_interleave(times, 0))


class Objective(nn.Module):
    """The model with its loss. `look` names the findings from the image alone; it is not kept after training.

    Layers are called one by one, so that each kind of layer is compiled once instead of the whole model at length.
    """

    def __init__(
        self,
        model: DiffusionGemmaForBlockDiffusion,
        *,
        image_start: int,
        filler_id: int,
        temperatures: tuple[float, float],
    ) -> None:
        """`image_start`: where a prompt's soft tokens begin. `temperatures`: the sampler's lowest and highest.

        The model is for training only from here on: its layers look for their keys and values in a Prefix.
        """
        super().__init__()
        self.model: Any = model  # transformers' types are wider than what is there
        width: int = model.lm_head.in_features
        self.look = nn.Linear(SOFT_TOKENS * width, sum(map(len, CHOICES.values())))
        nn.init.zeros_(self.look.weight)
        self._image_start = image_start
        self._filler_id = filler_id
        self._temperatures = temperatures
        self._words = _words
        self._as_drafting = _as_drafting
        x, y = torch.meshgrid(torch.arange(_GRID), torch.arange(_GRID), indexing="xy")
        self.positions: Tensor
        self.register_buffer("positions", torch.stack((x, y), -1).reshape(1, -1, 2), persistent=False)
        for layer in (*model.model.encoder.language_model.layers, *model.model.decoder.layers):
            layer.self_attn.layer_idx = 0

    def compile_parts(self) -> None:
        encoder, decoder = self.model.model.encoder, self.model.model.decoder
        for layer in (*encoder.vision_tower.encoder.layers, *encoder.language_model.layers, *decoder.layers):
            layer.compile(fullgraph=True)
        decoder.self_conditioning.compile(fullgraph=True)
        self._words = torch.compile(_words, fullgraph=True)
        self._as_drafting = torch.compile(_as_drafting, fullgraph=True)

    def forward(
        self,
        pixels: Tensor,
        prompt: Tensor,
        masks: dict[str, Tensor],
        canvas: Tensor,
        clamped: Tensor,
        noisy: Tensor,
        shown: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The loss, and its parts apart: words, findings named from the image.

        pixels from `patches`, prompt (1, prompt length), masks from `prompt_masks`, shown (images, findings);
        canvas, clamped and noisy (reports, canvas length), as many reports for each image, one after the other.
        """
        seen = self.see(pixels)
        prefixes = [prefix.repeated(len(canvas) // len(seen)) for prefix in self.encode(seen, prompt, masks)]
        start = prompt.shape[1]
        hidden = self.decode(prefixes, start, noisy, self._hint(prefixes, start, canvas, clamped, noisy))
        weight = torch.where(canvas == self._filler_id, _FILLER_WEIGHT, 1.0) * ~clamped
        words = self._words(self.model, hidden, canvas, weight)
        looks = self.look_loss(self.named(seen), shown)
        return words + _LOOK_WEIGHT * looks, torch.stack((words.detach(), looks.detach()))

    def seeing_parts(self) -> tuple[nn.Module, ...]:
        """Everything between the pixels and the findings named from them."""
        encoder = self.model.model.encoder
        return encoder.vision_tower, encoder.embed_vision, self.look

    def hidden_seeing(self) -> nn.Module:
        """The layers between the tower's first projection and its last."""
        layers: nn.Module = self.model.model.encoder.vision_tower.encoder.layers
        return layers

    def hidden_writing(self) -> tuple[nn.Module, ...]:
        """The layers that prompt and canvas go through, without the embeddings."""
        encoder, decoder = self.model.model.encoder.language_model, self.model.model.decoder
        return encoder.layers, decoder.layers, decoder.self_conditioning

    def named(self, seen: Tensor) -> tuple[Tensor, ...]:
        """Logits (images, choices) of each finding, from the soft tokens alone."""
        logits: Tensor = self.look(seen.flatten(1)).float()
        return torch.split(logits, [len(choices) for choices in CHOICES.values()], dim=-1)

    @staticmethod
    def look_loss(named: Sequence[Tensor], shown: Tensor) -> Tensor:
        """Mean cross-entropy of the findings; shown (images, findings)."""
        return torch.stack([functional.cross_entropy(part, shown[:, k]) for k, part in enumerate(named)]).mean()

    def see(self, pixels: Tensor) -> Tensor:
        """The image's soft tokens (images, SOFT_TOKENS, hidden), as `get_image_features` gives for unpadded patches."""
        encoder = self.model.model.encoder
        tower = encoder.vision_tower
        positions = self.positions.expand(len(pixels), -1, -1)
        padding = torch.zeros(pixels.shape[:2], dtype=torch.bool, device=pixels.device)
        hidden = tower.patch_embedder(pixels, positions, padding)
        rotation = tower.encoder.rotary_emb(hidden, positions)
        for layer in tower.encoder.layers:
            hidden = layer(hidden, attention_mask=None, position_embeddings=rotation, position_ids=positions)
        pooled, _ = tower.pooler(hidden, positions, padding, SOFT_TOKENS)
        features: Tensor = encoder.embed_vision(inputs_embeds=pooled.to(hidden.dtype))
        return features

    def encode(self, seen: Tensor, prompt: Tensor, masks: dict[str, Tensor]) -> list[Prefix]:
        """Keys and values, layer by layer, of a prompt that all images share but for its soft tokens."""
        encoder = self.model.model.encoder.language_model
        words = encoder.embed_tokens(prompt).expand(len(seen), -1, -1)
        start = self._image_start
        hidden = torch.cat((words[:, :start], seen.to(words.dtype), words[:, start + SOFT_TOKENS :]), dim=1)
        places = torch.arange(prompt.shape[1], device=prompt.device)[None]
        prefixes = []
        for kind, layer in zip(encoder.config.layer_types, encoder.layers, strict=True):
            prefixes.append(Prefix())
            _any_length(hidden, axis=1)
            rotation = encoder.rotary_emb(hidden, places, kind)
            for part in rotation:
                _any_length(part, axis=1)
            hidden = layer(
                hidden, position_embeddings=rotation, attention_mask=masks[kind], past_key_values=prefixes[-1]
            )
        return prefixes

    def decode(
        self, prefixes: list[Prefix], start: int, canvas: Tensor, hint: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Hidden states (images, canvas length, hidden) of a canvas behind a prompt of `start` tokens.

        `hint`: logits of the step before, and which images they are for.
        """
        decoder = self.model.model.decoder
        hidden = decoder.embed_tokens(canvas)
        signal = torch.zeros_like(hidden) if hint is None else self._soft_embedding(*hint)
        hidden = decoder.self_conditioning(hidden, signal)
        places = torch.arange(start, start + canvas.shape[1], device=canvas.device)[None]
        for kind, layer, prefix in zip(decoder.text_config.layer_types, decoder.layers, prefixes, strict=True):
            for part in (prefix.keys, prefix.values):
                _any_length(part, axis=2)
            rotation = decoder.rotary_emb(hidden, places, kind)
            hidden = layer(hidden, position_embeddings=rotation, attention_mask=None, past_key_values=prefix)
        last: Tensor = decoder.norm(hidden)
        return last

    def _soft_embedding(self, probabilities: Tensor, hinted: Tensor) -> Tensor:
        embedding = self.model.model.decoder.embed_tokens
        soft = (probabilities @ embedding.weight.to(probabilities.dtype)) * embedding.embed_scale
        signal: Tensor = soft.to(embedding.weight.dtype) * hinted[:, None, None]
        return signal

    @torch.no_grad()
    def _hint(
        self, prefixes: list[Prefix], start: int, canvas: Tensor, clamped: Tensor, noisy: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the model would think of the canvas one step before, for the first half of the batch: probabilities
        as when drafting, with the sampler's temperature, and one-hot where clamped."""
        half = len(canvas) // 2
        first = [Prefix.of(prefix.keys[:half], prefix.values[:half]) for prefix in prefixes]
        hidden = self.decode(first, start, noisy[:half])
        low, high = self._temperatures
        temperature = low + (high - low) * torch.rand(half, 1, 1, device=canvas.device)
        probabilities = self._as_drafting(self.model, hidden, temperature, canvas[:half], clamped[:half])
        rest = probabilities.new_zeros(len(canvas) - half, *probabilities.shape[1:])
        return torch.cat((probabilities, rest)), torch.arange(len(canvas), device=canvas.device) < half


def _logits(model: DiffusionGemmaForBlockDiffusion, hidden: Tensor) -> Tensor:
    cap = model.final_logit_softcapping
    logits: Tensor = torch.tanh(model.lm_head(hidden).float() / cap) * cap
    return logits


def _words(model: DiffusionGemmaForBlockDiffusion, hidden: Tensor, canvas: Tensor, weight: Tensor) -> Tensor:
    logits = _logits(model, hidden).flatten(0, 1)
    each = functional.cross_entropy(logits, canvas.flatten(), reduction="none")
    return (each * weight.flatten()).sum() / weight.sum()


def _as_drafting(
    model: DiffusionGemmaForBlockDiffusion, hidden: Tensor, temperature: Tensor, canvas: Tensor, clamped: Tensor
) -> Tensor:
    """Probabilities (images, canvas length, vocabulary) in bfloat16."""
    free = torch.softmax(_logits(model, hidden) / temperature, dim=-1)
    tokens = torch.arange(free.shape[-1], device=free.device)
    return torch.where(clamped[..., None], (canvas[..., None] == tokens).float(), free).to(torch.bfloat16)


def _any_length(tensor: Tensor, axis: int) -> None:
    """Prompts differ in length: compile for all of them at once."""
    torch._dynamo.maybe_mark_dynamic(tensor, axis)


def prompt_masks(model: DiffusionGemmaForBlockDiffusion, prompt: Tensor) -> dict[str, Tensor]:
    """The masks that `generate()` makes: causal, with the image's tokens seeing each other in both directions.

    `forward()` would make them and throw them away (transformers 5.17 to 5.23), unless it is given them.
    """
    image = int(model.config.image_token_id or 0)
    masks: dict[str, Tensor] = model.model.encoder.create_masks_for_generate(
        config=model.config,
        inputs_embeds=torch.empty(*prompt.shape, 0, device=prompt.device, dtype=model.dtype),
        attention_mask=torch.ones_like(prompt, dtype=torch.bool),
        past_key_values=DynamicCache(config=model.config.get_text_config()),
        position_ids=torch.arange(prompt.shape[1], device=prompt.device)[None],
        mm_token_type_ids=torch.eq(prompt, image).long(),
    )
    return masks
