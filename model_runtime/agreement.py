"""The rest of a report must not say the opposite of what was dictated: a lexicon check on both polarities.

The model is drawn towards what it sees, and a phrase that the images contradict does not always win. What it wrote
against such a phrase is struck out, and the draft says what was struck. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from model_runtime.canvas import Anchor
from model_runtime.claims import claims
from model_runtime.draft_text import Author, SectionText, Span, Struck

Stated = dict[str, set[str]]  # findings that phrases speak of, and the values that they give them


def stated(anchors: Iterable[Anchor]) -> Stated:
    """What the anchors together assert or deny; where they disagree among themselves, either may be said again."""
    values: Stated = {}
    for anchor in anchors:
        for finding, said in claims(anchor.text).items():
            values.setdefault(finding, set()).update(said)
    return values


def opposes(text: str, by_anchors: Stated) -> bool:
    """Whether some sentence gives a finding that the anchors speak of another value."""
    return any(finding in by_anchors and not by_anchors[finding].issuperset(s) for finding, s in claims(text).items())


def strike(sections: Sequence[SectionText], by_anchors: Stated) -> tuple[tuple[SectionText, ...], tuple[Struck, ...]]:
    """The sections without the model's sentences that oppose the anchors, and those sentences."""
    kept: list[SectionText] = []
    struck: list[Struck] = []
    for section in sections:
        spans: list[Span] = []
        for span in section.spans:
            if span.kind is not Author.MODEL or not opposes(span.text, by_anchors):
                spans.append(span if spans or span.kind is not Author.MODEL else _first(span))
                continue
            struck.append(Struck(section.name, span.text.strip()))
            if span.text.endswith(" ") and spans:  # it held the space before an anchor
                spans.append(Span(" ", Author.MODEL))
        kept.append(replace(section, spans=tuple(span for span in spans if span.text)))
    return tuple(kept), tuple(struck)


def _first(span: Span) -> Span:
    return replace(span, text=span.text.lstrip())
