"""A draft report's content as a result: what `hl7.oru` puts into a message, and what it gets out of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from hl7.errors import Malformed
from hl7.header import Header
from hl7.orders import Order
from hl7.patient import Patient

# Table 0123: R is "results stored, not yet verified"; P is "a verified early result is available", for sites that sign
# for it. The letters that say final or corrected do not exist here.
Status = Literal["R", "P"]
STATUSES: tuple[str, ...] = get_args(Status)


Label = tuple[str, str, str]  # code, coding scheme, name

# The section that says what the report is.
BANNER: Label = ("18782-3", "LN", "Radiology Study observation (narrative)")


@dataclass(frozen=True, slots=True)
class ResultSection:
    """One section of the report: its code with coding scheme and name (OBX-3), and its text, lines ended by LF."""

    code: str
    scheme: str
    name: str
    text: str

    @property
    def label(self) -> Label:
        """Everything but the text."""
        return self.code, self.scheme, self.name


@dataclass(frozen=True, slots=True)
class Device:
    """The equipment that observed, as an entity identifier (OBX-18): name, namespace, and its OID."""

    name: str
    namespace: str
    uid: str


@dataclass(frozen=True, slots=True)
class Result:
    """A draft report on a study.

    A correction is another Result with the same order and a new control id; its status does not change.

    Raises:
        Malformed: a status other than R and P, or two sections with the same label.
    """

    header: Header
    patient: Patient
    order: Order
    study_uid: str
    sections: tuple[ResultSection, ...]
    banner: str  # says in words that nobody has reviewed the report; it stands before all sections
    device: Device
    study_datetime: str = ""  # DICOM date, with the time behind it where known
    status: Status = "R"
    patient_class: str = "U"  # table 0004; U is unknown

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise Malformed("a draft's result status is R or P: nothing here can be final")
        labels = [BANNER, *(section.label for section in self.sections)]
        if len(set(labels)) != len(labels):
            raise Malformed(
                "two sections, or one and the banner, share code, scheme and name: none could tell them apart"
            )


@dataclass(frozen=True, slots=True)
class ReceivedResult:
    """What a result message says, as far as it concerns a report; empty is "not given"."""

    control_id: str
    accession_number: str
    placer_order_number: str
    filler_order_number: str
    study_uid: str
    status: str  # OBR-25
    observation_statuses: tuple[str, ...]  # OBX-11 of every text
    device: Device
    banner: str
    sections: tuple[ResultSection, ...]
