"""Storage commitment as whole sites have it: with Orthanc in both roles, a PACS that denies, and TLS."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import authority
from commitment_peers import pacs
from houses import send_study
from peers import free_port, tool, wait_until
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification
from sites import PACS_AE, Hospital, hospital
from test_orthanc import orthanc

from dicom_io import tls
from dicom_io.commitment import FailureReason, Reference, Request, Result
from dicom_io.sending import send
from radplug import clock, pipeline
from radplug.commitment_desk import CommitmentDesk
from radplug.doctor.commitment import findings
from radplug.domain import Case, CaseState
from radplug.settings import SettingsError, load
from radplug.wiring import House


def destination(ae_title: str, port: int) -> str:
    return f'[[pacs]]\nname = "pacs"\nae_title = "{ae_title}"\nhost = "127.0.0.1"\nport = {port}\ncommitment = true\n'


def outcome(site: Hospital, case: Case) -> str:
    (delivery,) = site.running.house.viewing.deliveries(case.id)
    return delivery.outcome


def test_what_a_pacs_denies_at_first_is_sent_again_until_it_keeps_it(tmp_path: Path, model: Path) -> None:
    with pacs(PACS_AE) as peer, hospital(tmp_path, model, destinations=destination(PACS_AE, peer.port)) as site:
        study = site.study("study")
        site.send(*study.files)
        wait_until(lambda: peer.asked, 60, "the PACS is asked")
        assert peer.call_back(site.listener.port, FailureReason.NO_SUCH_INSTANCE) == 0x0000
        wait_until(lambda: len(peer.asked) == 2, 30, "the PACS is asked again")
        assert peer.call_back(site.listener.port) == 0x0000
        case = site.wait_for(study, CaseState.DELIVERED, 1)
        assert outcome(site, case) == "stored and committed"
        assert len(peer.stored) == 2
        assert len(set(peer.stored)) == 1


def test_orthanc_keeps_what_we_send_and_is_told_that_we_keep_what_it_sent(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool("Orthanc")
    http, dicom = free_port(), free_port()
    monkeypatch.setenv("RADPLUG_LISTENER__COMMITMENT", "true")
    with (
        hospital(tmp_path / "site", model, destinations=destination("ORTHANC", dicom)) as site,
        orthanc(tmp_path / "orthanc", http, dicom, site.listener.port) as server,
    ):
        study = site.study("study")
        for file in study.files:
            send(file, server.peer, calling_ae="MODALITY", timeout=30)
        case = site.wait_for(study, CaseState.DELIVERED, 1, 90)
        wait_until(lambda: outcome(site, case) == "stored and committed", 30, lambda: outcome(site, case))

        house = site.running.house
        (kept,) = (one for one in house.drafting.instances(case.id) if one.instance.is_image)
        wanted = {"DicomInstances": [[kept.instance.sop_class_uid, kept.instance.sop_instance_uid]]}

        def asked() -> str:
            """What comes of Orthanc's asking for its image."""
            begun = server.post("/modalities/radplug/storage-commitment", wanted)
            wait_until(lambda: server.get(begun["Path"])["Status"] != "Pending", 30, "Orthanc is told")
            return str(server.get(begun["Path"])["Status"])

        assert asked() == "Success"
        house.store.path(kept.file).unlink()
        assert asked() == "Failure"
        server.post("/modalities/radplug/store", server.get("/studies"))
        assert asked() == "Success"


@pytest.mark.parametrize("address", ["tls://127.0.0.1:{}", "127.0.0.1:{}"], ids=["modality", "PACS"])
def test_a_sender_is_told_over_tls(build: Callable[..., House], tmp_path: Path, address: str) -> None:
    hospital = authority(tmp_path, "hospital")
    ours, theirs = hospital.vouches("radplug"), hospital.vouches("sender")
    assert ours.own
    files = {"ca": ours.authorities, "certificate": ours.own[0], "key": ours.own[1]}
    port, told = free_port(), list[str]()
    listener: dict[str, Any] = {"commitment": True, "commitment_reports": {"CT1": address.format(port)}}
    known: dict[str, Any] = {"listener": listener | {"tls": files}}
    if not address.startswith("tls"):
        known = {"listener": listener, "pacs": [{**NOWHERE, "tls": files}]}
    house = build(**known)

    def hear(event: evt.Event) -> tuple[int, None]:
        told.append(event.event_information.TransactionUID)
        return 0x0000, None

    ae = AE("CT1")
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, hear)]
    server = ae.start_server(("127.0.0.1", port), block=False, ssl_context=tls.accepting(theirs), evt_handlers=handlers)
    try:
        desk = CommitmentDesk(house)
        assert desk.asked(Request("1.2.3", (Reference("1.2", "1.3"),)), "CT1") is False
        desk.answer_due()
    finally:
        server.shutdown()
    assert told == ["1.2.3"]


NOWHERE = {"name": "ct", "ae_title": "CT1", "host": "192.0.2.1", "port": 1}


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.1:0", "http://192.0.2.1:104", "tls://192.0.2.1:104"])
def test_an_address_for_answers_that_could_not_be_called_is_refused(tmp_path: Path, address: str) -> None:
    file = tmp_path / "radplug.toml"
    file.write_text(f'[listener]\ncommitment_reports = {{ CT1 = "{address}" }}\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"commitment_reports.*(wanted is host:port|set .listener.tls.)"):
        load(file)


def test_doctor_says_why_a_pacs_would_not_confirm(build: Callable[..., House]) -> None:
    def told(port: int, *callers: str) -> tuple[bool, str]:
        at = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "commitment": True}
        (finding,) = findings(build(pacs=[at], listener={"calling_ae_titles": callers}))
        return finding.well, finding.text

    takes_no_requests = AE("PACS")
    takes_no_requests.add_supported_context(Verification)
    server = takes_no_requests.start_server(("127.0.0.1", 0), block=False)
    with pacs() as peer:
        assert told(peer.port, "PACS")[0]
        for port, caller, words in (
            (peer.port, "CT1", "lacks PACS"),
            (server.server_address[1], "PACS", "takes nothing"),
        ):
            well, text = told(port, caller)
            assert not well
            assert words in text
    server.shutdown()


def test_what_is_settled_is_dropped_after_a_while(build: Callable[..., House], tmp_path: Path) -> None:
    with pacs() as peer:
        at = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": peer.port}
        house = build(pacs=[{**at, "commitment": True}], listener={"commitment": True})
        case = send_study(house, tmp_path / "study")
        pipeline.draft(house, case.id, "worker")
        pipeline.deliver(house, case.id)
        desk, request = CommitmentDesk(house), Request("1.2.3", (Reference("1.2", "1.3"),))
        desk.asked(request, "CT1")
        (open_one,) = peer.asked
        later = house.now() + clock.COMMITMENTS_KEPT + timedelta(days=1)
        house.__dict__["now"] = lambda: later
        clock.tidy(house)
        assert house.committing.find(open_one.TransactionUID)
        assert desk.answer(request, "CT1").failed
        desk.answered(request, "CT1", "")
        pipeline.take_commitment(house, Result(open_one.TransactionUID, (_reference(open_one),)), "PACS")
        later += clock.COMMITMENTS_KEPT + timedelta(days=1)
        clock.tidy(house)
        assert house.committing.find(open_one.TransactionUID) is None
        with pytest.raises(StopIteration):
            desk.answer(request, "CT1")


def _reference(asked: Dataset) -> Reference:
    (item,) = asked.ReferencedSOPSequence
    return Reference(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
