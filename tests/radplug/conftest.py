"""A house on a database of each kind, with instances to put into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_io.study import Instance, Patient
from dicom_io.uids import mint_uid
from radplug.settings import Settings
from radplug.wiring import House


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    settings = Settings(
        store={"data": tmp_path / "data", "keep_free_mib": 1},
        database={"url": database_url},
        assembly={"quiet_seconds": 10, "at_most_seconds": 100},
        pacs=[{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}],
        reporting=[{"name": "ris", "host": "127.0.0.1", "port": 1}],
    )
    made = House(settings, "test")
    made.database.migrate()
    yield made
    made.database.close()


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
