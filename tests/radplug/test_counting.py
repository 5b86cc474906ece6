"""Before a study that nobody announced is closed as quiet, a PACS may be asked by C-FIND whether it has more of it."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from peers import free_port, tool, wait_until
from pydicom import Dataset
from pynetdicom import AE, evt
from received_images import IMAGE, image, receive
from test_orthanc import orthanc

from dicom_io.reading import read_instance
from dicom_io.retrieving import FIND
from dicom_io.sending import Peer, send
from dicom_io.signals import Kind, Progress, Signal
from radplug import clock
from radplug.acceptance import synthetic_study
from radplug.completeness import Because
from radplug.domain import Case, CaseState
from radplug.records.schema import deliveries
from radplug.wiring import House

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
QUIET, AT_MOST = 10, 100  # seconds
STUDY = IMAGE.study_uid
SERIES = f"{STUDY}.1"


class Bell:
    def draft(self, case_id: str, *, awaited: bool) -> None: ...
    def redraft(self, case_id: str) -> None: ...
    def deliver(self, case_id: str) -> None: ...


@dataclass
class Archive:
    """Counts what it is told to; None is not told."""

    port: int = 0
    instances: int | None = 0
    series: list[tuple[str, str, int | None]] = field(default_factory=list)  # UID, modality, instances
    knows: bool = True
    status: int = 0xFF00
    asked: list[str] = field(default_factory=list)

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        self.asked.append(event.identifier.QueryRetrieveLevel)
        of_series = event.identifier.QueryRetrieveLevel == "SERIES"
        for uid, modality, count in self.series if of_series else [("", "", self.instances)] * self.knows:
            found = Dataset()
            found.StudyInstanceUID = event.identifier.StudyInstanceUID
            if of_series:
                found.SeriesInstanceUID, found.Modality, found.NumberOfSeriesRelatedInstances = uid, modality, count
            elif count is not None:
                found.NumberOfStudyRelatedInstances = count
            yield self.status, found


@pytest.fixture
def archive() -> Iterator[Archive]:
    told, ae = Archive(), AE("ARCHIVE")
    ae.add_supported_context(FIND)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, told.find)])
    told.port = server.server_address[1]
    yield told
    server.shutdown()


class Site:
    """A house whose clock is ours, and which asks the PACS at a port."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.at(0)

    def at(self, seconds: float) -> None:
        self.house.__dict__["now"] = lambda: START + timedelta(seconds=seconds)

    def case(self, study_uid: str = STUDY) -> Case:
        """After the clock has looked."""
        clock.tick(self.house, Bell())
        case = self.house.viewing.case_of_study(study_uid)
        assert case is not None
        return case


@pytest.fixture
def asking(build: Callable[..., House]) -> Callable[[int], Site]:
    def make(port: int, ae_title: str = "ARCHIVE") -> Site:
        peer = {"name": "archive", "ae_title": ae_title, "host": "127.0.0.1", "port": port}
        pacs = [{**peer, "count_instances": True, "timeout_seconds": 3}]
        return Site(build(pacs=pacs, assembly={"quiet_seconds": QUIET, "at_most_seconds": AT_MOST}))

    return make


def test_a_study_of_which_no_more_is_there_is_complete(asking: Callable[[int], Site], archive: Archive) -> None:
    site, archive.instances = asking(archive.port), 1
    receive(site.house, image())
    site.at(QUIET - 1)
    assert site.case().state is CaseState.RECEIVING
    assert archive.asked == []
    site.at(QUIET)
    assert site.case().complete_because is Because.COUNT


def test_where_more_is_there_the_study_waits_and_the_archive_is_asked_again(
    asking: Callable[[int], Site], archive: Archive
) -> None:
    site, archive.instances = asking(archive.port), 3
    receive(site.house, image())
    site.at(QUIET)
    assert (site.case().state, site.case().lacks) == (CaseState.RECEIVING, "2 of 3 instances that archive has")
    site.at(2 * QUIET - 1)
    site.case()
    assert archive.asked.count("STUDY") == 1
    archive.instances = 2  # one was deleted there
    site.at(2 * QUIET)
    assert site.case().lacks == "1 of 2 instances that archive has"
    receive(site.house, image())
    site.at(3 * QUIET)
    assert (site.case().complete_because, site.case().lacks) == (Because.COUNT, "")


def test_what_never_comes_is_waited_for_until_the_time_out(asking: Callable[[int], Site], archive: Archive) -> None:
    site, archive.instances = asking(archive.port), 3
    receive(site.house, image())
    for seconds in range(QUIET, AT_MOST, QUIET):
        site.at(seconds)
        assert site.case().state is CaseState.RECEIVING
    site.at(AT_MOST)
    assert (site.case().complete_because, site.case().lacks) == (Because.TIME_OUT, "2 of 3 instances that archive has")


