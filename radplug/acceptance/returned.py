"""What came back from radplug, read from the received files alone: is it a draft, and do the anchors stand?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from dicom_io import report_checks, report_reading
from hl7 import checks, oru
from hl7.message import Message
from hl7.patient import Patient, read_patient
from model_runtime.canvas import Anchor

DRAFT = frozenset("RP")  # results stored or preliminary, table 0123
SECTION_CODES = {"FINDINGS": "59776-5", "IMPRESSION": "19005-8"}  # LOINC, in SR, ORU and dictated text


@dataclass(frozen=True, slots=True)
class ReturnedSr:
    """An SR as the PACS has it; `texts` are by the code value of their section."""

    file: Path
    sop_instance_uid: str
    study_uid: str
    completion_flag: str
    verification_flag: str
    preliminary_flag: str
    predecessor: str  # SOP Instance UID; empty where there is none
    patient_id: str
    patient_name: str
    texts: Mapping[str, str]
    faults: tuple[str, ...]

    @property
    def not_a_draft(self) -> str:
        """In which flag; empty where it is one."""
        flags = (self.completion_flag, self.verification_flag, self.preliminary_flag)
        return "" if flags == ("PARTIAL", "UNVERIFIED", "PRELIMINARY") else f"the SR is {', '.join(flags)}"

    @classmethod
    def read(cls, file: Path) -> ReturnedSr:
        data = file.read_bytes()
        document = report_reading.read(data)
        patient = dcmread(BytesIO(data), specific_tags=["PatientName", "PatientID"])
        return cls(
            file=file,
            sop_instance_uid=document.ids.sop_instance_uid,
            study_uid=document.study_uid,
            completion_flag=document.completion_flag,
            verification_flag=document.verification_flag,
            preliminary_flag=document.preliminary_flag,
            predecessor=document.predecessor.sop_instance_uid if document.predecessor else "",
            patient_id=str(patient.get("PatientID", "")),
            patient_name=str(patient.get("PatientName", "")),
            texts={s.heading.value: "\n".join(p.text for p in s.paragraphs) for s in document.report.sections},
            faults=tuple(fault.text for fault in report_checks.check(data)),
        )


@dataclass(frozen=True, slots=True)
class ReturnedOru:
    """An ORU^R01 as the reporting system has it; `texts` are by the code of their section."""

    file: Path
    control_id: str
    placer_order_number: str
    study_uid: str
    patient_id: str
    patient_name: str
    obr_25: str
    obx_11: tuple[str, ...]
    texts: Mapping[str, str]
    faults: tuple[str, ...]

    @property
    def not_a_draft(self) -> str:
        """In which field; empty where it is one."""
        if self.obr_25 in DRAFT and self.obx_11 and DRAFT.issuperset(self.obx_11):
            return ""
        return f"the message has {self.obr_25!r} in OBR-25, {', '.join(map(repr, self.obx_11))} in OBX-11"

    @classmethod
    def read(cls, file: Path) -> ReturnedOru:
        data = file.read_bytes()
        result = oru.read(data)
        message = Message.parse(data)
        patient = read_patient(message, message.all("PID")[0]) if message.get("PID", 3) else Patient("")
        return cls(
            file=file,
            control_id=result.control_id,
            placer_order_number=result.placer_order_number,
            study_uid=result.study_uid,
            patient_id=patient.id,
            patient_name=patient.name,
            obr_25=result.status,
            obx_11=tuple(sorted(set(result.observation_statuses))),
            texts={section.code: section.text for section in result.sections},
            faults=tuple(map(str, checks.check(data))),
        )


def anchors_stand(anchors: Sequence[Anchor], codes: Mapping[str, str], texts: Mapping[str, str]) -> bool:
    """Whether every anchor is in its section's text byte for byte, in the order given.

    `codes` gives a section's code value by its name, `texts` a section's text by its code value.
    """
    begin = dict.fromkeys(codes, 0)
    for anchor in anchors:
        text = texts.get(codes.get(anchor.section, ""), "").encode()
        found = text.find(anchor.text.encode(), begin.get(anchor.section, 0))
        if found < 0:
            return False
        begin[anchor.section] = found + len(anchor.text.encode())
    return True
