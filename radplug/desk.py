"""A case under a radiologist's hands: what is pinned and struck, and the text that came of each edit.

Pure rules. An edit never changes another: undoing goes back to the one before it, and redoing forward again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from model_runtime.draft_text import Author, DraftText, Placement, SectionText, Span, Struck
from radplug.anchors import check


class BadEdit(Exception):
    """The edit cannot be made; the text says why, without what was dictated."""


class StaleEdit(Exception):
    """Somebody else has edited the case since; theirs must be seen first."""


class Ending(StrEnum):
    """What somebody has done with a draft. Neither verifies nor signs anything."""

    ACCEPTED = "accepted"  # it stands, as a draft still, and goes to every destination once more
    DISCARDED = "discarded"


class Flaw(StrEnum):
    """Why a draft is thrown away."""

    WRONG = "findings are wrong"
    MISSING = "findings are missing"
    OTHER_STUDY = "it is about another study or patient"
    WORDING = "its wording is of no use"
    NOT_NEEDED = "no draft is wanted here"


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand in the report byte for byte, in this order within their section."""

    id: str
    section: str
    text: str
    source: str  # typed, pinned, dictated, or a dictation system's name
    accepted: bool = False  # the model's own words, which the radiologist has pinned


@dataclass(frozen=True, slots=True)
class Edit:
    """One state of a case's report. `text` is None while the gaps are drafted anew."""

    case_id: str
    number: int  # 0 is the draft as it came
    parent: int  # the edit that it was made on
    version: int  # of the draft that it all began with
    by: str
    at: datetime
    what: str  # pinned, unpinned, moved, struck: for people and for statistics
    phrases: tuple[Phrase, ...]
    struck: tuple[str, ...]  # sentences that must not come back
    text: DraftText | None
    refused: str = ""  # why there is no text, and will be none


@dataclass(frozen=True, slots=True)
class Frame:
    """How far the gaps of an edit are."""

    edit: int
    step: int
    sections: tuple[tuple[str, str], ...]  # name and text


@dataclass(frozen=True, slots=True)
class Desk:
    """What is before whoever has the case open."""

    edit: Edit
    shown: DraftText  # the edit's own, or that of the last edit before it that has one
    undo: int | None  # the edit that undoing leads to
    redo: int | None
    ending: Ending | None = None  # of the edit that is shown
    offer: int | None = None  # a later draft, from late images, that the edit knows nothing of
    revision: int = 0  # grows with every change of what is shown, also where undoing goes back to an earlier edit


class Sign(NamedTuple):
    """What an open page watches of its case."""

    version: int  # of the case's latest draft
    state: str  # of the case
    revision: int  # of the desk
    drafting: bool
    frame: str | None  # how far the gaps are, in JSON


def phrases_of(text: DraftText, new_id: Sequence[str]) -> tuple[Phrase, ...]:
    """The dictated phrases of a draft as it came; `new_id` are as many ids as it can have spans."""
    ids = iter(new_id)
    return tuple(
        Phrase(next(ids), section.name, span.text, "dictated", span.kind is Author.ACCEPTED)
        for section in text.sections
        for span in section.spans
        if span.kind in (Author.ANCHOR, Author.ACCEPTED)
    )


def pinned(phrases: Sequence[Phrase], new: Phrase, after: str | None, sections: Sequence[str]) -> tuple[Phrase, ...]:
    """With one more: behind the phrase `after`; "" for the section's first place, None for its last.

    A phrase without a section is given one by the model. Raises BadEdit where there is no such phrase or section, or
    the words cannot stand in a report.
    """
    if new.section and new.section not in sections:
        raise BadEdit(f"the report has no section {new.section!r}; its sections are {', '.join(sections)}")
    if reason := check(new.text):
        raise BadEdit(reason)
    if after is None:
        return (*phrases, new)
    if after == "":
        return (new, *phrases)
    place = _place(phrases, after)
    if phrases[place].section != new.section:
        raise BadEdit("the phrase that it should follow stands in another section")
    return (*phrases[: place + 1], new, *phrases[place + 1 :])


def unpinned(phrases: Sequence[Phrase], phrase_id: str) -> tuple[Phrase, ...]:
    place = _place(phrases, phrase_id)
    return (*phrases[:place], *phrases[place + 1 :])


def moved(
    phrases: Sequence[Phrase], phrase_id: str, section: str, after: str | None, sections: Sequence[str]
) -> tuple[Phrase, ...]:
    """With a phrase in another place, or another section; see `pinned`."""
    phrase = phrases[_place(phrases, phrase_id)]
    if after == phrase_id:
        raise BadEdit("a phrase cannot follow itself")
    return pinned(unpinned(phrases, phrase_id), replace(phrase, section=section), after, sections)


def taken_over(offered: tuple[Phrase, ...], own: Sequence[Phrase], sections: Sequence[str]) -> tuple[Phrase, ...]:
    """The phrases of a later draft with those that somebody has pinned in the one before, each where it was."""
    for phrase in own:
        if phrase.section in sections and (phrase.section, phrase.text) not in {(p.section, p.text) for p in offered}:
            offered = pinned(offered, phrase, None, sections)
    return offered


def spans_of(section: SectionText, phrases: Sequence[Phrase]) -> Iterator[tuple[Span, str | None]]:
    """A section's spans, each with the id of the phrase that it is, where it still is one."""
    left = [phrase for phrase in phrases if phrase.section == section.name]
    for span in section.spans:
        it = next((p for p in left if span.kind is not Author.MODEL and p.text == span.text), None)
        if it:
            left.remove(it)
        yield span, it.id if it else None


def placed(phrases: Sequence[Phrase], placements: Sequence[Placement]) -> tuple[Phrase, ...]:
    """With the sections that the model has chosen for those that had none."""
    chosen = {placement.phrase: placement.section for placement in placements}
    return tuple(p if p.section else replace(p, section=chosen.get(p.text, "")) for p in phrases)


def without_struck(text: DraftText, struck: Sequence[str]) -> DraftText:
    """The text without sentences of the model's that the radiologist has struck; pinned words stay."""
    if not struck:
        return text
    unwanted = {_plain(sentence) for sentence in struck}
    gone: list[Struck] = []
    sections = []
    for section in text.sections:
        spans = [span for span in section.spans if span.kind is not Author.MODEL or _plain(span.text) not in unwanted]
        gone += [Struck(section.name, span.text.strip()) for span in section.spans if span not in spans]
        sections.append(replace(section, spans=_begun_without_space(spans)))
    return replace(text, sections=tuple(sections), struck=(*text.struck, *gone))


def without(text: str, struck: Sequence[str]) -> str:
    """A canvas that is still denoised, without what was struck; its sentences are not told apart yet."""
    for sentence in struck:
        text = text.replace(sentence, "")
    return text


def names(sections: Sequence[SectionText]) -> list[str]:
    return [section.name for section in sections]


def _begun_without_space(spans: Sequence[Span]) -> tuple[Span, ...]:
    if spans and spans[0].kind is Author.MODEL:
        return (replace(spans[0], text=spans[0].text.lstrip()), *spans[1:])
    return tuple(spans)


def _plain(sentence: str) -> str:
    return " ".join(sentence.casefold().split()).rstrip(".")


def _place(phrases: Sequence[Phrase], phrase_id: str) -> int:
    for place, phrase in enumerate(phrases):
        if phrase.id == phrase_id:
            return place
    raise BadEdit("there is no such phrase any more")
