"""Archives in which studies lie: Orthanc gives them by C-MOVE, C-GET and DICOMweb, DCMTK's dcmqrscp by C-MOVE."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from peers import free_port, tool, wait_until
from pydicom import Dataset, dcmread

from dicom_io.clinical_header import read_header
from dicom_io.reading import read_instance
from dicom_io.report import FINDING, FINDINGS, Device, DocumentIds, DraftReport, Paragraph, ReportSection
from dicom_io.sending import Peer, send
from dicom_io.structured_report import build
from dicom_io.study import Study
from dicom_io.uids import mint_uid
from radplug.acceptance.synthetic_study import SyntheticStudy

PLUGINS = [
    Path(folder) / "libOrthancDicomWeb.so" for folder in ("/usr/share/orthanc/plugins", "/usr/lib/orthanc/plugins")
]

RULES = """
[[rule]]
name = "chest, compared"
when.modalities = ["DX"]
priors = { most = 1, modalities = ["DX", "CR"], body_parts = ["CHEST"] }
"""


@dataclass(frozen=True)
class Archive:
    peer: Peer
    http: int

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def alive(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/system") as answer:
                return bool(answer.read())
        except OSError:
            return False

    def put(self, *files: Path) -> None:
        for file in files:
            send(file, self.peer, calling_ae="MODALITY", timeout=30)


def dicomweb_plugin() -> Path:
    """Orthanc's; skips the test where it is absent."""
    plugin = next((path for path in PLUGINS if path.exists()), None)
    if plugin is None:
        pytest.skip("Orthanc's DICOMweb plugin is not installed: make peers")
    return plugin


@contextmanager
def running_orthanc(root: Path, settings: Mapping[str, object], answers: Callable[[], bool]) -> Iterator[None]:
    """An Orthanc with these settings while the block runs, which begins once it answers."""
    program = tool("Orthanc")
    stored = {"StorageDirectory": str(root / "store"), "IndexDirectory": str(root / "store")}
    (root / "orthanc.json").write_text(json.dumps({**stored, "RemoteAccessAllowed": False, **settings}))
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([program, str(root / "orthanc.json")], stdout=log, stderr=log)
    try:
        wait_until(answers, 30, "Orthanc answers")
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def archive(root: Path, radplug_port: int, dicom_port: int = 0) -> Iterator[Archive]:
    """An Orthanc that knows RADPLUG at that port, and is asked at `dicom_port`, 0: at a free one."""
    plugin = dicomweb_plugin()
    root.mkdir()
    served = Archive(Peer("ORTHANC", "127.0.0.1", dicom_port or free_port()), free_port())
    settings = {
        "Name": "ARCHIVE",
        "HttpPort": served.http,
        "DicomPort": served.peer.port,
        "DicomAet": "ORTHANC",
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"radplug": ["RADPLUG", "127.0.0.1", radplug_port]},
        "Plugins": [str(plugin)],
    }
    with running_orthanc(root, settings, served.alive):
        yield served


@contextmanager
def dcmqrscp(root: Path, radplug_port: int) -> Iterator[Peer]:
    """DCMTK's archive, which knows RADPLUG at that port."""
    program, port = tool("dcmqrscp"), free_port()
    (root / "db").mkdir(parents=True)
    (root / "dcmqrscp.cfg").write_text(f"""
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
radplug = (RADPLUG, localhost, {radplug_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE {root / "db"} RW (200, 1024mb) ANY
AETable END
""")
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(root / "dcmqrscp.cfg")], stdout=log, stderr=log)
    try:
        peer = Peer("ARCHIVE", "127.0.0.1", port)
        wait_until(lambda: _answers(port), 10, "dcmqrscp listens")
        yield peer
    finally:
        process.terminate()
        process.wait()


def asking(peer: Peer, folder: Path, way: str, **more: Any) -> dict[str, Any]:
    """Settings of a house that asks an archive."""
    pacs = {"name": "archive", "ae_title": peer.ae_title, "host": peer.host, "port": peer.port, "priors": way}
    rules = folder / "rules.toml"
    rules.write_text(RULES, encoding="utf-8")
    drafting = {"rules": rules, "assume_body_part": "CHEST"}
    listener = {"accept_any_calling_ae": True}
    return {"pacs": [pacs | {"priors_issuer": "HOSP"} | more], "drafting": drafting, "listener": listener}


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def with_report(study: SyntheticStudy, text: str, flag: str = "FINAL") -> SyntheticStudy:
    """The study with a structured report that a radiologist might have written, as its last file."""
    image = read_instance(study.files[0])
    report = DraftReport(
        (ReportSection(FINDINGS, FINDING, (Paragraph(text),)),),
        Device(mint_uid(), "DICTATION", "Somebody", "Dictation", "1"),
        banner="Report",
    )
    ids = DocumentIds(mint_uid(), mint_uid(), 5)
    written = build(report, Study.of([image]), read_header(study.files[0]), ids, datetime.now(UTC))
    document = dcmread(BytesIO(written))
    document.PreliminaryFlag = flag
    document.CompletionFlag = "COMPLETE"
    file = study.files[0].with_name(f"report-{len(study.files)}.dcm")
    document.save_as(file)
    return replace(study, files=(*study.files, file))


def of_patient(study: SyntheticStudy, **facts: str) -> None:
    """Write other facts into the study's files."""
    for file in study.files:
        data_set: Dataset = dcmread(file)
        for keyword, value in facts.items():
            setattr(data_set, keyword, value)
        data_set.save_as(file)
