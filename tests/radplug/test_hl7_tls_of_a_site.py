"""HL7 over TLS as a site has it: its station for messages, results to a reporting system, what doctor says of both."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority
from houses import send_study
from peers import free_port, wait_until
from secured_sites import refusals, settings_of, waits_for_the_right_files

from dicom_io.certificates import Files
from dicom_io.tls import accepting, calling
from hl7.acknowledgement import acknowledge
from hl7.errors import NoTls
from hl7.listener import Listener, Secure
from hl7.message import Message
from hl7.mllp import exchange
from radplug.doctor import examine
from radplug.settings import load
from radplug.wiring import House

ORDER = b"MSH|^~\\&|RIS|H|RADPLUG|H|20261124||ORM^O01|1|P|2.3\rORC|NW|P1|F1\rOBR|1|P1|F1|||||||||||||||ACC1\r"


@pytest.fixture
def ris(hospital: Authority) -> Iterator[int]:
    """A reporting system that wants a certificate of the hospital; its port."""
    secure = Secure(lambda: accepting(hospital.vouches("ris")), lambda address, error: None)
    answer: Callable[[bytes], bytes] = lambda raw: acknowledge(Message.parse(raw), "AA")  # noqa: E731
    with Listener("127.0.0.1", 0, answer, secure=secure) as listener:
        yield listener.port


def reporting_at(port: int, files: Files) -> dict[str, object]:
    return {"name": "ris", "host": "127.0.0.1", "port": port, "tls": settings_of(files)}


def test_a_result_waits_for_a_certificate_that_the_reporting_system_takes_and_then_goes(
    build: Callable[..., House], tmp_path: Path, ris: int, hospital: Authority, stranger: Authority
) -> None:
    files = hospital.vouches("radplug")
    house = build(reporting=[reporting_at(ris, files)])
    case = send_study(house, tmp_path / "study")
    assert waits_for_the_right_files(house, case, files, stranger.vouches("other")) == "AA"


def test_a_station_with_tls_alone_takes_orders_and_notes_who_is_refused(
    tmp_path: Path, hospital: Authority, stranger: Authority
) -> None:
    file, port = tmp_path / "radplug.toml", free_port()
    tls = "\n".join(f'{name} = "{value}"' for name, value in settings_of(hospital.vouches("radplug")).items())
    file.write_text(f'[store]\ndata = "{tmp_path / "data"}"\nkeep_free_mib = 1\n[hl7.tls]\nport = {port}\n{tls}\n')
    house = House(load(file), "test")
    house.database.migrate()
    command = [sys.executable, "-m", "radplug.cli", "--config", str(file), "hl7"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as station:
        wait_until(lambda: any(one.ready_at for one in house.stations.all()), 30, "the station is ready")
        (row,) = house.stations.all()
        assert row.detail == f"127.0.0.1:{port} (TLS)"
        context = calling(hospital.vouches("ris"))
        answer = Message.parse(exchange(ORDER, "127.0.0.1", port, timeout=10, tls=context))
        assert answer.get("MSA", 1) == "AA"
        intruder = calling(Files(hospital.file, stranger.vouches("intruder").own))
        with pytest.raises(NoTls):
            exchange(ORDER, "127.0.0.1", port, timeout=10, tls=intruder)
        wait_until(lambda: refusals(house), 10, "the refusal is noted")
        station.terminate()
    actor, detail = refusals(house)[0]
    assert (actor, detail["address"]) == ("hl7", "127.0.0.1")
    assert "signed by nobody in our `ca` file" in detail["reason"]
    house.database.close()


def test_doctor_tries_the_handshake_and_looks_at_the_files(
    build: Callable[..., House], ris: int, hospital: Authority, stranger: Authority
) -> None:
    ours, late = hospital.vouches("radplug"), hospital.vouches("late", days=20)
    house = build(reporting=[reporting_at(ris, ours)], hl7={"tls": {"port": 2576, **settings_of(late)}})
    found = {one.about: one for one in examine(house)}
    assert found["reporting system ris"].well
    assert "accepts connections with TLS" in found["reporting system ris"].text
    assert found["TLS with reporting system ris"].well
    assert not found["TLS of HL7 in"].well
    assert "in 19 days; have it renewed" in found["TLS of HL7 in"].text
    other = build(reporting=[reporting_at(ris, Files(hospital.file, stranger.vouches("other").own))])
    (told,) = (one for one in examine(other) if one.about == "reporting system ris")
    assert not told.well
    assert "does not take our certificate" in told.text
