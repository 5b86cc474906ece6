"""FHIR: the report at a server, and a reporting session at a FHIRcast hub, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from radplug.acceptance.check import Check
from radplug.acceptance.checks_of_dictation import ANCHORS, dictate
from radplug.acceptance.expecting import expect, needed
from radplug.acceptance.returned import SECTION_CODES, anchors_stand
from radplug.acceptance.simulated_hub import SimulatedHub, observation
from radplug.acceptance.ward import Ward
from radplug.fhir.checks import check

GROUP = "fhir"
NO_SERVER = "the target names no fhir_port"
NO_HUB = "the target names no hub_port"


def _texts(resources: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The text of each section, by the code of its Observation."""
    observations = [each for each in resources if each["resourceType"] == "Observation"]
    return {each["code"]["coding"][0]["code"]: each["valueString"] for each in observations}


def _report(ward: Ward) -> str:
    server, study = needed(ward.fhir, NO_SERVER), ward.study()
    dictate(ward, study)
    ward.send(study.files)
    ward.settled(study.order.accession_number)
    versions = server.of_study(study.study_uid)
    expect(len(versions) == 1, f"{len(versions)} reports came")
    faults = check(json.dumps(versions[0]).encode())
    expect(not faults, "; ".join(faults))
    expect(anchors_stand(ANCHORS, SECTION_CODES, _texts(versions[0]["contained"])), "not all phrases stand in it")
    return f"one DiagnosticReport, {versions[0]['status']}, with {len(ANCHORS)} phrases, text and SR"


def _server_away(ward: Ward) -> str:
    server, study = needed(ward.fhir, NO_SERVER), ward.study()
    with server.away():
        ward.send(study.files)
        ward.with_delivery(study, lambda one: one["kind"] == "fhir" and one["attempts"] > 0, "a first attempt")
    ward.settled(study.order.accession_number)
    versions = server.of_study(study.study_uid)
    expect(len(versions) == 1, f"{len(versions)} reports came")
    return "the report came once, after the server was back"


def _session(ward: Ward) -> str:
    hub, study = needed(ward.hub, NO_HUB), ward.study()
    expect(hub.wait_for(lambda: hub.joined, ward.patience), "nobody has joined the session")
    report = f"report-{study.order.accession_number}"
    expect(hub.open(report, study.study_uid, study.order.accession_number) == 200, "the report was not followed")
    for number, anchor in enumerate(ANCHORS):
        answer = hub.put(report, observation(f"dictated-{number}", anchor.text, SECTION_CODES[anchor.section]))
        expect(answer == 200, f"a phrase was answered {answer}")
    ward.send(study.files)
    ward.settled(study.order.accession_number)
    sr = ward.srs(study)[-1]
    expect(anchors_stand(ANCHORS, SECTION_CODES, sr.texts), "not all phrases stand in the SR")
    expect(hub.wait_for(lambda: bool(_drafts(hub)), ward.patience), "no draft was put into the open report")
    statuses = {each["status"] for each in _drafts(hub)}
    expect(statuses == {"partial"}, f"the draft is {', '.join(statuses)}")
    ours = [each for key, each in hub.content.items() if not key.startswith("Observation/dictated-")]
    expect(anchors_stand(ANCHORS, SECTION_CODES, _texts(ours)), "not all phrases stand in the shared draft")
    hub.close(report)
    return f"{len(ANCHORS)} phrases, in the SR and in the draft that was put into the open report"


def _drafts(hub: SimulatedHub) -> list[dict[str, Any]]:
    return [each for each in hub.content.values() if each["resourceType"] == "DiagnosticReport"]


CHECKS = (
    Check("fhir-report", GROUP, "phrases, then a radiograph", "a valid DiagnosticReport, partial, with them", _report),
    Check("fhir-away", GROUP, "the FHIR server is down, then up", "the report comes, once", _server_away),
    Check("fhircast", GROUP, "phrases put into an open report", "each stands, and the draft beside it", _session),
)
