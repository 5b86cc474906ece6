"""Orthanc as PACS: it routes its studies to radplug by itself, gets the SR back, and no loop comes of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import tiny_checkpoint
from archives_at_work import running_orthanc
from peers import free_port, tool, wait_until
from sites import Hospital, hospital

from dicom_io.sending import Peer, send
from radplug.domain import CaseState
from radplug.records.schema import instances

# The route that many sites would write: whenever a study is stable, send all of it. Our SR makes it stable again.
AUTOROUTE = """
function OnStableStudy(studyId, tags, metadata, origin)
  RestApiPost('/modalities/radplug/store', DumpJson({ Resources = { studyId }, Synchronous = false }, true))
end
"""


class Orthanc:
    def __init__(self, http: int, dicom: int) -> None:
        self._http = http
        self.peer = Peer("ORTHANC", "127.0.0.1", dicom)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http}{path}") as answer:
            return json.load(answer)

    def post(self, path: str, what: object) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self._http}{path}", json.dumps(what).encode())
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def alive(self) -> bool:
        try:
            return bool(self.get("/system"))
        except OSError:
            return False

    def instances_of(self, study_uid: str, modality: str) -> list[str]:
        """SOP Instance UIDs of a study's instances of one modality."""
        found = []
        for study in self.get("/studies?expand"):
            if study["MainDicomTags"]["StudyInstanceUID"] == study_uid:
                for series in self.get(f"/studies/{study['ID']}/series"):
                    if series["MainDicomTags"]["Modality"] == modality:
                        found += [
                            self.get(f"/instances/{i}")["MainDicomTags"]["SOPInstanceUID"] for i in series["Instances"]
                        ]
        return found


@contextmanager
def orthanc(root: Path, http: int, dicom: int, radplug_port: int) -> Iterator[Orthanc]:
    root.mkdir()
    (root / "autoroute.lua").write_text(AUTOROUTE)
    settings = {
        "Name": "TEST",
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "StableAge": 1,
        "OverwriteInstances": False,
        "LuaScripts": [str(root / "autoroute.lua")],
        "DicomModalities": {"radplug": ["RADPLUG", "127.0.0.1", radplug_port]},
    }
    server = Orthanc(http, dicom)
    with running_orthanc(root, settings, server.alive):
        yield server


def test_orthanc_routes_a_study_and_finds_the_sr_in_it_once(tmp_path: Path) -> None:
    tool("Orthanc")
    http, dicom = free_port(), free_port()
    model = tiny_checkpoint.write(tmp_path / "model", canvas_length=256, steps=2)
    pacs = f'[[pacs]]\nname = "orthanc"\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nport = {dicom}\n'
    with (
        hospital(tmp_path / "site", model, destinations=pacs) as site,
        orthanc(tmp_path / "orthanc", http, dicom, site.listener.port) as server,
    ):
        study = site.study("study", views=3)
        for file in study.files:
            send(file, server.peer, calling_ae="MODALITY", timeout=30)
        case = site.wait_for(study, CaseState.DELIVERED, 1, 90)
        (sr,) = server.instances_of(study.study_uid, "SR")
        # Orthanc sees a changed study, and forwards all of it once more: our own SR comes home
        wait_until(lambda: _came_home(site, sr), 60, "Orthanc forwards our SR to us")
        assert site.case(study) == case
        assert server.instances_of(study.study_uid, "SR") == [sr]
        assert len(server.instances_of(study.study_uid, "DX")) == 3


def _came_home(site: Hospital, sop_instance_uid: str) -> bool:
    with site.running.house.database.reading() as connection:
        row = sa.select(instances.c.id).where(instances.c.sop_instance_uid == sop_instance_uid)
        return connection.execute(row).first() is not None
