"""The workitems that a simulated server holds, by whichever service it is asked for them (PS3.4 CC.1.1)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence as Items

from dicom_io.uids import mint_uid
from dicom_io.workitems import Code, Step


class Said(Enum):
    """What became of a change, or of an update."""

    DONE = auto()
    NO_SUCH_WORKITEM = auto()
    OVER = auto()  # it is at its end
    WRONG_TRANSACTION = auto()
    BEGUN = auto()  # it is IN PROGRESS
    NOT_BEGUN = auto()
    UNTOLD = auto()  # it lacks what it must tell at its end


@dataclass
class Held:
    """A workitem as the server holds it; its transaction is told to nobody (PS3.4 CC.2.1.3)."""

    told: Dataset
    transaction_uid: str = ""
    states: list[str] = field(default_factory=lambda: [Step.SCHEDULED.value])

    @property
    def state(self) -> str:
        return self.states[-1]


class Asked(StrEnum):
    """What a performer asks, whatever it is called in the service."""

    SEARCH = "search"
    RETRIEVE = "retrieve"
    CHANGE = "change"
    UPDATE = "update"


class HeldWorkitems:
    """Each workitem, and the files of the studies that they are about; `ae_title` is where these can be retrieved.

    What `loses` names is done, and its answer never sent, once for each time that it stands there.
    """

    def __init__(self, ae_title: str = "") -> None:
        self.files: list[Path] = []
        self.loses: list[Asked] = []
        self._ae_title = ae_title
        self._held: dict[str, Held] = {}
        self._one = threading.RLock()

    def schedule(self, files: Sequence[Path], station: Code, code: Code, **elements: Any) -> str:
        """A new workitem about the study in these files, which are at hand from now on; its UID."""
        image, uid = dcmread(files[0], stop_before_pixels=True), mint_uid()
        told = Dataset()
        told.SpecificCharacterSet = "ISO_IR 192"
        told.SOPInstanceUID, told.ProcedureStepState, told.InputReadinessState = uid, Step.SCHEDULED.value, "READY"
        told.PatientID, told.PatientName = image.PatientID, image.PatientName
        told.ScheduledStationNameCodeSequence = Items([_code(station)])
        told.ScheduledWorkitemCodeSequence = Items([_code(code)])
        told.InputInformationSequence = Items([_input(image, self._ae_title)])
        for keyword, value in elements.items():
            setattr(told, keyword, value)
        with self._one:
            self._held[uid] = Held(told)
            self.files += files
        return uid

    def held(self, uid: str) -> Held:
        with self._one:
            return self._held[uid]

    def told(self, uid: str) -> Dataset | None:
        with self._one:
            return self._held[uid].told if uid in self._held else None

    def matching(self, matches: Callable[[Dataset], bool]) -> list[Dataset]:
        with self._one:
            return [held.told for held in self._held.values() if matches(held.told)]

    def forget(self, uid: str) -> None:
        with self._one:
            del self._held[uid]

    def is_lost(self, asked: Asked | None) -> bool:
        """Whether the answer to what was asked now is to be lost."""
        with self._one:
            lost = asked in self.loses
            if asked and lost:
                self.loses.remove(asked)
            return lost

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> Said:
        with self._one:
            if (held := self._held.get(uid)) is None:
                return Said.NO_SUCH_WORKITEM
            if (said := _under_claim(held, transaction_uid)) is Said.DONE:
                changes.pop("TransactionUID", None)
                held.told.update(changes)
            return said

    def change(self, uid: str, transaction_uid: str, to: str) -> Said:
        """PS3.4 table CC.1.1-2; an end is refused before what it must tell has been told."""
        with self._one:
            if (held := self._held.get(uid)) is None:
                return Said.NO_SUCH_WORKITEM
            if to == Step.IN_PROGRESS:
                said = _to_claim(held)
            else:
                said = _under_claim(held, transaction_uid)
                if to == Step.COMPLETED and "UnifiedProcedureStepPerformedProcedureSequence" not in held.told:
                    said = said if said is not Said.DONE else Said.UNTOLD
            if said is Said.DONE:
                held.transaction_uid = transaction_uid
                held.states.append(to)
                held.told.ProcedureStepState = to
            return said


def _to_claim(held: Held) -> Said:
    others = {Step.SCHEDULED.value: Said.DONE, Step.IN_PROGRESS.value: Said.BEGUN}
    return others.get(held.state, Said.OVER)


def _under_claim(held: Held, transaction_uid: str) -> Said:
    if held.state in (Step.COMPLETED, Step.CANCELED):
        return Said.OVER
    if held.state == Step.SCHEDULED:
        return Said.NOT_BEGUN
    return Said.DONE if transaction_uid == held.transaction_uid else Said.WRONG_TRANSACTION


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def _input(image: Dataset, ae_title: str) -> Dataset:
    item, place = Dataset(), Dataset()
    item.TypeOfInstances, item.StudyInstanceUID, item.SeriesInstanceUID = (
        "DICOM",
        image.StudyInstanceUID,
        image.SeriesInstanceUID,
    )
    if ae_title:
        place.RetrieveAETitle = ae_title
        item.DICOMRetrievalSequence = Items([place])
    else:
        place.RetrieveURL = "http://elsewhere.example/studies"  # which is not followed
        item.WADORSRetrievalSequence = Items([place])
    item.ReferencedSOPSequence = Items()
    return item
