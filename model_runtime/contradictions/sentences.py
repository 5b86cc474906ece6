"""A section's spans as sentences, and whose each is. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from model_runtime.assembly import SENTENCE_END
from model_runtime.draft_text import Author, Span


def is_models(sentence: Sequence[Span]) -> bool:
    return all(span.kind is Author.MODEL for span in sentence)


def sentences_of(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Spans that make a sentence together; a dictated phrase without a full stop ends where a capital follows."""
    sentence: list[Span] = []
    for span in spans:
        if sentence and _ends(sentence, span):
            yield sentence
            sentence = []
        sentence.append(span)
    if sentence:
        yield sentence


def _ends(sentence: Sequence[Span], following: Span) -> bool:
    if SENTENCE_END.search("".join(span.text for span in sentence)):
        return True
    return sentence[-1].kind is not Author.MODEL and following.text.lstrip()[:1].isupper()


def without_space_before(sentence: Sequence[Span]) -> list[Span]:
    return [replace(sentence[0], text=sentence[0].text.lstrip()), *sentence[1:]]
