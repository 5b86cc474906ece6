"""How a model under training sees: phantoms painted where the model is, and the vision tower layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache

from model_runtime.findings import CHOICES
from model_runtime.phantoms.painting import paint, unflatten
from model_runtime.training.architecture import IMAGE_SIZE, PATCH, SOFT_TOKENS

LOOK_WEIGHT = 0.3  # of naming the findings, beside words

_GRID = IMAGE_SIZE // PATCH


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


class Sight(nn.Module):
    """A model's vision tower and its projection. `look` names the findings from the image alone; it is not kept."""

    def __init__(self, tower: nn.Module, projection: nn.Module, width: int) -> None:
        """`width`: of the soft tokens that `projection` gives."""
        super().__init__()
        self.tower: Any = tower
        self.projection: Any = projection
        self.look = nn.Linear(SOFT_TOKENS * width, sum(map(len, CHOICES.values())))
        nn.init.zeros_(self.look.weight)
        self._patches_of = patches_of
        x, y = torch.meshgrid(torch.arange(_GRID), torch.arange(_GRID), indexing="xy")
        self.positions: Tensor
        self.register_buffer("positions", torch.stack((x, y), -1).reshape(1, -1, 2), persistent=False)

    def compile_parts(self) -> None:
        for layer in self.tower.encoder.layers:
            layer.compile(fullgraph=True)
        self._patches_of = torch.compile(patches_of, fullgraph=True)

    def hidden(self) -> nn.Module:
        """The layers between the tower's first projection and its last."""
        layers: nn.Module = self.tower.encoder.layers
        return layers

    def look_at(self, geometry: Tensor) -> Tensor:
        """Soft tokens of phantoms: (images, NUMBERS) → (images, SOFT_TOKENS, width)."""
        return self.see(self._patches_of(geometry))

    def see(self, pixels: Tensor) -> Tensor:
        """Soft tokens (images, SOFT_TOKENS, width), as `get_image_features` gives for unpadded patches."""
        tower, positions = self.tower, self.positions.expand(len(pixels), -1, -1)
        padding = torch.zeros(pixels.shape[:2], dtype=torch.bool, device=pixels.device)
        hidden = tower.patch_embedder(pixels, positions, padding)
        rotation = tower.encoder.rotary_emb(hidden, positions)
        for layer in tower.encoder.layers:
            hidden = layer(hidden, attention_mask=None, position_embeddings=rotation, position_ids=positions)
        pooled, _ = tower.pooler(hidden, positions, padding, SOFT_TOKENS)
        features: Tensor = self.projection(inputs_embeds=pooled.to(hidden.dtype))
        return features

    def named(self, seen: Tensor) -> tuple[Tensor, ...]:
        """Logits (images, choices) of each finding, from the soft tokens alone."""
        logits: Tensor = self.look(seen.flatten(1)).float()
        return torch.split(logits, [len(choices) for choices in CHOICES.values()], dim=-1)

    @staticmethod
    def look_loss(named: Sequence[Tensor], shown: Tensor) -> Tensor:
        """Mean cross-entropy of the findings; shown (images, findings)."""
        return torch.stack([functional.cross_entropy(part, shown[:, k]) for k, part in enumerate(named)]).mean()


def softcapped(model: Any, hidden: Tensor, cap: float) -> Tensor:
    """The model's logits, in float32."""
    logits: Tensor = torch.tanh(model.lm_head(hidden).float() / cap) * cap
    return logits


def masks_of(maker: Any, config: Any, prompt: Tensor) -> dict[str, Tensor | None]:
    """The masks that `generate()` makes: causal, with the image's tokens seeing each other in both directions.

    `maker` is the part of the model that has `create_masks_for_generate`. prompt (1, length). A mask for each kind of
    layer, its last two axes marked as differing from prompt to prompt; None stands for a plain causal one.
    """
    masks: dict[str, Tensor | None] = maker.create_masks_for_generate(
        config=config,
        inputs_embeds=torch.empty(*prompt.shape, 0, device=prompt.device),
        attention_mask=torch.ones_like(prompt, dtype=torch.bool),
        past_key_values=DynamicCache(config=config.get_text_config()),
        position_ids=torch.arange(prompt.shape[1], device=prompt.device)[None],
        mm_token_type_ids=torch.eq(prompt, config.image_token_id).long(),
    )
    for mask in masks.values():
        if mask is not None:
            any_length(mask, 2, 3)
    return masks


def any_length(tensor: Tensor, *axes: int) -> None:
    """Prompts differ in length: compile for all of them at once."""
    torch._dynamo.maybe_mark_dynamic(tensor, axes)
