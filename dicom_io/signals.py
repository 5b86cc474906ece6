"""What others announce of a study, in words: performed steps (MPPS, PS3.4 F), instance availability (IAN, PS3.4 R)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Kind(StrEnum):
    MPPS = "mpps"
    IAN = "ian"


class Progress(StrEnum):
    """Performed Procedure Step Status (0040,0252); a notification is completed from the first."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


@dataclass(frozen=True, slots=True)
class Signal:
    """Which images there are of its studies, as far as its sender knows: SOP Instance UIDs."""

    uid: str
    kind: Kind
    progress: Progress
    study_uids: frozenset[str]
    images: frozenset[str]
    withdrawn: frozenset[str] = frozenset()  # images that can no longer be had


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of a procedure step; None is as before."""

    progress: Progress | None
    images: frozenset[str] | None


class Outcome(Enum):
    KEPT = "kept"
    DUPLICATE = "there is one with this UID"
    UNKNOWN = "there is none with this UID"
    ENDED = "it is completed or discontinued, and final"
