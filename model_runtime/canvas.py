"""The report's template and the dictated phrases, laid on the model's canvas. Standard library only.

    FINDINGS:  [gap ........][anchor][gap ......]  IMPRESSION:  [gap .....]  end end
    fixed      free          fixed   free          fixed        free         fixed

Sections are read off by position, so the report's structure is right by construction. A report that is longer than one
canvas is laid on several, whole sections on each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from model_runtime.errors import AnchorDoesNotFit, AnchorRefused

FREE = -1  # in Layout.ids: a position that the model fills
SMALLEST_GAP = 4  # tokens; room for a full stop and one short word

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme designator, meaning (PS3.3 section 8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report: a heading that cannot move and a slot of `tokens` canvas positions beneath it."""

    name: str  # how anchors and interfaces name it, e.g. FINDINGS
    heading: str  # how it stands on the canvas, e.g. "FINDINGS:"
    code: Code
    tokens: int
    normal: str = ""  # what stands there when nothing is wrong
    required: bool = True


@dataclass(frozen=True, slots=True)
class Template:
    """An ordered list of sections for one kind of examination."""

    name: str
    title: Code
    sections: tuple[Section, ...]
    modalities: frozenset[str] = frozenset()
    body_parts: frozenset[str] = frozenset()
    procedures: frozenset[tuple[str, str]] = frozenset()  # procedure codes: value, coding scheme designator

    def section(self, name: str) -> Section:
        """Raises AnchorRefused where the template has no such section."""
        for section in self.sections:
            if section.name == name:
                return section
        known = ", ".join(s.name for s in self.sections)
        raise AnchorRefused(f"template {self.name} has no section {name!r}; its sections are {known}")


@dataclass(frozen=True, slots=True)
class Anchor:
    """A phrase that stands in the report byte for byte, in the order given within its section."""

    section: str  # "" where the radiologist named none: see placement
    text: str
    accepted: bool = False  # the model's own words, which the radiologist has let stand; else dictated


class Kind(StrEnum):
    HEADING = "heading"
    ANCHOR = "anchor"
    GAP = "gap"
    END = "end"


