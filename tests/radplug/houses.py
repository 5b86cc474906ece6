"""A house in this process, with a real model and studies of phantoms: its stages are called one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dicom_io.part10 import file_header
from dicom_io.reading import read_instance
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.domain import Case
from radplug.settings import Settings
from radplug.wiring import House

SIZE = 128  # rows and columns of an image: enough for all but the eye, and painted and encoded at once


def house_at(root: Path, checkpoint: Path, *, model: dict[str, Any] | None = None, **settings: Any) -> House:
    """A house whose database is made."""
    house = House(
        Settings(
            store={"data": root / "data", "keep_free_mib": 1},
            assembly={"quiet_seconds": 0.001},
            model={"checkpoint": checkpoint, "threads": 1, **(model or {})},
            delivery={"first_retry_seconds": 0.001, "longest_retry_seconds": 0.001, "attempts": 3},
            **settings,
        ),
        "test",
    )
    house.database.migrate()
    return house


def send_study(house: House, folder: Path, phantom: int = 1_000_000_001) -> Case:
    """A phantom's study, received and closed."""
    (file,) = synthetic_study.write(folder, phantom, datetime.now(UTC), size=SIZE).files
    return receive_file(house, file)


def receive_file(house: House, file: Path) -> Case:
    instance, data = read_instance(file), file.read_bytes()
    header = file_header(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        source_ae_title="PACS",
    )
    (length,) = (int.from_bytes(data[140:144], "little"),)
    pipeline.receive(house, instance, header, data[144 + length :], "PACS")
    case = house.viewing.case_of_study(instance.study_uid)
    assert case is not None
    later = datetime.now(UTC) + timedelta(seconds=1)
    house.drafting.close(case.id, later)
    return house.viewing.case(case.id)
