"""Dictated phrases put into a report that was written without them: the sentence on the same finding gives way.

What is left to a model that writes from left to right and was told nothing. The other sentences stay as they were,
whether they agree with the phrase or not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from model_runtime.canvas import Anchor
from model_runtime.contradictions.claims import claims
from model_runtime.draft_text import Author, SectionText, Span
from model_runtime.errors import AnchorMoved

_ALIKE = 0.5  # of the words that two sentences have, both have


def splice(sections: Sequence[SectionText], anchors: Sequence[Anchor]) -> tuple[SectionText, ...]:
    """The sections with the anchors at sentence borders, in order.

    Raises AnchorMoved where a section does not hold its anchors, byte for byte and in order.
    """
    return tuple(_spliced(section, [a.text for a in anchors if a.section == section.name]) for section in sections)


def _spliced(section: SectionText, phrases: Sequence[str]) -> SectionText:
    matches = _matches(phrases, section.spans)
    items: list[Span] = []
    for number, sentence in enumerate((*section.spans, None)):
        items += [
            Span(p, Author.ANCHOR) for p, at in zip(phrases, _places(matches, section), strict=True) if at == number
        ]
        if sentence is not None and number not in matches:
            items.append(sentence)
    spans = tuple(_joined(items))
    if [span.text.encode() for span in spans if span.kind is Author.ANCHOR] != [p.encode() for p in phrases]:
        raise AnchorMoved(f"section {section.name} does not hold its anchors as dictated; nothing is shown")
    return replace(section, spans=spans)


def _matches(phrases: Sequence[str], sentences: Sequence[Span]) -> list[int | None]:
    """The sentence that each phrase takes the place of, each behind the one before; None where none is like it."""
    matches: list[int | None] = []
    first = 0
    for phrase in phrases:
        likeness = {k: _likeness(phrase, sentences[k].text) for k in range(first, len(sentences))}
        best = max(likeness, key=likeness.__getitem__, default=None)
        if best is None or likeness[best] < _ALIKE:
            matches.append(None)
        else:
            matches.append(best)
            first = best + 1
    return matches


def _places(matches: Sequence[int | None], section: SectionText) -> list[int]:
    """Before which sentence each phrase stands: its match, else that of the next phrase, else the section's end."""
    places: list[int] = []
    place = len(section.spans)
    for match in reversed(matches):
        place = place if match is None else match
        places.insert(0, place)
    return places


def _likeness(one: str, other: str) -> float:
    """At least 1 where both speak of a finding, and the share of common words."""
    words, others = (set(re.findall(r"\w+", text.lower())) for text in (one, other))
    common = len(words & others) / max(len(words | others), 1)
    return common + (not claims(one).keys().isdisjoint(claims(other)))


def _joined(items: Sequence[Span]) -> list[Span]:
    """One space between two of them, as the model's; anchors are left as they are."""
    spans: list[Span] = []
    for item in items:
        if item.kind is Author.MODEL:
            spans.append(replace(item, text=(" " if spans else "") + item.text.strip()))
            continue
        if spans and spans[-1].kind is Author.MODEL:
            spans[-1] = replace(spans[-1], text=spans[-1].text + " ")
        elif spans:
            spans.append(Span(" ", Author.MODEL))
        spans.append(item)
    return spans
