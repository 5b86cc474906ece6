"""What is said of instances that came by STOW-RS: the Store Instances Response (PS3.18 10.5.3, I.2), both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

MEDIA_TYPE = "application/dicom+json"


class FailureReason(IntEnum):
    """Failure Reason (0008,1197) of an instance that was not stored (PS3.18 I.2.2)."""

    PROCESSING_FAILURE = 0x0110
    CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH = 0xA900  # the data set and what was said of it
    CANNOT_UNDERSTAND = 0xC000
    SYNTAX_NOT_SUPPORTED = 0xC122


MEANINGS: Final[Mapping[int, str]] = MappingProxyType(
    {
        FailureReason.CLASS_NOT_SUPPORTED: "its SOP Class is not taken",
        FailureReason.OUT_OF_RESOURCES: "the disk is below its watermark, or full; send again later",
        FailureReason.DOES_NOT_MATCH: "it is of another study than the request names, or not what its header says",
        FailureReason.CANNOT_UNDERSTAND: "it is no DICOM file, or lacks what identifies it",
        FailureReason.SYNTAX_NOT_SUPPORTED: "its transfer syntax is not taken",
    }
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance; its UIDs are empty where it could not be read."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    failure: int | None = None  # None: it is stored
    warning: int | None = None


def status_of(outcomes: Sequence[Outcome]) -> int:
    """The HTTP status of the answer: all stored, some, or none; 503 where none is for want of room alone."""
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    if not failures:
        return 200
    if len(failures) < len(outcomes):
        return 202
    return 503 if set(failures) == {FailureReason.OUT_OF_RESOURCES} else 409


def write_answer(outcomes: Sequence[Outcome]) -> bytes:
    """The answer's body, in DICOM's JSON."""
    answer = Dataset()
    stored = [_item(outcome) for outcome in outcomes if outcome.failure is None]
    failed = [_item(outcome) for outcome in outcomes if outcome.failure is not None and outcome.sop_instance_uid]
    nameless = [_item(outcome) for outcome in outcomes if outcome.failure is not None and not outcome.sop_instance_uid]
    answer.RetrieveURL = ""  # what is sent to us is not handed out again
    if stored:
        answer.ReferencedSOPSequence = Items(stored)
    if failed:
        answer.FailedSOPSequence = Items(failed)
    if nameless:
        answer.OtherFailuresSequence = Items(nameless)
    return json.dumps(answer.to_json_dict()).encode()


def read_answer(body: bytes, sop_instance_uid: str) -> Outcome | None:
    """What an answer says of one instance; None where it does not speak of it, or is not in DICOM's JSON."""
    try:
        answer = Dataset.from_json(body.decode("utf-8"))
        failed = [(item, int(item.get("FailureReason", 0))) for item in answer.get("FailedSOPSequence") or ()]
        stored = [(item, None) for item in answer.get("ReferencedSOPSequence") or ()]
        for item, failure in (*failed, *stored):
            if item.get("ReferencedSOPInstanceUID") == sop_instance_uid:
                warning = item.get("WarningReason")
                named = str(item.get("ReferencedSOPClassUID", ""))
                return Outcome(named, sop_instance_uid, failure, int(warning) if warning else None)
    except (ValueError, TypeError, KeyError, AttributeError):  # whatever else a server writes is no answer
        return None
    return None


def _item(outcome: Outcome) -> Dataset:
    item = Dataset()
    values: dict[str, Any] = {
        "ReferencedSOPClassUID": outcome.sop_class_uid,
        "ReferencedSOPInstanceUID": outcome.sop_instance_uid,
        "FailureReason": outcome.failure,
        "WarningReason": outcome.warning,
    }
    for keyword, value in values.items():
        if value not in (None, ""):
            setattr(item, keyword, value)
    if outcome.failure is None:
        item.RetrieveURL = ""
    return item
