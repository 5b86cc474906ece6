"""Images as a modality would send them, and their way into a house."""

from __future__ import annotations

from dataclasses import replace

from dicom_io.study import Instance, Patient
from dicom_io.uids import mint_uid
from radplug import pipeline
from radplug.domain import Received
from radplug.wiring import House

HEADER = b"\0" * 128 + b"DICM"
IMAGE = Instance(
    sop_instance_uid="1.2.3",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
    series_uid="1.2.3.4",
    study_uid="1.2.3.4.5",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    modality="DX",
    patient=Patient("P1", "", "Doe^Jane", "19600101", "F"),
    accession_number="A1",
    body_part="CHEST",
    rows=8,
    columns=8,
    has_pixels=True,
)


def image(study_uid: str = IMAGE.study_uid, **values: object) -> Instance:
    """Another image of a study, under UIDs of its own unless told."""
    fresh = {"sop_instance_uid": mint_uid(), "series_uid": f"{study_uid}.1", "study_uid": study_uid}
    return replace(IMAGE, **{**fresh, **values})


def receive(house: House, instance: Instance, data_set: bytes | None = None) -> Received:
    """As the listener does, with a data set that is the instance's alone unless told."""
    return pipeline.receive(house, instance, HEADER, data_set or instance.sop_instance_uid.encode(), "PACS")
