"""Orthanc's DICOMweb plugin: it sends us a study by STOW-RS, and takes the draft the same way, once."""

from __future__ import annotations

import json
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from archives_at_work import dicomweb_plugin, running_orthanc
from houses import send_study
from peers import free_port, wait_until

from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.domain import CaseState, DeliveryState
from radplug.records.schema import deliveries, instances
from radplug.web.serving import serving
from radplug.wiring import House

PASSWORD = "a password"


class Orthanc:
    def __init__(self, http: int) -> None:
        self.address = f"http://127.0.0.1:{http}"

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(self.address + path, body, method=method)
        request.add_header("Authorization", "Basic " + b64encode(f"radplug:{PASSWORD}".encode()).decode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def alive(self) -> bool:
        try:
            return bool(self.ask("GET", "/system"))
        except OSError:
            return False

    def push(self, resource: str) -> Any:
        asked = {"Resources": [resource], "Synchronous": True}
        return self.ask("POST", "/dicom-web/servers/radplug/stow", json.dumps(asked).encode())

    def of(self, modality: str) -> list[str]:
        """SOP Instance UIDs of all that it has of a modality."""
        every = self.ask("GET", "/dicom-web/instances?includefield=00080060")
        return [one["00080018"]["Value"][0] for one in every if one["00080060"]["Value"] == [modality]]


@contextmanager
def orthanc(root: Path) -> Iterator[Orthanc]:
    plugin = dicomweb_plugin()
    root.mkdir()
    server = Orthanc(http := free_port())
    settings = {
        "Name": "TEST",
        "HttpPort": http,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"radplug": PASSWORD},
        "OverwriteInstances": False,
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    with running_orthanc(root, settings, server.alive):
        yield server


def test_a_study_comes_from_orthanc_and_its_draft_goes_there(build: Callable[..., House], tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    with orthanc(tmp_path / "orthanc") as server:
        service = {"url": f"{server.address}/dicom-web/", "user": "radplug", "password_file": tmp_path / "password"}
        shapes = ("basic-text-sr", "pdf")
        house = build(
            web={"port": 0},
            drafting={"assume_body_part": "CHEST"},
            dicomweb=[{"name": "orthanc", "shapes": shapes, **service}],
        )
        study = synthetic_study.write(tmp_path / "study", 1_000_000_001, datetime.now(UTC), views=3, size=128)
        for file in study.files:
            known = server.ask("POST", "/instances", file.read_bytes())
        with serving(house) as address:
            secret = house.tokens.make("orthanc", ["store"], house.now(), house.now() + timedelta(days=1))
            ours = {"Url": f"{address}/dicom-web/", "HttpHeaders": {"Authorization": f"Bearer {secret}"}}
            server.ask("PUT", "/dicom-web/servers/radplug", json.dumps(ours).encode())
            server.push(known["ParentStudy"])
            case = house.viewing.case_of_study(study.study_uid)
            assert case is not None
            assert case.instances == 3

            pipeline.close(house, case.id)
            pipeline.draft(house, case.id, "worker")
            pipeline.deliver(house, case.id)
            sent = house.viewing.deliveries(case.id)
            assert [(one.state, one.outcome) for one in sent] == [(DeliveryState.DELIVERED, "stored")] * 2
            assert server.of("SR") + server.of("DOC") == [one.document.id for one in sent]
            assert len(server.of("DX")) == 3

            with house.database.writing() as connection:  # as when our note of it was lost
                connection.execute(sa.update(deliveries).values(state=DeliveryState.DEAD))
            house.delivering.resend(case.id, house.now())
            pipeline.deliver(house, case.id)
            assert {one.state for one in house.viewing.deliveries(case.id)} == {DeliveryState.DELIVERED}
            assert len(server.of("SR") + server.of("DOC")) == 2

            server.push(known["ParentStudy"])  # all of it once more: our own draft comes home, and is no input
            assert _kept(house) == [None, None, *[case.id] * 3]
            assert house.viewing.case(case.id).instances == 3
            assert house.viewing.case(case.id).state == CaseState.DELIVERED


def _kept(house: House) -> list[str | None]:
    with house.database.reading() as connection:
        found = list(connection.scalars(sa.select(instances.c.case_id)))
    return sorted(found, key=lambda case: (case is not None, case))


def test_a_wrong_password_waits_for_a_right_one(build: Callable[..., House], tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong")
    with orthanc(tmp_path / "orthanc") as server:
        service = {"url": f"{server.address}/dicom-web", "user": "radplug", "password_file": tmp_path / "password"}
        house = build(drafting={"assume_body_part": "CHEST"}, dicomweb=[{"name": "orthanc", **service}])
        case = send_study(house, tmp_path / "study")
        pipeline.draft(house, case.id, "worker")
        pipeline.deliver(house, case.id)
        (waiting,) = house.viewing.deliveries(case.id)
        assert waiting.state == DeliveryState.WAITING
        assert "renew the token or password" in waiting.outcome
        (tmp_path / "password").write_text(f"{PASSWORD}\nfor radplug")

        def arrived() -> bool:
            pipeline.deliver(house, case.id)
            return house.viewing.deliveries(case.id)[0].state == DeliveryState.DELIVERED

        wait_until(arrived, 10, "the draft is delivered")
        assert server.of("SR") == [waiting.document.id]
