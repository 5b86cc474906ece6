"""What a report's text asserts or denies of the findings, by a small negation-aware lexicon. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from model_runtime.findings import CHOICES, SIDES, Facts, is_positive

_DENIED = re.compile(r"\b(no|not|without|clear|free of|absent)\b", re.IGNORECASE)
_SIZE = re.compile(r"\b(small|large)\b", re.IGNORECASE)
_ZONE = re.compile(r"\b(upper|mid|lower)\b", re.IGNORECASE)
_BOTH = re.compile(r"\b(bilateral|both)\b", re.IGNORECASE)
_SIDE = re.compile(r"\b(right|left)\b", re.IGNORECASE)
_HEART = re.compile(r"\b(cardiomegaly|heart|cardiac)\b", re.IGNORECASE)
_HEART_VALUE = (
    ("normal", re.compile(r"\b(normal|not enlarged|no cardiomegaly)\b", re.IGNORECASE)),
    ("mild", re.compile(r"\bmild(ly)?\b", re.IGNORECASE)),
    ("marked", re.compile(r"\bmarked(ly)?\b", re.IGNORECASE)),
)
# Which findings a word speaks of; a more general word also speaks of what lies under it, but only to deny it.
_WORDS = {
    "effusion": re.compile(r"\beffusions?\b", re.IGNORECASE),
    "pneumothorax": re.compile(r"\bpneumothora(x|ces)\b", re.IGNORECASE),
    "nodule": re.compile(r"\bnodul(e|es|ar)\b", re.IGNORECASE),
    "consolidation": re.compile(r"\b(consolidation|pneumonia|airspace opacity)\b", re.IGNORECASE),
    "endotracheal_tube": re.compile(r"\bendotracheal tube\b", re.IGNORECASE),
    "central_line": re.compile(r"\bcentral (venous )?(line|catheter)\b", re.IGNORECASE),
}
_DENIED_TOGETHER = (
    (re.compile(r"\bpleural spaces\b", re.IGNORECASE), ("effusion", "pneumothorax")),
    (re.compile(r"\b(lungs? (is|are) clear|clear lungs|focal opacity)\b", re.IGNORECASE), ("consolidation", "nodule")),
    (re.compile(r"\b(lines|tubes|support devices)\b", re.IGNORECASE), ("endotracheal_tube", "central_line")),
    (re.compile(r"\bno acute\b(?!.*\bbon)", re.IGNORECASE), ("effusion", "pneumothorax", "consolidation")),
)


def claims(text: str) -> dict[str, list[str]]:
    """What the text asserts or denies: for each finding it speaks of, its values in the order said."""
    said: dict[str, list[str]] = {}
    for sentence in re.split(r"(?<=[.;])\s+|\n", text):
        for finding, value in _claims_of(sentence):
            said.setdefault(finding, []).append(value)
    return said


def facts_of(text: str) -> Facts:
    """The findings of a report; what it does not speak of is normal, and a finding once asserted is there."""
    values: dict[str, str] = {}
    for finding, said in claims(text).items():
        values[finding] = next((value for value in said if is_positive(finding, value)), said[0])
    return Facts(**values)


def contradictions(text: str) -> set[str]:
    """Findings to which the text gives more than one value."""
    return {finding for finding, said in claims(text).items() if len(set(said)) > 1}


def _claims_of(sentence: str) -> Iterator[tuple[str, str]]:
    denied = _DENIED.search(sentence) is not None
    if _HEART.search(sentence):
        for value, pattern in _HEART_VALUE:
            if pattern.search(sentence):
                yield "heart", value
                break
    named = [kind for kind, pattern in _WORDS.items() if pattern.search(sentence)]
    if denied:
        named += [k for pattern, kinds in _DENIED_TOGETHER if pattern.search(sentence) for k in kinds if k not in named]
    for kind in named:
        for finding in _findings(kind, sentence):
            if denied:
                yield finding, CHOICES[finding][0]
            elif stated := _value(kind, sentence):
                yield finding, stated


def _findings(kind: str, sentence: str) -> list[str]:
    if kind in CHOICES:
        return [kind]
    side = _SIDE.search(sentence)
    sides = SIDES if side is None or _BOTH.search(sentence) else (side[0].lower(),)
    return [f"{kind}_{each}" for each in sides]


def _value(kind: str, sentence: str) -> str | None:
    pattern = {"effusion": _SIZE, "nodule": _ZONE, "consolidation": _ZONE, "central_line": _SIDE}.get(kind)
    if pattern is None:
        return "present"
    found = pattern.search(sentence)
    return None if found is None else found[0].lower()
