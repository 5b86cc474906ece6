"""The words of storage commitment (PS3.4 J): of which instances somebody asks whether they are kept, and the answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class FailureReason(IntEnum):
    """Failure Reason (0008,1197) of an instance for which nobody vouches (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_NOT_SUPPORTED = 0x0122
    CLASS_CONFLICT = 0x0119
    DUPLICATE_TRANSACTION = 0x0131
    RESOURCE_LIMITATION = 0x0213


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance, by its UIDs."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Request:
    """Whether these are kept for good."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """An instance for which nobody vouches. `reason` may be a number that the standard does not know."""

    reference: Reference
    reason: int

    def __str__(self) -> str:
        known = {reason.value: f" {reason.name.replace('_', ' ').lower()}" for reason in FailureReason}
        return f"0x{self.reason:04X}{known.get(self.reason, '')}"


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to the request of that transaction: these are kept, those are not."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[Failed, ...] = ()
