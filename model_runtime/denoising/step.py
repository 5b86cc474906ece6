"""One denoising step in plain PyTorch: noised canvases → what the model now thinks of every position.

The arithmetic is that of transformers' `generate()`, term by term, so that on the same random numbers the canvases are
the same after every step. What differs is that random numbers come in with each row, and so a row's draft does not
depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical

from model_runtime.canvas import FREE
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.prompts.prefix import PrefixRows


@dataclass(frozen=True, slots=True)
class Guess:
    """Shape (rows, canvas length) each, but for `hint`."""

    likeliest: Tensor  # token ids
    drawn: Tensor  # token ids, one sample at the step's temperature
    entropy: Tensor  # nats, at the step's temperature
    confidence: Tensor  # the likeliest's probability before temperature
    hint: Tensor  # for the next step's self-conditioning, (rows, canvas length, vocabulary)


class Clamp:
    """Fixed positions' logits are one-hot, and banned ids are out of reach at the free ones.

    A clamped position's argmax, sample and self-conditioning signal are then its token, and its entropy is zero, so
    that it is accepted first and never renoised.
    """

    def __init__(self, ids: Tensor, banned: Sequence[int]) -> None:
        """`ids` (rows, canvas length): a token, or FREE."""
        self.ids = ids
        self.fixed = ids != FREE
        self._rows, self._columns = self.fixed.nonzero(as_tuple=True)
        self._tokens = ids[self._rows, self._columns]
        self._banned = torch.tensor(banned, dtype=torch.long, device=ids.device)

    def __call__(self, logits: Tensor) -> Tensor:
        """(rows, canvas length, vocabulary), a new tensor."""
        logits = logits.index_fill(-1, self._banned, float("-inf"))
        logits[self._rows, self._columns] = float("-inf")
        logits[self._rows, self._columns, self._tokens] = 0.0
        return logits


@torch.no_grad()
def guess(
    loaded: LoadedModel,
    prefixes: PrefixRows,
    clamp: Clamp,
    canvas: Tensor,
    hint: Tensor | None,
    temperature: Tensor,
    chance: Tensor,
) -> Guess:
    """One decoder pass over `canvas` (rows, canvas length).

    `hint` is that of the step before, None at the first. `temperature` (rows,); `chance` (rows, canvas length), uniform
    in [0, 1), decides the sample.
    """
    logits = clamp(look(loaded, prefixes, canvas, hint))
    scaled = logits / temperature[:, None, None]
    probabilities = torch.softmax(scaled, dim=-1, dtype=torch.float32)
    return Guess(
        likeliest=scaled.argmax(-1),
        drawn=draw(probabilities, chance),
        entropy=Categorical(logits=scaled, validate_args=False).entropy(),  # type: ignore[no-untyped-call]
        confidence=logits.float().softmax(-1).amax(-1),
        hint=scaled.to(loaded.model.model.decoder.embed_tokens.weight.dtype),
    )


def look(loaded: LoadedModel, prefixes: PrefixRows, canvas: Tensor, hint: Tensor | None = None) -> Tensor:
    """The model's own logits, float32 (rows, canvas length, vocabulary)."""
    output = loaded.model(
        decoder_input_ids=canvas,
        self_conditioning_logits=hint,
        decoder_attention_mask=prefixes.masks,
        past_key_values=prefixes.cache,
        decoder_position_ids=prefixes.places,
    )
    logits: Tensor = output.logits
    return logits


def draw(probabilities: Tensor, chance: Tensor) -> Tensor:
    """A token for each position by the inverse of the cumulative distribution; never one of probability zero."""
    cumulative = probabilities.cumsum(-1)
    wanted = chance[..., None] * cumulative[..., -1:]
    return torch.searchsorted(cumulative, wanted, right=True).clamp(max=probabilities.shape[-1] - 1).squeeze(-1)


def accept(guess: Guess, entropy_bound: float, noise: Tensor) -> Tensor:
    """The next canvas: the surest positions as drawn, as many as are nearly independent of each other, noise elsewhere.

    The bound is on the sum of entropies without the largest (arXiv 2505.24857); `noise` are ids of the canvas's shape.
    """
    ordered, order = torch.sort(guess.entropy, dim=-1)
    within = ordered.cumsum(-1) - ordered <= entropy_bound
    accepted = torch.zeros_like(within).scatter(-1, order, within)
    return torch.where(accepted, guess.drawn, noise)
