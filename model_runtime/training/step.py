"""A training step of the diffusion model: a noised canvas behind its prompt, and the loss on its free positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DiffusionGemmaForBlockDiffusion

from model_runtime.training.architecture import SOFT_TOKENS
from model_runtime.training.sight import LOOK_WEIGHT, Sight, any_length, masks_of, softcapped

_FILLER_WEIGHT = 0.2  # of the loss: there are more empty positions than words
_ALL_NOISE = 0.2  # of examples start from nothing, as a draft does


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
    """The model with its loss.

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
        encoder = self.model.model.encoder
        self.sight = Sight(encoder.vision_tower, encoder.embed_vision, model.lm_head.in_features)
        self._image_start = image_start
        self._filler_id = filler_id
        self._temperatures = temperatures
        self._words = _words
        self._as_drafting = _as_drafting
        for layer in (*model.model.encoder.language_model.layers, *model.model.decoder.layers):
            layer.self_attn.layer_idx = 0

    def compile_parts(self) -> None:
        self.sight.compile_parts()
        encoder, decoder = self.model.model.encoder, self.model.model.decoder
        for layer in (*encoder.language_model.layers, *decoder.layers):
            layer.compile(fullgraph=True)
        decoder.self_conditioning.compile(fullgraph=True)
        self._words = torch.compile(_words, fullgraph=True)
        self._as_drafting = torch.compile(_as_drafting, fullgraph=True)

    def forward(
        self, geometry: Tensor, canvas: Tensor, clamped: Tensor, shown: Tensor, prompt: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss, and its parts apart: words, findings named from the image.

        geometry (phantoms, NUMBERS), canvas and clamped (phantoms, reports, canvas length), shown (phantoms, findings),
        prompt (1, prompt length).
        """
        canvas, clamped = canvas.flatten(0, 1), clamped.flatten(0, 1)
        masks = prompt_masks(self.model, prompt)
        noisy = corrupt(canvas, clamped, self.model.config.text_config.vocab_size)
        seen = self.sight.look_at(geometry)
        prefixes = [prefix.repeated(len(canvas) // len(seen)) for prefix in self.encode(seen, prompt, masks)]
        start = prompt.shape[1]
        hidden = self.decode(prefixes, start, noisy, self._hint(prefixes, start, canvas, clamped, noisy))
        weight = torch.where(canvas == self._filler_id, _FILLER_WEIGHT, 1.0) * ~clamped
        words = self._words(self.model, hidden, canvas, weight)
        looks = self.sight.look_loss(self.sight.named(seen), shown)
        return words + LOOK_WEIGHT * looks, torch.stack((words.detach(), looks.detach()))

    def hidden_writing(self) -> tuple[nn.Module, ...]:
        """The layers that prompt and canvas go through, without the embeddings."""
        encoder, decoder = self.model.model.encoder.language_model, self.model.model.decoder
        return encoder.layers, decoder.layers, decoder.self_conditioning

    def encode(self, seen: Tensor, prompt: Tensor, masks: dict[str, Tensor | None]) -> list[Prefix]:
        """Keys and values, layer by layer, of a prompt that all images share but for its soft tokens."""
        encoder = self.model.model.encoder.language_model
        words = encoder.embed_tokens(prompt).expand(len(seen), -1, -1)
        start = self._image_start
        hidden = torch.cat((words[:, :start], seen.to(words.dtype), words[:, start + SOFT_TOKENS :]), dim=1)
        places = torch.arange(prompt.shape[1], device=prompt.device)[None]
        prefixes = []
        for kind, layer in zip(encoder.config.layer_types, encoder.layers, strict=True):
            prefixes.append(Prefix())
            any_length(hidden, 1)
            rotation = encoder.rotary_emb(hidden, places, kind)
            for part in rotation:
                any_length(part, 1)
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
                any_length(part, 2)
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
    return softcapped(model, hidden, model.final_logit_softcapping)


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


def prompt_masks(model: DiffusionGemmaForBlockDiffusion, prompt: Tensor) -> dict[str, Tensor | None]:
    """See `masks_of`. `forward()` makes them too and throws them away (transformers 5.17 to 5.23): give it these."""
    return masks_of(model.model.encoder, model.config, prompt)
