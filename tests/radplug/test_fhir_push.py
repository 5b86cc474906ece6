"""Drafts to a FHIR server: valid, partial, once, brought up to date, and never over what somebody has signed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from houses import send_study

from dicom_io import report_checks, report_reading
from dicom_io.reading import read_instance
from dicom_io.report import BANNER
from radplug import pipeline
from radplug.acceptance.simulated_fhir_server import SimulatedFhirServer
from radplug.domain import (
    Case,
    CaseState,
    Delivery,
    DeliveryRefused,
    DeliveryState,
    DestinationUnavailable,
    Dictation,
    DocumentKind,
    Received,
)
from radplug.fhir.checks import check, sr_of
from radplug.wiring import House

TOKEN = "the server's token"


@pytest.fixture
def server() -> Iterator[SimulatedFhirServer]:
    with SimulatedFhirServer(TOKEN) as server:
        yield server


@pytest.fixture
def house(build: Callable[..., House], server: SimulatedFhirServer, tmp_path: Path) -> House:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    return build(fhir=[{"name": "fhir", "url": server.url, "token_file": token, "timeout_seconds": 5}])


def drafted(house: House, folder: Path) -> Case:
    case = send_study(house, folder)
    pipeline.draft(house, case.id, "worker")
    return house.viewing.case(case.id)


def dictated_anew(house: House, case: Case) -> None:
    house.receiving.add_dictation(
        Dictation("FINDINGS", "Heart <large> & calm.", "test", house.now(), case.accession_number)
    )
    pipeline.draft(house, case.id, "worker")


def deliver(house: House, case: Case) -> Delivery:
    pipeline.deliver(house, case.id)
    return house.viewing.deliveries(case.id)[-1]


def document(house: House, delivery: Delivery) -> bytes:
    return house.store.path(delivery.document.file).read_bytes()


def test_a_draft_arrives_as_a_valid_partial_report_with_text_and_sr(
    house: House, server: SimulatedFhirServer, tmp_path: Path
) -> None:
    case = drafted(house, tmp_path / "study")
    sent = deliver(house, case)
    assert (sent.document.kind, sent.state, sent.outcome) == (
        DocumentKind.FHIR,
        DeliveryState.DELIVERED,
        "created, the server's version 1",
    )
    assert house.viewing.case(case.id).state is CaseState.DELIVERED
    (kept,) = server.of_study(case.study_uid)
    report = DiagnosticReport.model_validate(kept)
    assert json.loads(report.model_dump_json())["status"] == report.status == "partial"
    assert DiagnosticReport.model_validate_json(report.model_dump_json()) == report
    text, sr = (form.data for form in report.presentedForm)
    assert text.decode().startswith(BANNER)
    assert not report_checks.check(sr)
    draft = house.viewing.drafts(case.id)[-1]
    said = [each.valueString for each in report.contained if each.get_resource_type() == "Observation"]
    assert said[0] == BANNER
    read = report_reading.read(sr)
    assert said[1:] == ["\n".join(p.text for p in s.paragraphs) for s in read.report.sections]
    assert [section.text for section in draft.text.sections if section.text] == [
        s for s in said[1:] if "No text" not in s
    ]
    patient = next(each for each in report.contained if each.get_resource_type() == "Patient")
    assert (patient.identifier[0].value, patient.birthDate.strftime("%Y%m%d")) == (
        case.patient.id,
        case.patient.birth_date,
    )


def test_a_later_version_takes_the_place_of_the_earlier_and_a_resend_changes_nothing(
    house: House, server: SimulatedFhirServer, tmp_path: Path
) -> None:
    case = drafted(house, tmp_path / "study")
    first = deliver(house, case)
    assert house.destinations.send(first) == "the server has this version already"
    dictated_anew(house, case)
    second = deliver(house, case)
    assert second.outcome == "updated, the server's version 2"
    assert len(server.reports) == 1
    one, two = server.of_study(case.study_uid)
    assert one["identifier"] == two["identifier"]
    assert "Heart &lt;large&gt; &amp; calm." in two["text"]["div"]
    assert report_reading.read(sr_of(document(house, second))).predecessor.sop_instance_uid == first.document.id
    pipeline.deliver(house, case.id)
    with pytest.raises(DeliveryRefused, match="has a later version of this draft"):
        house.destinations.send(first)
    assert len(server.of_study(case.study_uid)) == 2


def test_what_somebody_has_signed_there_is_left_alone(
    house: House, server: SimulatedFhirServer, tmp_path: Path
) -> None:
    case = drafted(house, tmp_path / "study")
    deliver(house, case)
    versions = server.of_study(case.study_uid)
    versions.append({**versions[-1], "status": "final", "meta": {"versionId": "2"}})
    dictated_anew(house, case)
    refused = deliver(house, case)
    assert refused.state is DeliveryState.DEAD
    assert "report is final by now" in refused.outcome
    assert len(versions) == 2


def test_a_report_changed_between_looking_and_writing_is_looked_at_again(
    house: House, server: SimulatedFhirServer, tmp_path: Path
) -> None:
    case = drafted(house, tmp_path / "study")
    deliver(house, case)
    dictated_anew(house, case)
    versions = server.of_study(case.study_uid)
    versions[-1]["meta"]["versionId"] = "7"  # what was seen is not what is there
    waits = deliver(house, case)
    assert (waits.state, waits.outcome) == (
        DeliveryState.WAITING,
        "PUT DiagnosticReport: 412 (conflict at DiagnosticReport)",
    )
    versions[-1]["meta"]["versionId"] = "1"
    assert house.destinations.send(waits) == "updated, the server's version 2"


def test_a_server_that_cannot_just_now_is_asked_again(
    house: House, server: SimulatedFhirServer, tmp_path: Path
) -> None:
    case = drafted(house, tmp_path / "study")
    server.refusing = 503
    waits = deliver(house, case)
    assert waits.state is DeliveryState.WAITING
    for status in (401, 403, 429, 500):
        server.refusing = status
        with pytest.raises(DestinationUnavailable, match=rf"GET DiagnosticReport: {status} \(processing"):
            house.destinations.send(waits)
    server.refusing = 0
    assert house.destinations.send(waits).startswith("created")


def test_a_server_that_is_away_has_the_report_once_it_is_back(
    house: House, server: SimulatedFhirServer, tmp_path: Path
) -> None:
    case = drafted(house, tmp_path / "study")
    with server.away():
        assert deliver(house, case).state is DeliveryState.WAITING
    assert house.destinations.send(house.viewing.deliveries(case.id)[-1]).startswith("created")
    assert len(server.reports) == 1


def test_what_is_refused_for_good_is_a_dead_letter_that_can_be_resent(
    house: House, server: SimulatedFhirServer, tmp_path: Path
) -> None:
    case = drafted(house, tmp_path / "study")
    server.refusing = 422
    assert deliver(house, case).state is DeliveryState.DEAD
    server.refusing = 0
    house.delivering.resend(case.id, house.now())
    assert deliver(house, case).state is DeliveryState.DELIVERED


def test_a_missing_token_is_said_and_mended_without_restart(
    build: Callable[..., House], server: SimulatedFhirServer, tmp_path: Path
) -> None:
    token = tmp_path / "later"
    house = build(fhir=[{"name": "fhir", "url": server.url, "token_file": token}])
    case = drafted(house, tmp_path / "study")
    waits = deliver(house, case)
    assert waits.outcome == f"token_file {token}: No such file or directory"
    token.write_text(TOKEN)
    assert house.destinations.send(waits).startswith("created")


def test_reports_of_others_in_the_servers_answer_are_none_of_our_business(
    house: House, server: SimulatedFhirServer, tmp_path: Path
) -> None:
    case = drafted(house, tmp_path / "study")
    theirs = json.loads(document(house, house.viewing.deliveries(case.id)[-1])) | {"id": "theirs"}
    theirs["identifier"] = [{"system": "urn:other", "value": case.study_uid}]
    server.reports["theirs"] = [theirs]
    server.careless = True
    assert deliver(house, case).outcome.startswith("created")
    assert len(server.reports["theirs"]) == 1


def test_the_sr_within_is_known_when_a_pacs_sends_it_back(house: House, tmp_path: Path) -> None:
    case = drafted(house, tmp_path / "study")
    sr = tmp_path / "sr.dcm"
    sr.write_bytes(sr_of(document(house, house.viewing.deliveries(case.id)[-1])))
    assert pipeline.receive(house, read_instance(sr), b"", sr.read_bytes(), "PACS") is Received.OURS


def changed(**elements: Any) -> Callable[[dict[str, Any]], None]:
    return lambda report: report.update(elements)


def observed(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in report["contained"] if each["resourceType"] == "Observation"]


SPOILT: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    *((f"status {status}", changed(status=status)) for status in ("final", "preliminary", "amended", "registered")),
    ("interpreter", changed(resultsInterpreter=[{"display": "Dr. Nobody"}])),
    ("performer", changed(performer=[{"display": "Dr. Nobody"}])),
    ("conclusion", changed(conclusion="Normal.")),
    ("identifier", changed(identifier=[])),
    ("issued", lambda report: report.pop("issued")),
    ("study", lambda report: report.pop("imagingStudy")),
    ("final section", lambda report: observed(report)[1].update(status="final")),
    ("signed section", lambda report: observed(report)[1].update(performer=[{"display": "Dr. Nobody"}])),
    ("no banner", lambda report: observed(report)[0].update(valueString="Report")),
    ("no SR", lambda report: report["presentedForm"].pop()),
    ("unknown element", changed(verified=True)),
    ("unknown resource", lambda report: report["contained"].append({"resourceType": "Signature2"})),
]


def test_whatever_is_not_plainly_a_draft_never_leaves(
    house: House, server: SimulatedFhirServer, tmp_path: Path
) -> None:
    case = drafted(house, tmp_path / "study")
    (delivery,) = house.viewing.deliveries(case.id)
    fit, file = document(house, delivery), house.store.path(delivery.document.file)
    assert check(fit) == ()
    for what, spoil in SPOILT:
        report = json.loads(fit)
        spoil(report)
        file.write_text(json.dumps(report))
        with pytest.raises(DeliveryRefused, match="not fit to be sent"):
            raise AssertionError(f"{what}: {house.destinations.send(delivery)}")
    assert deliver(house, case).state is DeliveryState.DEAD
    assert server.asked == []


def test_a_pacs_and_a_fhir_server_get_the_same_sr(
    build: Callable[..., House], server: SimulatedFhirServer, tmp_path: Path
) -> None:
    house = build(
        pacs=[{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}],
        fhir=[{"name": name, "url": server.url} for name in ("a", "b")],
    )
    case = drafted(house, tmp_path / "study")
    pacs, a, b = house.viewing.deliveries(case.id)
    assert pacs.document.id == a.document.id == b.document.id
    assert document(house, pacs) == sr_of(document(house, a))
    assert a.document == b.document
