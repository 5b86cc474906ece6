"""How drafts fare with the people who read them: counted by template, model and adapter. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import fmean, median

from model_runtime.draft_text import Author, DraftText
from radplug.desk import Ending
from radplug.differences import Change, difference

TOLD_FROM = 3  # cases in which the same sentence was edited: one that only a few have could be about a person


@dataclass(frozen=True, slots=True)
class Kind:
    """What drafted."""

    template: str
    model: str
    adapter: str  # the beginning of its fingerprint; empty: none


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one case's draft: no patient, no identifier, and no text but the model's own sentences."""

    kind: Kind
    ending: Ending | None  # None: nobody has ended it yet
    reason: str
    anchors: int
    changed: Mapping[str, float]  # share of words that went or came, by section
    edited: tuple[str, ...]  # sentences of the model's that the end has no more
    arrived_at: datetime
    drafted_at: datetime
    opened_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Group:
    """The fates of one kind. Medians, in seconds where they are times; None of nothing."""

    kind: Kind
    drafts: int
    opened: int
    accepted: int
    discarded: int
    anchors: float | None  # mean, of those ended
    changed: Mapping[str, float]
    to_draft: float | None
    to_end: float | None

    @property
    def acceptance(self) -> float | None:
        ended = self.accepted + self.discarded
        return self.accepted / ended if ended else None


def changed_words(old: DraftText, new: DraftText) -> dict[str, float]:
    """Of each section, the words that went and came, as a share of the words of both texts."""
    shares = {}
    for section in difference(old.sections, new.sections):
        counts = Counter[Change]()
        for piece in section.pieces:
            counts[piece.change] += len(piece.text.split())
        both = 2 * counts[Change.SAME] + counts[Change.GONE] + counts[Change.NEW]
        shares[section.heading.rstrip(":")] = (counts[Change.GONE] + counts[Change.NEW]) / both if both else 0.0
    return shares


def edited_sentences(old: DraftText, new: DraftText) -> tuple[str, ...]:
    """The model's sentences in `old` that no section of `new` has."""
    stands = " ".join(section.text for section in new.sections)
    model = (s.text.strip() for section in old.sections for s in section.spans if s.kind is Author.MODEL)
    return tuple(dict.fromkeys(sentence for sentence in model if sentence and sentence not in stands))


def groups(fates: Sequence[Fate]) -> list[Group]:
    kinds = sorted({fate.kind for fate in fates}, key=lambda kind: (kind.template, kind.model, kind.adapter))
    return [_group(kind, [fate for fate in fates if fate.kind == kind]) for kind in kinds]


def reasons(fates: Iterable[Fate]) -> list[tuple[str, int]]:
    """Why drafts were discarded, most frequent first."""
    return Counter(fate.reason for fate in fates if fate.ending is Ending.DISCARDED).most_common()


def most_edited(fates: Iterable[Fate], most: int = 20) -> list[tuple[str, int]]:
    """Sentences with the number of cases in which they were edited away."""
    counted = Counter(sentence for fate in fates for sentence in fate.edited).most_common()
    return [(sentence, cases) for sentence, cases in counted if cases >= TOLD_FROM][:most]


def by_day(fates: Iterable[Fate]) -> list[tuple[date, int, int]]:
    """(day, accepted, discarded), for each day on which something ended."""
    ended = [(fate.ended_at.date(), fate.ending) for fate in fates if fate.ended_at]
    counted = Counter(ended)
    return [
        (day, counted[day, Ending.ACCEPTED], counted[day, Ending.DISCARDED])
        for day in sorted({day for day, _ in ended})
    ]


def _group(kind: Kind, fates: Sequence[Fate]) -> Group:
    ended = [fate for fate in fates if fate.ending]
    accepted = [fate for fate in ended if fate.ending is Ending.ACCEPTED]
    sections = dict.fromkeys(name for fate in accepted for name in fate.changed)
    times = [(fate.ended_at - fate.opened_at).total_seconds() for fate in ended if fate.ended_at and fate.opened_at]
    return Group(
        kind=kind,
        drafts=len(fates),
        opened=sum(fate.opened_at is not None for fate in fates),
        accepted=len(accepted),
        discarded=len(ended) - len(accepted),
        anchors=fmean(fate.anchors for fate in ended) if ended else None,
        changed={name: median(f.changed[name] for f in accepted if name in f.changed) for name in sections},
        to_draft=median((fate.drafted_at - fate.arrived_at).total_seconds() for fate in fates) if fates else None,
        to_end=median(times) if times else None,
    )
