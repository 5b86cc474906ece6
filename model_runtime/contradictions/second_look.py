"""A second look at dictated phrases: would the model, shown the images, have said so itself?

Each phrase is judged token by token, as `likelihood` does, on the finished canvas without the other sections: they
agree with the phrase because they were written around it, and would only repeat it.

On 200 held-out phantoms each, with the limit below, 0.80 of the phrases that the image contradicts were flagged, and
0.035 of those that it does not. Phrases in words that the model does not know are not judged: it finds every one of
their tokens unlikely, where in a phrase that it only disagrees with it does so for one or two.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import torch
from torch import Tensor

from model_runtime.canvas import Anchor, Kind, Layout
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.likelihood import Phrase, bounded, token_likelihoods
from model_runtime.draft_text import Conflict
from model_runtime.prompts.prefix import Prefix

LIMIT = 0.03  # a phrase that is less probable is a conflict
_FAMILIAR = -5.5  # nats, of the median token: below, the model does not know the words
_WAYS = 2  # see token_likelihoods
_BEGINNING = 0.5  # weight of a phrase's first token, which mostly is a matter of wording


def conflicts(
    loaded: LoadedModel,
    prefix: Prefix,
    layout: Layout,
    ids: Sequence[int],
    anchors: Sequence[Anchor],
    *,
    limit: float,
    seed: int,
) -> tuple[Conflict, ...]:
    """The dictated ones among `anchors`, as `layout` has them in order, whose probability is below `limit`.

    `ids` is the finished canvas. One decoder pass for all; none where nothing was dictated.
    """
    pieces = [piece for piece in layout.pieces if piece.kind is Kind.ANCHOR]
    dictated = [piece for piece, anchor in zip(pieces, anchors, strict=True) if not anchor.accepted]
    if not dictated:
        return ()
    phrases = [Phrase(prefix, _only(loaded, layout, ids, piece.section), piece) for piece in dictated]
    found = []
    for piece, tokens in zip(dictated, token_likelihoods(loaded, phrases, ways=_WAYS, seed=seed), strict=True):
        probability = bounded(sum(tokens) - (1 - _BEGINNING) * tokens[0])
        if probability < limit and median(tokens) > _FAMILIAR:
            found.append(Conflict(piece.section, piece.text, probability))
    return tuple(found)


def _only(loaded: LoadedModel, layout: Layout, ids: Sequence[int], section: str) -> Tensor:
    """The canvas with the other sections empty; as it is for a model that has not learnt to leave one empty."""
    canvas = torch.tensor(list(ids), device=loaded.device)
    if loaded.codec.filler_id is not None:
        for piece in layout.pieces:
            if piece.kind in (Kind.GAP, Kind.ANCHOR) and piece.section != section:
                canvas[piece.start : piece.stop] = loaded.codec.filler_id
    return canvas
