"""An imaging order, as far as a report needs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """What the ordering side calls a study (HL7 2.5.1 chapter 4; IHE RAD TF-2 4.4); empty is "not given"."""

    accession_number: str  # OBR-18 at most sites, IPC-1 in OMI^O23
    placer_order_number: str = ""  # OBR-2, entity identifier with its namespace as sent
    filler_order_number: str = ""  # OBR-3
    procedure_code: tuple[str, str, str] = ("", "", "")  # OBR-4: identifier, coding system, text
    requested_procedure_id: str = ""  # OBR-19
    indication: str = ""  # OBR-31 or OBR-13
    study_uid: str = ""  # ZDS-1 or IPC-3
