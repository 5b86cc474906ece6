"""A house in this process, with a real model and studies of phantoms: its stages are called one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from image_samples import image, part10

from dicom_io.part10 import file_header
from dicom_io.reading import read_instance
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.domain import Case, CaseState, Received
from radplug.records.schema import cases
from radplug.settings import Settings
from radplug.wiring import House

SIZE = 128  # rows and columns of an image: enough for all but the eye, and painted and encoded at once


def house_at(
    root: Path,
    checkpoint: Path,
    *,
    model: dict[str, Any] | None = None,
    assembly: dict[str, Any] | None = None,
    **settings: Any,
) -> House:
    """A house whose database is made."""
    house = House(
        Settings(
            store={"data": root / "data", "keep_free_mib": 1},
            assembly={"quiet_seconds": 0.001, **(assembly or {})},
            model={"checkpoint": checkpoint, "threads": 1, **(model or {})},
            delivery={"first_retry_seconds": 0.001, "longest_retry_seconds": 0.001, "attempts": 3},
            **settings,
        ),
        "test",
    )
    house.database.migrate()
    return house


def ruled(root: Path, rules: str) -> dict[str, Any]:
    """Settings of a house with these rules."""
    file = root / "rules.toml"
    file.write_text(rules, encoding="utf-8")
    return {"drafting": {"rules": file}, "listener": {"accept_any_calling_ae": True}}


def send_study(house: House, folder: Path, phantom: int = 1_000_000_001) -> Case:
    """A phantom's study, received and closed."""
    (file,) = synthetic_study.write(folder, phantom, datetime.now(UTC), size=SIZE).files
    return receive_file(house, file)


def receive_file(house: House, file: Path) -> Case:
    """Received, and its study closed."""
    keep_file(house, file)
    case = house.viewing.case_of_study(read_instance(file).study_uid)
    assert case is not None
    later = datetime.now(UTC) + timedelta(seconds=1)
    routing = house.router.route(house.drafting.instances(case.id), None, later)
    until = later + house.policy.priors_time if routing.priors else None
    house.drafting.close(case.id, later, routing, priors_until=until)
    return house.viewing.case(case.id)


def keep_file(house: House, file: Path) -> Received:
    """As the listener does when it comes."""
    instance, data = read_instance(file), file.read_bytes()
    header = file_header(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        source_ae_title="PACS",
    )
    (length,) = (int.from_bytes(data[140:144], "little"),)
    return pipeline.receive(house, instance, header, data[144 + length :], "PACS")


def add_cases(house: House, count: int) -> None:
    """Rows alone: what the worklist shows of cases that were delivered long ago."""
    now = house.now()
    rows = [
        {
            "id": f"{number:012x}",
            "study_uid": f"1.2.3.{number}",
            "state": CaseState.DELIVERED,
            "patient_name": f"Phantom^{number:04}",
            "modality": ("DX", "CT")[number % 2],
            "first_received_at": now - timedelta(minutes=number),
            "last_received_at": now - timedelta(minutes=number),
            "hard_deadline_at": now,
        }
        for number in range(count)
    ]
    with house.database.writing() as connection:
        connection.execute(sa.insert(cases), rows)


def add_slices(house: House, case: Case, count: int, modality: str = "CT") -> None:
    """Another series in the case's study, each slice a little brighter than the one before."""
    for number in range(count):
        slice_ = image(
            np.full((64, 64), 1000 + 4 * number, np.uint16),
            Modality=modality,
            SOPInstanceUID=f"1.2.3.{number + 1}",
            SeriesInstanceUID="1.2.3",
            StudyInstanceUID=case.study_uid,
            SeriesNumber=2,
            SeriesDescription="Thorax",
            InstanceNumber=number + 1,
            RescaleSlope=1,
            RescaleIntercept=-1024,
            RescaleType="HU",
            WindowCenter=40,
            WindowWidth=400,
        )
        file = house.store.root / f"slice-{number}.dcm"
        file.write_bytes(part10(slice_))
        receive_file(house, file)
