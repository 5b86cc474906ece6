"""What a site keeps, with little in it: instances that came, a draft's key image and document, refused messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from received_images import image
from typer.testing import CliRunner, Result

from dicom_io.part10 import file_header
from dicom_io.study import Instance
from radplug import pipeline
from radplug.cli import app
from radplug.domain import Received
from radplug.records.schema import deliveries, drafts, instances
from radplug.study_store import write_durably
from radplug.wiring import House


def arrive(house: House, instance: Instance) -> Received:
    """As the listener takes it, under a header that a reader understands; its data set is its UID."""
    header = file_header(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
    )
    return pipeline.receive(house, instance, header, instance.sop_instance_uid.encode(), "PACS")


def furnish(house: House) -> tuple[str, str, str]:
    """Three instances of a case, a draft with a key image and a document, and a refused message; all have files.

    Returns the files of an instance, of the key image and of the document.
    """
    for _ in range(3):
        arrive(house, image())
    (case,) = house.viewing.cases()
    shown = str((house.store.case_folder(case.id, 1) / "image-1.png").relative_to(house.store.root))
    write_durably(house.store.path(shown), b"PNG")
    document = house.store.keep_document(case.id, 1, "sr-1.2.3.dcm", b"SR")
    draft: dict[str, Any] = {"case_id": case.id, "version": 1, "template": "", "text": "{}", "drafted_at": house.now()}
    sent = {"case_id": case.id, "version": 1, "destination": "pacs", "kind": "sr", "document_id": "1.2.3"}
    with house.database.writing() as connection:
        connection.execute(sa.insert(drafts).values(draft | {"images": [{"file": shown}], "seconds": {}}))
        connection.execute(sa.insert(deliveries).values(sent | {"file": document, "state": "waiting"}))
    write_durably(house.store.path("hl7-quarantine/2026-11-24/x.hl7"), b"MSH|")
    return files_of_instances(house)[0], shown, document


def files_of_instances(house: House) -> list[str]:
    with house.database.reading() as connection:
        return list(connection.scalars(sa.select(instances.c.file).order_by(instances.c.received_at)))


def events(house: House) -> list[str]:
    with house.database.reading() as connection:
        return list(connection.scalars(sa.text("SELECT event FROM audit ORDER BY id")))


def settings_file(folder: Path, data: Path, url: str = "") -> Path:
    file = folder / f"{data.name}.toml"
    file.write_text(
        f'[listener]\naccept_any_calling_ae = true\n[store]\ndata = "{data}"\nkeep_free_mib = 1\n'
        f'[database]\nurl = "{url}"\n',
        encoding="utf-8",
    )
    return file


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["--config", str(config), *words])
