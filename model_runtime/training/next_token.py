"""A training step of the sibling: the next token, wherever the choice is the model's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Gemma4ForConditionalGeneration

from model_runtime.training.architecture import SOFT_TOKENS
from model_runtime.training.sight import LOOK_WEIGHT, Sight, any_length, masks_of, softcapped


class NextToken(nn.Module):
    """The model with its loss; layers are called one by one, as in `step.Objective`."""

    def __init__(self, model: Gemma4ForConditionalGeneration, *, image_start: int) -> None:
        """`image_start`: where a prompt's soft tokens begin."""
        super().__init__()
        self.model: Any = model  # transformers' types are wider than what is there
        inner = self.model.model
        self.sight = Sight(inner.vision_tower, inner.embed_vision, model.lm_head.in_features)
        self._image_start = image_start
        text: Any = model.config.get_text_config()
        self._cap: float = text.final_logit_softcapping
        self._words = _words

    def compile_parts(self) -> None:
        self.sight.compile_parts()
        for layer in self.model.model.language_model.layers:
            layer.compile(fullgraph=True)
        self._words = torch.compile(_words, fullgraph=True)

    def forward(self, geometry: Tensor, ids: Tensor, learnt: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and its parts apart: words, findings named from the image; shapes as in `sequences.Lesson`."""
        seen = self.sight.look_at(geometry)
        reports = ids.shape[1]
        ids, learnt = ids.flatten(0, 1), learnt.flatten(0, 1)
        hidden = self.read(seen.repeat_interleave(reports, 0), ids)
        chosen = hidden[:, :-1][learnt[:, 1:]]
        any_length(chosen, 0)
        wanted = ids[:, 1:][learnt[:, 1:]]
        any_length(wanted, 0)
        words = self._words(self.model, chosen, wanted, self._cap)
        looks = self.sight.look_loss(self.sight.named(seen), shown)
        return words + LOOK_WEIGHT * looks, torch.stack((words.detach(), looks.detach()))

    def hidden_writing(self) -> tuple[nn.Module, ...]:
        """The layers that prompt and report go through, without the embeddings."""
        return (self.model.model.language_model.layers,)

    def read(self, seen: Tensor, ids: Tensor) -> Tensor:
        """Hidden states (reports, length, hidden); ids (reports, length) have their soft tokens in the same places."""
        text, start = self.model.model.language_model, self._image_start
        words = text.embed_tokens(ids)
        hidden = torch.cat((words[:, :start], seen.to(words.dtype), words[:, start + SOFT_TOKENS :]), dim=1)
        masks = masks_of(self.model, self.model.config, ids[:1])
        places = torch.arange(ids.shape[1], device=ids.device)[None]
        for kind, layer in zip(text.config.layer_types, text.layers, strict=True):
            any_length(hidden, 1)
            rotation = text.rotary_emb(hidden, places, kind)
            for part in rotation:
                any_length(part, 1)
            hidden = layer(hidden, shared_kv_states={}, position_embeddings=rotation, attention_mask=masks[kind])
        last: Tensor = text.norm(hidden)
        return last


def _words(model: Gemma4ForConditionalGeneration, hidden: Tensor, wanted: Tensor, cap: float) -> Tensor:
    """Mean cross-entropy; hidden (tokens, hidden), wanted (tokens,)."""
    return functional.cross_entropy(softcapped(model, hidden, cap), wanted)
