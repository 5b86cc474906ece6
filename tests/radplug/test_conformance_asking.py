"""What the statements say of requests is so: each service asks for what is stated of it, by DICOM, HTTP and FHIR."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from houses import send_study
from image_samples import image, part10
from peers import free_port
from pydicom import Dataset
from pynetdicom import AE, evt
from statements import Statement
from web_servers import WebServer

from dicom_io import committing
from dicom_io.association import Peer
from dicom_io.commitment import Reference, Result
from dicom_io.dicomweb.fetching import fetch
from dicom_io.dicomweb.querying import find_series, find_studies
from dicom_io.dicomweb.server import Server
from dicom_io.dicomweb.stow import store
from dicom_io.dicomweb.workitems import UpsRs
from dicom_io.errors import DicomError
from dicom_io.pulling import UpsPull
from dicom_io.retrieving import find_holdings, get_study, move_study
from dicom_io.retrieving import find_series as find_series_of
from dicom_io.retrieving import find_studies as find_studies_of
from dicom_io.scheduled import find_scheduled
from dicom_io.sending import echo
from dicom_io.workitems import Code, Step
from radplug import pipeline
from radplug.conformance import hl7_statement, queries, services, web_services
from radplug.conformance.facts import Role, Service
from radplug.settings import Settings
from radplug.web import stow
from radplug.wiring import House

SITE = Settings()
STATION = Code("RADPLUG", "99HOSPITAL")
STUDY, SERIES, WORKITEM = "1.2.3", "1.2.3.4", "1.2.3.5"
AS_US = {"calling_ae": "RADPLUG", "timeout": 5.0}
BY_DELIVERY = {"Storage of draft reports", "Storage Commitment of draft reports"}  # tried where drafts are sent

# ── by DICOM ──

Offer = tuple[str, str, str]  # abstract syntax, transfer syntax, our roles
DIMSE: Mapping[str, Sequence[Callable[[Peer], object]]] = {
    "Verification": [lambda peer: echo(peer, **AS_US)],
    "Counting of a study's instances": [lambda peer: find_holdings(STUDY, peer, **AS_US)],
    "Search for earlier studies": [
        lambda peer: find_studies_of("4711", peer, **AS_US),
        lambda peer: find_series_of(STUDY, peer, **AS_US),
    ],
    "Retrieval of earlier studies by C-MOVE": [lambda peer: move_study(STUDY, "RADPLUG", peer, **AS_US, seconds=5)],
    "Retrieval of earlier studies by C-GET": [
        lambda peer: get_study(STUDY, lambda arrival: None, peer, **AS_US, seconds=5)
    ],
    "Modality Worklist": [lambda peer: find_scheduled(peer, accession_number="A1", **AS_US)],
    "Workitems by UPS Pull": [
        lambda peer: UpsPull(peer, **AS_US).search(STATION, None, 1),
        lambda peer: UpsPull(peer, **AS_US).retrieve(WORKITEM),
        lambda peer: UpsPull(peer, **AS_US).change(WORKITEM, "1.2.6", Step.IN_PROGRESS),
        lambda peer: UpsPull(peer, **AS_US).update(WORKITEM, "1.2.6", Dataset()),
    ],
    "Retrieval of workitems' inputs by C-MOVE": [
        lambda peer: move_study(STUDY, "RADPLUG", peer, series_uid=SERIES, **AS_US, seconds=5)
    ],
    "Retrieval of workitems' inputs by C-GET": [
        lambda peer: get_study(STUDY, lambda arrival: None, peer, series_uid=SERIES, **AS_US, seconds=5)
    ],
    "Storage Commitment of received instances": [
        lambda peer: committing.report(peer, Result("1.2.3", (Reference("1.2", "1.2.4"),)), **AS_US)
    ],
}


@contextmanager
def nobodys_friend() -> Iterator[tuple[Peer, list[set[Offer]]]]:
    """A peer that takes associations and nothing on them; what was proposed on each."""
    proposed: list[set[Offer]] = []

    def note(event: evt.Event) -> None:
        requestor = event.assoc.requestor
        roles = {uid: item.scp_role for uid, item in requestor.role_selection.items()}
        proposed.append(
            {
                (str(context.abstract_syntax), str(syntax), "SCP" if roles.get(context.abstract_syntax) else "default")
                for context in requestor.primitive.presentation_context_definition_list
                for syntax in context.transfer_syntax
            }
        )

    ae, port = AE("PEER"), free_port()
    ae.add_supported_context("1.2.840.10008.1.42.1")
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_REQUESTED, note)])
    try:
        yield Peer("PEER", "127.0.0.1", port), proposed
    finally:
        server.shutdown()


def test_each_service_proposes_what_is_stated_of_it() -> None:
    every = [service for service in services.services(SITE) if service.proposed and service.name not in BY_DELIVERY]
    assert {service.name for service in every} == set(DIMSE)
    with nobodys_friend() as (peer, proposed):
        for service in every:
            proposed.clear()
            for ask in DIMSE[service.name]:
                with suppress(DicomError):
                    ask(peer)
            stated = {(c.sop_class_uid, syntax, c.roles) for c in service.proposed for syntax in c.syntaxes}
            assert proposed == [stated] * len(DIMSE[service.name]), service.name


def test_what_comes_by_c_get_does_not_make_us_a_storage_scu() -> None:
    assert queries.priors_get(SITE).sop_classes == ("1.2.840.10008.5.1.4.1.2.2.3",)


# ── by HTTP ──

USERS: Mapping[Callable[[Settings], Service], Sequence[Callable[[Server], object]]] = {
    web_services.stow_user: [lambda server: store(part10(image(np.zeros((8, 8), np.uint8))), server)],
    web_services.priors_user: [
        lambda server: find_studies("4711", server),
        lambda server: find_series(STUDY, server),
        lambda server: list(fetch(server, STUDY)),
    ],
    web_services.workitems_user: [
        lambda server: UpsRs(server).search(STATION, None, 1),
        lambda server: UpsRs(server).retrieve(WORKITEM),
        lambda server: UpsRs(server).change(WORKITEM, "1.2.6", Step.IN_PROGRESS),
        lambda server: UpsRs(server).update(WORKITEM, "1.2.6", Dataset()),
    ],
    web_services.inputs_user: [
        lambda server: list(fetch(server, STUDY, source="WEB")),
        lambda server: list(fetch(server, STUDY, SERIES, source="WEB")),
    ],
}


def fits(asked: str, stated: str) -> bool:
    """Whether a request is of the stated form, with the keys that this names, and perhaps others."""
    given, named = urlsplit(asked), urlsplit(stated)
    form = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(named.path))
    return bool(re.fullmatch(form, given.path)) and parse_qs(named.query).keys() <= parse_qs(given.query).keys()


def test_a_user_agent_asks_what_is_stated_of_it() -> None:
    empty = WebServer(404)
    with empty.running() as address:
        for service, requests in USERS.items():
            empty.asked.clear()
            for request in requests:
                with suppress(DicomError):
                    request(Server(address, timeout=5))
            asked, stated = [f"{one.method} {one.path}" for one in empty.asked], service(SITE).web
            assert len(asked) == len(stated)
            assert all(any(fits(one, each) for each in stated) for one in asked), asked
            assert all(any(fits(one, each) for one in asked) for each in stated), asked


def test_every_user_agent_is_tried() -> None:
    agents = {service.name for service in services.services(SITE) if service.role is Role.USER_AGENT}
    assert agents == {service(SITE).name for service in USERS}


def test_the_origin_server_has_what_is_stated() -> None:
    routes = {f"{method} {route.path}" for route in stow.router.routes for method in route.methods}  # type: ignore[attr-defined]
    assert {each.replace("{study}", "{study_uid}") for each in web_services.stow_origin(SITE).web} == routes


# ── FHIR, and TLS of HL7 ──


def test_a_fhir_server_is_sent_resources_as_they_are_stated(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(fhir=[{"name": "fhir", "url": "http://127.0.0.1:1/fhir"}])
    case = send_study(house, tmp_path / "study")
    pipeline.draft(house, case.id, "worker")
    statement = Statement(hl7_statement.statement(house.settings, date(2026, 1, 1))).section("FHIR")
    ((_, rows),) = statement.tables("Resource", "Status", "Elements")
    stated = {kind: (status, set(re.findall(r"\w+", elements))) for kind, status, elements in rows}
    (delivery,) = house.viewing.deliveries(case.id)
    made = json.loads(house.store.path(delivery.document.file).read_bytes())
    for resource in (made, *made["contained"]):
        status, elements = stated[resource["resourceType"]]
        assert resource.get("status", "") == status
        assert resource.keys() - {"resourceType", "id", "contained"} <= elements


@pytest.mark.parametrize("plain", [True, False])
def test_tls_of_hl7_is_stated_where_it_is_set(plain: bool) -> None:
    files = {"certificate": "/ours.pem", "key": "/ours.key", "ca": "/ca.pem"}
    settings = Settings(
        hl7={"tls": {"port": 2576, **files}, **({"port": 2575} if plain else {})},
        reporting=[
            {"name": "a", "host": "a.example", "port": 1, "tls": {"ca": "/ca.pem", "server_name": "b.example"}},
            {"name": "plain", "host": "c.example", "port": 1},
        ],
    )
    statement = Statement(hl7_statement.statement(settings, date(2026, 1, 1)))
    received = statement.section("Messages that are received")
    ports = "port 2575 and 2576 with TLS" if plain else "port 2576 with TLS"
    assert received.value("Listens on").endswith(ports)
    assert ("plain, or with TLS" in received.value("Transport")) == plain
    assert "must show a certificate" in received.value("Transport")
    assert "with TLS" in (secured := statement.section("To a").value("Transport"))
    assert "b.example" in secured
    assert "without TLS" in statement.section("To plain").value("Transport")


def test_fhircast_is_stated_as_it_is_set() -> None:
    heard = {"url": "https://hub.example", "topics": {"room-1": "a"}}
    for publish, sent in ((True, ["DiagnosticReport-update", "syncerror"]), (False, ["syncerror"])):
        settings = Settings(fhircast={**heard, "publish": publish})
        statement = Statement(hl7_statement.statement(settings, date(2026, 1, 1))).section("FHIRcast")
        assert re.findall(r"[\w-]+", statement.value("Events that are sent")) == sent