@dataclass(frozen=True, slots=True)
class Piece:
    """Canvas positions start..stop (stop not included) and what they are."""

    kind: Kind
    section: str
    start: int
    stop: int
    text: str = ""  # the caller's own string, for headings and anchors

    @property
    def tokens(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Layout:
    """A canvas. `ids`, shape (canvas length,): a token id at each clamped position, FREE where the model writes."""

    ids: tuple[int, ...]
    pieces: tuple[Piece, ...]

    @property
    def free(self) -> int:
        return sum(i == FREE for i in self.ids)

    def gaps(self, section: str) -> tuple[Piece, ...]:
        return tuple(p for p in self.pieces if p.kind is Kind.GAP and p.section == section)


def pages(template: Template, *, encode: Encode, canvas_length: int) -> tuple[Template, ...]:
    """The template in as few parts as fit a canvas each, sections whole and in order.

    Raises AnchorDoesNotFit where a section by itself is longer than the canvas.
    """
    parts: list[list[Section]] = [[]]
    room = canvas_length - 1  # at least one end token
    for section in template.sections:
        tokens = len(encode(_spaced(section.heading))) + section.tokens
        if tokens >= canvas_length:
            raise AnchorDoesNotFit(
                f"section {section.name} of template {template.name} needs {tokens + 1} tokens with its heading, the "
                f"canvas has {canvas_length}; shorten its slot"
            )
        if tokens > room:
            parts.append([])
            room = canvas_length - 1
        parts[-1].append(section)
        room -= tokens
    return tuple(replace(template, sections=tuple(part)) for part in parts)


def lay(
    template: Template,
    anchors: Sequence[Anchor],
    *,
    encode: Encode,
    canvas_length: int,
    end_id: int,
    needs: Mapping[str, Sequence[int]] | None = None,
    lengths: Mapping[str, Sequence[int]] | None = None,
) -> Layout:
    """Lay headings, anchors and gaps on a canvas of `canvas_length` tokens; what is behind the report is `end_id`.

    Anchors are encoded with a leading space, so that seams fall on token borders. What a section's slot has left is
    shared evenly by the gaps before, between and after its anchors, but for gaps that need more: `needs` has, for each
    gap of a section, the tokens of the text that it is to hold. Needs that are too many together are disregarded.

    A model without a filler cannot leave a slot half empty: `lengths` has the tokens of each gap of a section exactly,
    and the next section follows close behind.

    Raises:
        AnchorRefused: an anchor without text, with characters that no report can carry, for a section that
            the template lacks, or (from `encode`) one that the tokenizer cannot give back.
        AnchorDoesNotFit: anchors leave a gap of the section fewer than SMALLEST_GAP tokens,
            or the template itself is longer than the canvas.
    """
    for anchor in anchors:
        template.section(anchor.section)
        _check_sayable(anchor)
    ids: list[int] = []
    pieces: list[Piece] = []

    def put(kind: Kind, section: str, tokens: Sequence[int], text: str = "") -> None:
        pieces.append(Piece(kind, section, len(ids), len(ids) + len(tokens), text))
        ids.extend(tokens)

    for section in template.sections:
        put(Kind.HEADING, section.name, encode(_spaced(section.heading)), section.heading)
        said = [(a.text, encode(_spaced(a.text))) for a in anchors if a.section == section.name]
        gaps = (lengths or {}).get(section.name)
        if gaps is None:
            gaps = _shares(section, [len(t) for _, t in said], (needs or {}).get(section.name, ()))
        for gap, phrase in zip(gaps, [*said, None], strict=True):
            put(Kind.GAP, section.name, [FREE] * gap)
            if phrase is not None:
                put(Kind.ANCHOR, section.name, phrase[1], phrase[0])
    if len(ids) >= canvas_length:
        raise AnchorDoesNotFit(
            f"template {template.name} needs {len(ids) + 1} tokens, the canvas has {canvas_length}; shorten its slots"
        )
    put(Kind.END, "", [end_id] * (canvas_length - len(ids)))
    return Layout(tuple(ids), tuple(pieces))


def _check_sayable(anchor: Anchor) -> None:
    """Control characters frame messages (0x0B, 0x1C) and switch character sets (ESC); lone surrogates have no bytes."""
    if not anchor.text.strip():
        raise AnchorRefused(f"an anchor for section {anchor.section} is empty; dictate some words or leave it out")
    for character in anchor.text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\r\n":
            raise AnchorRefused(
                f"an anchor for section {anchor.section} holds U+{ord(character):04X}, which is no text; leave it out"
            )


def _spaced(text: str) -> str:
    return " " + text


def _shares(section: Section, anchor_lengths: Sequence[int], needs: Sequence[int]) -> list[int]:
    """Tokens for each gap of a section: before, between and after its anchors."""
    left, gaps = section.tokens - sum(anchor_lengths), len(anchor_lengths) + 1
    if left < gaps * SMALLEST_GAP:
        raise AnchorDoesNotFit(
            f"section {section.name}: {len(anchor_lengths)} dictated phrases take {sum(anchor_lengths)} of "
            f"{section.tokens} tokens, {gaps * SMALLEST_GAP} must stay free; shorten them or use another section"
        )
    least = [max(need, SMALLEST_GAP) for need in needs] if len(needs) == gaps else [0] * gaps
    if sum(least) > left:
        least = [0] * gaps
    return _levelled(least, left)


def _levelled(least: Sequence[int], total: int) -> list[int]:
    """`total` shared evenly, but each share at least its `least`; what remains goes to the first ones."""
    fixed: set[int] = set()
    while True:
        loose = [k for k in range(len(least)) if k not in fixed]
        share, rest = divmod(total - sum(least[k] for k in fixed), max(len(loose), 1))
        greedy = {k for k in loose if least[k] > share}
        if not greedy:
            shares = {k: share + (n < rest) for n, k in enumerate(loose)}
            return [shares.get(k, least[k]) for k in range(len(least))]
        fixed |= greedy
