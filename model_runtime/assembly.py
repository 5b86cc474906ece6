"""A filled canvas → the report's sections: anchors are the caller's own strings, only gaps are decoded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from model_runtime.canvas import Anchor, Kind, Layout, Piece, Template
from model_runtime.draft_text import Author, SectionText, Span
from model_runtime.errors import AnchorMoved

Token = tuple[str, float]  # its text, "" for a filler, and the model's probability for it

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
            written = _trimmed([t for t in canvas[piece.start : piece.stop] if t[0]], left=not spans)
            spans.extend(_span(sentence) for sentence in _sentences(written))
        elif piece.kind is Kind.ANCHOR:
            if spans and spans[-1].kind is Author.MODEL:
                before = spans.pop()
                spans.append(Span(before.text + " ", Author.MODEL, before.confidence))
            elif spans:
                spans.append(Span(" ", Author.MODEL))
            spans.append(Span(piece.text, next(author, Author.ANCHOR)))
    return spans


def _trimmed(tokens: list[Token], *, left: bool) -> list[Token]:
    """Without white space at the right, where an anchor's own space or the section's end follows, and at the left."""
    while tokens and not tokens[-1][0].strip():
        tokens = tokens[:-1]
    while left and tokens and not tokens[0][0].strip():
        tokens = tokens[1:]
    if tokens:
        tokens = [*tokens[:-1], (tokens[-1][0].rstrip(), tokens[-1][1])]
    if left and tokens:
        tokens = [(tokens[0][0].lstrip(), tokens[0][1]), *tokens[1:]]
    return tokens


def _sentences(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Split behind a full stop that white space follows, whichever token holds the space."""
    sentence: list[Token] = []
    for token, following in zip_longest(tokens, tokens[1:]):
        sentence.append(token)
        text = "".join(t for t, _ in sentence)
        if following is None or (SENTENCE_END.search(text) and (text[-1].isspace() or following[0][0].isspace())):
            yield sentence
            sentence = []


def _span(sentence: Sequence[Token]) -> Span:
    likelihood = math.fsum(math.log(max(p, 1e-12)) for _, p in sentence)
    return Span("".join(text for text, _ in sentence), Author.MODEL, math.exp(likelihood / len(sentence)))
