"""Text to token ids and back without loss, and the tokens that have no place in a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from transformers import PreTrainedTokenizerBase

from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.errors import AnchorRefused, UnusableCheckpoint

# A lone byte token is no character (it decodes to U+FFFD), an unused one has no meaning, and of control characters a
# report carries the line feed alone.
_NOT_TEXT = re.compile(r"<0x[0-9A-F]{2}>|<unused\d+>|(?s:.*[\x00-\x09\x0b-\x1f\x7f].*)")


class TextCodec:
    """A checkpoint's tokenizer, as drafting needs it.

    Attributes:
        end_id: fills the canvas behind the report.
        filler_id: leaves a position of a gap empty; None for a model that has not learnt it.
        banned: ids that must not be written into a gap.

    Raises:
        UnusableCheckpoint: the tokenizer lacks a token that the card names.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, card: ModelCard, vocabulary_size: int) -> None:
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        for token in (card.end, card.filler):
            if token is not None and token not in vocabulary:
                raise UnusableCheckpoint(f"the model card names the token {token}, which the tokenizer lacks")
        self.end_id: int = vocabulary[card.end]
        self.filler_id: int | None = None if card.filler is None else vocabulary[card.filler]
        self._control = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._control |= {vocabulary[token] for token in (card.end, card.filler) if token is not None}
        not_text = {i for token, i in vocabulary.items() if _NOT_TEXT.fullmatch(token)}
        # The output layer may be wider than the vocabulary: those rows mean nothing.
        beyond = set(range(len(tokenizer), vocabulary_size))
        self.banned: tuple[int, ...] = tuple(sorted((self._control | not_text | beyond) - {self.filler_id}))

    def encode(self, text: str) -> Sequence[int]:
        """Ids that decode to `text` exactly; "<eos>" in it is five characters, not a token.

        Raises AnchorRefused where there are no such ids.
        """
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        if self.decode(ids) != text or not self._control.isdisjoint(ids):
            raise AnchorRefused(
                "a phrase does not come back unchanged from the model's tokenizer; it holds a character that the "
                "tokenizer replaces (such as U+2581), dictate it without"
            )
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The text of each id by itself; an empty string for the filler."""
        return ["" if i == self.filler_id else self.decode([i]) for i in ids]
