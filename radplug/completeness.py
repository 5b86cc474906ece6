"""When a study is complete: pure rules on what is here, what others have announced, and what the PACS counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dicom_io.signals import Kind, Progress


class Because(StrEnum):
    """Why a study counts as complete."""

    MPPS = "mpps"
    IAN = "ian"
    COUNT = "count"
    QUIET = "quiet time"
    TIME_OUT = "time-out"

    @property
    def in_words(self) -> str:
        return {
            Because.MPPS: "all images that the modality announced are here (MPPS)",
            Because.IAN: "all images that the archive announced are here (IAN)",
            Because.COUNT: "the PACS counts no more of it than are here",
            Because.QUIET: "nothing more has come (quiet time)",
            Because.TIME_OUT: "it has been open for as long as it may be (time-out)",
        }[self]


@dataclass(frozen=True, slots=True)
class Announced:
    """A signal, compared with what is here of any study."""

    kind: Kind
    progress: Progress
    calling_ae: str
    received_at: datetime
    images: frozenset[str]  # that it has named and nobody has withdrawn
    missing: frozenset[str]  # of these

    @property
    def here(self) -> int:
        return len(self.images) - len(self.missing)

    @property
    def in_words(self) -> str:
        progress = f", {self.progress.lower()}" if self.kind is Kind.MPPS else ""
        return (
            f"{self.kind.upper()} from {self.calling_ae}{progress}: {self.here} of {len(self.images)} images are here."
        )


@dataclass(frozen=True, slots=True)
class Arrived:
    """What is here of a study that is still open."""

    images: frozenset[str]
    instances: int  # of any kind
    from_images: int  # instances of series that hold images, as an archive would count them
    series: int  # of images
    expected_series: int  # as the site expects of such a study; 0: any number
    last_at: datetime
    until: datetime  # then it closes in any case


@dataclass(frozen=True, slots=True)
class Counted:
    """What a PACS says that it has of a study, less what we have sent it."""

    pacs: str  # its name
    instances: int
    images_alone: bool  # whether only series that hold images are counted


@dataclass(frozen=True, slots=True)
class Complete:
    because: Because
    lacks: str = ""  # what is missing all the same, in words


@dataclass(frozen=True, slots=True)
class Waits:
    until: datetime
    lacks: str = ""  # what for, in words; empty: for the quiet time alone


def by_signals(arrived: Arrived, signals: Sequence[Announced], now: datetime) -> Complete | Waits | None:
    """What signals say of a study; None where none says anything, or more is here than was named."""
    named = [signal for signal in signals if signal.images]
    if lacks := _lacks(signals):
        return _until_time_out(arrived, now, lacks)
    if named and arrived.images <= frozenset[str]().union(*(signal.images for signal in named)):
        return Complete(Because(max(named, key=lambda signal: len(signal.images)).kind))
    return None


def by_quiet(arrived: Arrived, quiet: timedelta, now: datetime) -> Complete | Waits:
    """What the time that has passed says of a study, and the number of its series."""
    if arrived.series < arrived.expected_series:
        lacks = f"{arrived.expected_series - arrived.series} of {arrived.expected_series} expected series"
        return _until_time_out(arrived, now, lacks)
    if now < min(arrived.last_at + quiet, arrived.until):
        return Waits(min(arrived.last_at + quiet, arrived.until))
    return Complete(Because.QUIET if now >= arrived.last_at + quiet else Because.TIME_OUT)


def by_count(arrived: Arrived, counted: Counted, again: timedelta, now: datetime) -> Complete | Waits:
    """What a PACS's count says of a study that is quiet; where more is there, it is asked `again` later."""
    here = arrived.from_images if counted.images_alone else arrived.instances
    if here >= counted.instances:
        return Complete(Because.COUNT)
    lacks = f"{counted.instances - here} of {counted.instances} instances that {counted.pacs} has"
    waits = _until_time_out(arrived, now, lacks)
    return Waits(min(now + again, arrived.until), lacks) if isinstance(waits, Waits) else waits


def _lacks(signals: Sequence[Announced]) -> str:
    missing = frozenset[str]().union(*(signal.missing for signal in signals))
    if missing:
        named = frozenset[str]().union(*(signal.images for signal in signals))
        by = " and ".join(sorted({signal.kind.upper() for signal in signals if signal.missing}))
        return f"{len(missing)} of {len(named)} announced images ({by})"
    if any(signal.progress is Progress.IN_PROGRESS for signal in signals):
        return "the end of a procedure step that is in progress (MPPS)"
    return ""


def _until_time_out(arrived: Arrived, now: datetime, lacks: str) -> Complete | Waits:
    return Waits(arrived.until, lacks) if now < arrived.until else Complete(Because.TIME_OUT, lacks)
