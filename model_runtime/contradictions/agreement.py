"""The rest of a report must not say the opposite of what was dictated: a lexicon check on both polarities.

The model is drawn towards what it sees, and a phrase that the images contradict does not always win. What it wrote
against such a phrase is struck out, and the draft says what was struck. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from model_runtime.contradictions.claims import claims
from model_runtime.contradictions.sentences import is_models, sentences_of, without_space_before
from model_runtime.draft_text import Author, SectionText, Span, Struck

Stated = dict[str, set[str]]  # findings that phrases speak of, and the values that they give them


def stated(phrases: Iterable[str]) -> Stated:
    """What phrases together assert or deny; where they disagree among themselves, either may be said again."""
    values: Stated = {}
    for phrase in phrases:
        for finding, said in claims(phrase).items():
            values.setdefault(finding, set()).update(said)
    return values


def opposes(text: str, by_radiologist: Stated) -> bool:
    """Whether some sentence gives a finding that they speak of another value."""
    return any(
        finding in by_radiologist and not by_radiologist[finding].issuperset(s) for finding, s in claims(text).items()
    )


def strike(sections: Sequence[SectionText]) -> tuple[tuple[SectionText, ...], tuple[Struck, ...]]:
    """The sections without the model's sentences that oppose the radiologist's, and those sentences.

    A sentence that holds any of the radiologist's words is the radiologist's, whoever wrote the rest: "No" before a
    dictated "right effusion" decides what was meant. Only sentences that are all the model's are struck.
    """
    sentences = {section.name: list(sentences_of(section.spans)) for section in sections}
    by_radiologist = stated(
        "".join(span.text for span in sentence)
        for each in sentences.values()
        for sentence in each
        if not is_models(sentence)
    )
    kept: list[SectionText] = []
    struck: list[Struck] = []
    for section in sections:
        spans: list[Span] = []
        for sentence in sentences[section.name]:
            text = "".join(span.text for span in sentence)
            if not is_models(sentence) or not opposes(text, by_radiologist):
                spans += sentence if spans or not is_models(sentence) else without_space_before(sentence)
                continue
            struck.append(Struck(section.name, text.strip()))
            if text.endswith(" ") and spans:  # it held the space before an anchor
                spans.append(Span(" ", Author.MODEL))
        kept.append(replace(section, spans=tuple(span for span in spans if span.text)))
    return tuple(kept), tuple(struck)
