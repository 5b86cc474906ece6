"""MPPS and Instance Availability Notification at the listener: each is a row before it is answered."""

from __future__ import annotations

import structlog

from dicom_io.signals import Change, Kind, Outcome, Signal
from radplug.wiring import House

log = structlog.get_logger(__name__)


class SignalDesk:
    """What `dicom_io.signalling.Desk` wants, on the rows of a house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.kinds = frozenset(map(Kind, house.settings.assembly.signals))

    def created(self, signal: Signal, calling_ae: str) -> Outcome:
        outcome = self._house.signals.add(signal, calling_ae, self._house.now())
        about: dict[str, str | int] = {"kind": signal.kind.upper(), "progress": str(signal.progress)}
        about |= {"images": len(signal.images), "withdrawn": len(signal.withdrawn)}
        return self._noted(signal.uid, calling_ae, outcome, about)

    def changed(self, uid: str, change: Change, calling_ae: str) -> Outcome:
        outcome = self._house.signals.change(uid, change, self._house.now())
        about: dict[str, str | int] = {"kind": Kind.MPPS.upper(), "progress": str(change.progress or "as before")}
        return self._noted(
            uid, calling_ae, outcome, about if change.images is None else about | {"images": len(change.images)}
        )

    def _noted(self, uid: str, calling_ae: str, outcome: Outcome, about: dict[str, str | int]) -> Outcome:
        """In the trail of each case that it is about; of no case while none has come."""
        event = "study announced" if outcome is Outcome.KEPT else "announcement refused"
        for case_id in self._house.signals.cases_of(uid) or [""]:
            self._house.audit.note(event, case_id, calling_ae=calling_ae, outcome=outcome.value, uid=uid, **about)
        log.info(event, calling_ae=calling_ae, uid=uid, outcome=outcome.value, **about)
        return outcome
