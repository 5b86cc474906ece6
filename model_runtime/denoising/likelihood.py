"""How likely the model finds phrases that stand on a canvas: each token by itself, seen from everything around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_runtime.canvas import Piece
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.stepping import stepper_of
from model_runtime.prompts.prefix import Prefix


@dataclass(frozen=True, slots=True)
class Phrase:
    """Where a phrase stands (`piece`) on which canvas: ids, (canvas length,)."""

    prefix: Prefix
    canvas: Tensor
    piece: Piece


@torch.no_grad()
def token_likelihoods(loaded: LoadedModel, phrases: Sequence[Phrase], *, ways: int, seed: int) -> list[list[float]]:
    """For each phrase the log probability of each of its tokens, in nats; one decoder pass for all.

    Every `ways`-th token of a phrase is replaced by noise at a time, so a phrase takes `ways` rows of the batch,
    however long it is. A phrase is text: fillers and banned ids do not count.
    """
    generator = torch.Generator().manual_seed(seed)
    rows: list[Tensor] = []
    for phrase in phrases:
        places = torch.arange(phrase.piece.start, phrase.piece.stop)
        noise = torch.randint(loaded.vocabulary_size, (len(places),), generator=generator).to(loaded.device)
        for first in range(ways):
            row = phrase.canvas.clone()
            row[places[first::ways]] = noise[first::ways]
            rows.append(row)
    prefixes = [phrase.prefix for phrase in phrases for _ in range(ways)]
    logits = stepper_of(loaded).look(loaded, prefixes, torch.stack(rows))
    silent = [*loaded.codec.banned, *([] if loaded.codec.filler_id is None else [loaded.codec.filler_id])]
    logits = logits.index_fill(-1, torch.tensor(silent, device=logits.device), float("-inf")).log_softmax(-1)
    found = []
    for number, phrase in enumerate(phrases):
        places = torch.arange(phrase.piece.start, phrase.piece.stop, device=logits.device)
        row_of = number * ways + torch.arange(len(places), device=logits.device) % ways
        found.append(logits[row_of, places, phrase.canvas[places]].tolist())
    return found


def bounded(log_probability: float) -> float:
    """As a probability; 0 for what is out of reach."""
    return math.exp(min(log_probability, 0.0))
