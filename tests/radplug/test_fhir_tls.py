"""FHIR and FHIRcast by HTTPS: with the hospital's authority, or not at all; and what doctor says of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import authority
from houses import send_study
from peers import free_port, wait_until
from reading_sessions import REPORT, SAID, at_work, events, phrases

from dicom_io.certificates import Files
from radplug import pipeline
from radplug.acceptance.simulated_fhir_server import SimulatedFhirServer
from radplug.acceptance.simulated_hub import TOPIC, SimulatedHub, observation
from radplug.doctor.fhir import findings
from radplug.domain import DeliveryState
from radplug.settings import Settings, SettingsError, load
from radplug.wiring import House


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "hospital").mkdir()
    return authority(tmp_path / "hospital", "hospital").vouches("server")


def test_a_server_is_sent_a_draft_only_where_an_authority_vouches_for_it(
    build: Callable[..., House], files: Files, tmp_path: Path
) -> None:
    with SimulatedFhirServer(tls=files) as server:
        there = {"url": server.url, "timeout_seconds": 5}
        house = build(fhir=[{"name": "known", "ca": files.authorities, **there}, {"name": "unknown", **there}])
        case = send_study(house, tmp_path / "study")
        pipeline.draft(house, case.id, "worker")
        pipeline.deliver(house, case.id)
        known, unknown = house.viewing.deliveries(case.id)
        assert (known.state, unknown.state) == (DeliveryState.DELIVERED, DeliveryState.WAITING)
        assert unknown.outcome == "GET DiagnosticReport: ConnectError"
        assert server.asked == ["GET", "POST"]


def test_a_session_is_followed_by_wss(build: Callable[..., House], files: Files, tmp_path: Path) -> None:
    with SimulatedHub(tls=files) as hub:
        house = build(fhircast={"url": hub.url, "topics": {"room-1": TOPIC}, "ca": files.authorities})
        case = send_study(house, tmp_path / "study")
        with at_work(house):
            assert hub.wait_for(lambda: hub.joined)
            hub.open(REPORT, case.study_uid)
            assert hub.put(REPORT, observation("o1", SAID)) == 200
        assert phrases(house, case) == [("FINDINGS", SAID)]


def test_a_session_whose_authority_is_unknown_is_not_joined(build: Callable[..., House], files: Files) -> None:
    with SimulatedHub(tls=files) as hub:
        house = build(fhircast={"url": hub.url, "topics": {"room-1": TOPIC}})
        with at_work(house):
            wait_until(lambda: events(house, "FHIRcast session lost"), 10, "the session cannot be joined")
        assert hub.subscriptions == 0


def test_doctor_asks_each(files: Files, tmp_path: Path) -> None:
    with SimulatedFhirServer(tls=files) as server, SimulatedHub() as hub:
        closed = f"http://127.0.0.1:{free_port()}"
        settings = Settings(
            fhir=[
                {"name": "well", "url": server.url, "ca": files.authorities},
                {"name": "unknown", "url": server.url},
                {"name": "elsewhere", "url": hub.url},
                {"name": "closed", "url": closed},
                {"name": "bare", "url": server.url, "token_file": tmp_path / "none"},
            ],
            fhircast={"url": hub.url, "topics": {"room-1": TOPIC}},
        )
        said = {finding.about: (finding.well, finding.text) for finding in findings(settings)}
    assert {about.removeprefix("FHIR server "): well for about, (well, _) in said.items()} == {
        "well": True,
        "unknown": False,
        "elsewhere": False,
        "closed": False,
        "bare": False,
        "FHIRcast hub": True,
    }
    assert said["FHIR server well"][1] == f"{server.url} answers, FHIR 4.0.1; only a draft shows whether it takes one"
    assert "tells no fhirVersion" in said["FHIR server elsewhere"][1]
    assert said["FHIR server bare"][1] == f"token_file {tmp_path / 'none'}: No such file or directory"


@pytest.mark.parametrize("section", ['[[fhir]]\nname = "a"\n', '[fhircast]\ntopics = { "a" = "b" }\n'])
def test_patients_data_do_not_leave_the_machine_in_the_open(tmp_path: Path, section: str) -> None:
    file = tmp_path / "radplug.toml"
    file.write_text(f'{section}url = "http://fhir.hospital.example"', encoding="utf-8")
    with pytest.raises(SettingsError, match="https://"):
        load(file)
