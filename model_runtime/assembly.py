"""A filled canvas → the report's sections: anchors are the caller's own strings, only gaps are decoded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import NamedTuple

from model_runtime.canvas import Anchor, Kind, Layout, Piece, Template
from model_runtime.draft_text import Author, SectionText, Span
from model_runtime.errors import AnchorMoved


class Token(NamedTuple):
    """Of a filled canvas."""

    text: str  # "" for a filler
    probability: float  # the model's
    losses: Sequence[float] = ()  # nats, without each of the images: see references


SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s*$")


def assemble(
    template: Template, anchors: Sequence[Anchor], layout: Layout, canvas: Sequence[Token]
) -> tuple[SectionText, ...]:
    """The sections of a canvas that `layout` describes, each model span one sentence with its confidence.

    One space stands before an anchor that does not begin its section, and white space that the model wrote at a
    section's border is dropped; nothing else is added or taken away.

    Raises AnchorMoved where the sections' anchors are not `anchors`, byte for byte and in order.
    """
    sections = tuple(
        SectionText(
            name=section.name,
            heading=section.heading,
            code=section.code,
            spans=tuple(
                _spans(
                    [p for p in layout.pieces if p.section == section.name],
                    [Author.ACCEPTED if a.accepted else Author.ANCHOR for a in anchors if a.section == section.name],
                    canvas,
                )
            ),
        )
        for section in template.sections
    )
    for section in sections:
        said = [span.text.encode() for span in section.spans if span.kind is not Author.MODEL]
        if said != [anchor.text.encode() for anchor in anchors if anchor.section == section.name]:
            raise AnchorMoved(f"section {section.name} does not hold its anchors as dictated; nothing is shown")
    return sections


def missing(template: Template, sections: Sequence[SectionText]) -> tuple[str, ...]:
    """The names of required sections that came out without text."""
    required = {section.name for section in template.sections if section.required}
    return tuple(section.name for section in sections if section.name in required and not section.text.strip())


def _spans(section: Sequence[Piece], authors: Sequence[Author], canvas: Sequence[Token]) -> list[Span]:
    """`authors` are those of the section's anchors, in order."""
    spans: list[Span] = []
    author = iter(authors)
    for piece in section:
        if piece.kind is Kind.GAP:
            written = _trimmed([t for t in canvas[piece.start : piece.stop] if t.text], left=not spans)
            spans.extend(_span(sentence) for sentence in _sentences(written))
        elif piece.kind is Kind.ANCHOR:
            if spans and spans[-1].kind is Author.MODEL:
                before = spans.pop()
                spans.append(replace(before, text=before.text + " "))
            elif spans:
                spans.append(Span(" ", Author.MODEL))
            spans.append(Span(piece.text, next(author, Author.ANCHOR)))
    return spans


def _trimmed(tokens: list[Token], *, left: bool) -> list[Token]:
    """Without white space at the right, where an anchor's own space or the section's end follows, and at the left."""
    while tokens and not tokens[-1].text.strip():
        tokens = tokens[:-1]
    while left and tokens and not tokens[0].text.strip():
        tokens = tokens[1:]
    if tokens:
        tokens = [*tokens[:-1], tokens[-1]._replace(text=tokens[-1].text.rstrip())]
    if left and tokens:
        tokens = [tokens[0]._replace(text=tokens[0].text.lstrip()), *tokens[1:]]
    return tokens


def _sentences(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Split behind a full stop that white space follows, whichever token holds the space."""
    sentence: list[Token] = []
    for token, following in zip_longest(tokens, tokens[1:]):
        sentence.append(token)
        text = "".join(each.text for each in sentence)
        if following is None or (SENTENCE_END.search(text) and (text[-1].isspace() or following.text[0].isspace())):
            yield sentence
            sentence = []


def _span(sentence: Sequence[Token]) -> Span:
    likelihood = math.fsum(math.log(max(token.probability, 1e-12)) for token in sentence)
    text = "".join(token.text for token in sentence)
    return Span(text, Author.MODEL, math.exp(likelihood / len(sentence)), _image([token.losses for token in sentence]))


def _image(losses: Sequence[Sequence[float]]) -> int | None:
    """The number, from 1, of the image without which the words lose most; None where they lose by none."""
    of_each = [math.fsum(each) for each in zip(*losses, strict=True)]
    most = max(of_each, default=0.0)
    return of_each.index(most) + 1 if most > 0 or len(of_each) == 1 else None