def test_reports_there_and_our_own_documents_are_not_waited_for(
    asking: Callable[[int], Site], archive: Archive
) -> None:
    """Where each series is counted those of images count; else what we have sent is taken off."""
    site = asking(archive.port)
    receive(site.house, image(series_uid=SERIES))
    case = site.case()
    ours = {"case_id": case.id, "version": 1, "destination": "archive", "file": "", "state": "delivered"}
    documents = [("sr", "1.55", "1.5"), ("capture", "1.66", "1.6"), ("capture", "1.67", "1.6")]
    rows = [{**ours, "kind": kind, "document_id": uid, "series_uid": series} for kind, uid, series in documents]
    with site.house.database.writing() as connection:
        connection.execute(sa.insert(deliveries), rows)
    archive.instances = 9
    archive.series = [(SERIES, "DX", 1), ("1.5", "SR", 1), ("1.6", "OT", 2), ("1.7", "SR", 5)]
    site.at(QUIET)
    assert site.case().complete_because is Because.COUNT
    archive.instances, archive.series = 5, [(SERIES, "DX", None)]
    receive(site.house, image(series_uid=SERIES))
    site.at(3 * QUIET)
    assert site.case().complete_because is Because.COUNT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"knows": False}, "does not know the study"),
        ({"instances": None}, "does not tell how much"),
        ({"status": 0xC001}, "0xC001"),
        ({"port": 1}, "no connection"),
    ],
)
def test_an_archive_that_cannot_tell_leaves_it_to_the_quiet_time(
    asking: Callable[[int], Site], archive: Archive, change: dict[str, object], reason: str
) -> None:
    for name, value in change.items():
        setattr(archive, name, value)
    site = asking(archive.port)
    receive(site.house, image())
    site.at(QUIET)
    case = site.case()
    assert case.complete_because is Because.QUIET
    (untold,) = [event.detail for event in site.house.viewing.events(case.id) if event.event == "count not told"]
    assert reason in str(untold["reason"])


def test_doctor_says_who_may_not_be_asked(asking: Callable[[int], Site], archive: Archive) -> None:
    site = asking(archive.port)
    assert site.house.archives
    (finding,) = site.house.archives.findings()
    assert (finding.about, finding.well) == ("count at PACS archive", True)
    archive.status = 0xC001
    (finding,) = site.house.archives.findings()
    assert not finding.well
    assert finding.text.endswith("let RADPLUG query there, or set count_instances = false")


@contextmanager
def silence() -> Iterator[tuple[int, threading.Event]]:
    """Somebody who takes connections and says nothing; whether somebody has called."""
    called = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            taken.append(server.accept()[0])
            called.set()

        threading.Thread(target=take, daemon=True).start()
        yield server.getsockname()[1], called
        for connection in taken:
            connection.close()


def test_the_clock_goes_on_while_an_archive_says_nothing(asking: Callable[[int], Site]) -> None:
    with silence() as (port, called):
        site = asking(port)
        receive(site.house, image())
        site.at(QUIET)
        stop = threading.Event()
        ticking = threading.Thread(target=clock.run, args=(site.house, Bell(), stop))
        ticking.start()
        assert called.wait(20)
        receive(site.house, image("1.2.77", sop_instance_uid="1.1"))
        announced = Signal("1.9", Kind.IAN, Progress.COMPLETED, frozenset({"1.2.77"}), frozenset({"1.1"}))
        site.house.signals.add(announced, "PACS", site.house.now())

        def closed() -> dict[str, datetime | None]:
            return {case.study_uid: case.closed_at for case in site.house.viewing.cases()}

        wait_until(lambda: closed()["1.2.77"], 20, "the other study is closed")
        assert closed()[STUDY] is None
        wait_until(lambda: closed()[STUDY], 20, "the archive is given up")
        stop.set()
        ticking.join()
        case = site.house.viewing.case_of_study(STUDY)
        assert case is not None
        assert case.complete_because is Because.QUIET


def test_orthanc_is_asked_what_it_has(asking: Callable[..., Site], tmp_path: Path) -> None:
    tool("Orthanc")
    http, dicom = free_port(), free_port()
    study = synthetic_study.write(tmp_path / "study", 1_000_000_001, datetime.now(UTC), views=3, size=64)
    with orthanc(tmp_path / "orthanc", http, dicom, free_port()) as server:
        for file in study.files:
            send(file, server.peer, calling_ae="MODALITY", timeout=30)
        site = asking(dicom, "ORTHANC")
        first, *rest = map(read_instance, study.files)
        receive(site.house, first)
        site.at(QUIET)
        assert site.case(study.study_uid).lacks == "2 of 3 instances that archive has"
        for instance in rest:
            receive(site.house, instance)
        site.at(2 * QUIET)
        assert site.case(study.study_uid).complete_because is Because.COUNT


@contextmanager
def dcmqrscp(root: Path) -> Iterator[Peer]:
    """DCMTK's archive, which finds studies and counts nothing."""
    program, peer = tool("dcmqrscp"), Peer("QRSCP", "127.0.0.1", free_port())
    (root / "store").mkdir(parents=True)
    (root / "dcmqrscp.cfg").write_text(
        f"NetworkTCPPort = {peer.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQRSCP {root / 'store'} RW (9, 1024mb) ANY\nAETable END\n"
    )
    with subprocess.Popen([program, "-c", root / "dcmqrscp.cfg"], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(peer), 20, "dcmqrscp answers")
            yield peer
        finally:
            process.terminate()


def answers(peer: Peer) -> bool:
    with socket.socket() as client:
        return client.connect_ex((peer.host, peer.port)) == 0


def test_an_archive_of_dcmtks_does_not_tell(asking: Callable[..., Site], tmp_path: Path) -> None:
    study = synthetic_study.write(tmp_path / "study", 1_000_000_001, datetime.now(UTC), views=2, size=64)
    with dcmqrscp(tmp_path / "qrscp") as peer:
        for file in study.files:
            send(file, peer, calling_ae="MODALITY", timeout=30)
        site = asking(peer.port, "QRSCP")
        receive(site.house, read_instance(study.files[0]))
        site.at(QUIET)
        assert site.case(study.study_uid).complete_because is Because.QUIET
