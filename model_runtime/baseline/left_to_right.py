"""Writing from left to right around what is fixed: the baseline that denoising is compared with.

Headings and anchors are forced when their turn comes; what stands behind a gap, the model knows only from its prompt.
A model that has learnt the filler ends each gap with one. Another is taken to have ended it where its likeliest token
is no text (the end of its turn), or where, a sentence being finished, it goes on with what is fixed next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from model_runtime.assembly import SENTENCE_END, Token
from model_runtime.canvas import FREE, Kind, Layout
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.errors import AnchorMoved


@dataclass(frozen=True, slots=True)
class Written:
    """A report in the places of its layout: at each position a token's text and probability, 1 where it is fixed.

    Positions of a gap that were not needed have no text. `steps` counts the model's passes, one for each token.
    """

    tokens: tuple[Token, ...]
    steps: int


def write(
    loaded: LoadedModel, inputs: Mapping[str, Tensor], layouts: Sequence[Layout], *, seed: int, temperature: float
) -> list[Written]:
    """Write the gaps of each layout; the same arguments and versions give the same text.

    `inputs` are what `generate()` takes as prompt, one row for each layout. Temperature 0 takes the likeliest token.

    Raises AnchorMoved where the model's own sequence does not hold what was forced.
    """
    rows = [_Row(loaded, layout) for layout in layouts]
    sequences: Tensor = loaded.model.generate(
        **inputs,
        logits_processor=LogitsProcessorList([ForcedLogits(loaded, rows, seed, temperature)]),
        generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,  # ForcedLogits draws, from a generator of its own
            max_new_tokens=max(row.end for row in rows) + 1,
            eos_token_id=loaded.codec.end_id,
            pad_token_id=loaded.tokenizer.pad_token_id,
        ),
    )
    written = sequences[:, inputs["input_ids"].shape[1] :].tolist()
    return [row.written(ids) for row, ids in zip(rows, written, strict=True)]


class ForcedLogits(LogitsProcessor):
    """One-hot logits: what is fixed where something is, elsewhere the model's choice among the tokens of text."""

    def __init__(self, loaded: LoadedModel, rows: Sequence[_Row], seed: int, temperature: float) -> None:
        self._rows, self._temperature = rows, temperature
        self._banned = torch.tensor(loaded.codec.banned, dtype=torch.long, device=loaded.device)
        self._generator = torch.Generator(loaded.device).manual_seed(seed % 2**63)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # scores (rows, vocabulary)
        text = scores.float().index_fill(-1, self._banned, float("-inf"))
        own = self._draw(text)
        probability = text.softmax(-1).gather(-1, own[:, None])[:, 0]
        columns = (scores.argmax(-1).tolist(), own.tolist(), probability.tolist())
        ids = [row.next(*choice) for row, *choice in zip(self._rows, *columns, strict=True)]
        return torch.full_like(scores, float("-inf")).scatter(-1, torch.tensor(ids, device=own.device)[:, None], 0.0)

    def _draw(self, logits: Tensor) -> Tensor:
        """A token for each row: the largest of logits with Gumbel noise is a sample of their softmax."""
        if self._temperature > 0:
            chance = torch.rand(logits.shape, generator=self._generator, device=logits.device)
            logits = logits / self._temperature - torch.log(-torch.log(chance.clamp(min=1e-20)))
        return logits.argmax(-1)


class _Row:
    """One report under way: where it has got to in its layout, and what has been written."""

    def __init__(self, loaded: LoadedModel, layout: Layout) -> None:
        self._ids, self._codec = layout.ids, loaded.codec
        self._stops = [piece.stop for piece in layout.pieces for _ in range(piece.tokens)]
        self._no_text = {loaded.codec.end_id, *loaded.tokenizer.all_special_ids}
        self._tokens = [Token("", 1.0)] * len(layout.ids)
        self._sequence: list[int] = []
        self._sentence: list[int] = []  # since what was last fixed
        self._at = 0
        self.end = next(piece.start for piece in layout.pieces if piece.kind is Kind.END)

    def next(self, likeliest: int, own: int, probability: float) -> int:
        """The token to come: what is fixed here, or else the model's `own`; `likeliest` is its choice unrestrained."""
        if self._ids[self._at] == FREE and self._has_ended_its_gap(likeliest):
            self._at = self._stops[self._at]
        at, fixed = self._at, self._ids[self._at]
        chosen = own if fixed == FREE else fixed
        self._sequence.append(chosen)
        if fixed == FREE:
            self._sentence.append(chosen)
            self._tokens[at] = Token(self._codec.pieces([chosen])[0], probability)
            self._at = self._stops[at] if chosen == self._codec.filler_id else at + 1
        elif at < self.end:
            self._sentence.clear()
            self._at = at + 1
        return chosen

    def _has_ended_its_gap(self, likeliest: int) -> bool:
        if self._codec.filler_id is not None:
            return False  # it will say so
        follows = self._ids[self._stops[self._at]]
        finished = not self._sentence or SENTENCE_END.search(self._codec.decode(self._sentence)) is not None
        return likeliest in self._no_text or (finished and likeliest == follows)

    def written(self, ids: Sequence[int]) -> Written:
        """Raises AnchorMoved where `ids`, which the model takes for its sequence, are not what was decided."""
        decided = [*takewhile(lambda i: i != self._codec.end_id, self._sequence), self._codec.end_id]
        if self._at < self.end or list(ids[: len(decided)]) != decided:
            raise AnchorMoved("the model's sequence is not what it was made to write; nothing is shown")
        return Written(tuple(self._tokens), len(decided))
