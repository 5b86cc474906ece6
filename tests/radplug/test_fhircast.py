"""Reporting sessions: what is dictated at the hub becomes phrases, and the draft stands there as content."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.observation import Observation
from houses import ruled, send_study
from peers import wait_until
from reading_sessions import REPORT, SAID, at_work, events, phrases

from dicom_io.report import BANNER
from radplug import pipeline
from radplug.acceptance.simulated_hub import TOPIC, SimulatedHub, observation
from radplug.desk import Flaw
from radplug.domain import Case, CaseState, Dictation
from radplug.fhir.open_report import OpenReport
from radplug.fhircast.reading_room import ReadingRoom
from radplug.records.schema import dictations
from radplug.wiring import House

TOKEN = "the hub's token"


@pytest.fixture
def hub() -> Iterator[SimulatedHub]:
    with SimulatedHub(TOKEN) as hub:
        yield hub


@pytest.fixture
def home(build: Callable[..., House], hub: SimulatedHub, tmp_path: Path) -> House:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    session = {"url": hub.url, "topics": {"room-1": TOPIC}, "token_file": token, "timeout_seconds": 5}
    return build(fhircast=session, drafting={"assume_body_part": "CHEST"})


@pytest.fixture
def followed(home: House, hub: SimulatedHub) -> Iterator[SimulatedHub]:
    with at_work(home):
        assert hub.wait_for(lambda: hub.joined)
        yield hub


def drafted(home: House, case: Case) -> str:
    """The text of the draft that is made now."""
    pipeline.draft(home, case.id, "worker")
    return home.viewing.drafts(case.id)[-1].text.as_json()


def shared(hub: SimulatedHub, kind: str = "DiagnosticReport") -> list[dict[str, Any]]:
    """What we have put into the open report."""
    ours = (each for key, each in hub.content.items() if key.startswith(f"{kind}/"))
    return [each for each in ours if any("urn:oid:2.25." in i["system"] for i in each.get("identifier", []))]


def reports(hub: SimulatedHub) -> list[str]:
    """The texts of drafts that stand in the open report."""
    return [b64decode(each["presentedForm"][0]["data"]).decode() for each in shared(hub)]


def test_what_is_dictated_stands_in_the_draft_and_the_draft_stands_in_the_report(
    home: House, followed: SimulatedHub, tmp_path: Path
) -> None:
    hub, case = followed, send_study(home, tmp_path / "study")
    assert hub.open(REPORT, case.study_uid, case.accession_number) == 200
    assert hub.put(REPORT, observation("o1", SAID), observation("o2", "Rest.", "19005-8")) == 200
    assert phrases(home, case) == [("FINDINGS", SAID), ("IMPRESSION", "Rest.")]
    assert json.dumps(SAID, ensure_ascii=False)[1:-1] in drafted(home, case)
    assert hub.wait_for(lambda: len(shared(hub)) == 1)
    (report,) = shared(hub)
    assert DiagnosticReport.model_validate(report).status == "partial"
    observations = [Observation.model_validate(each) for each in shared(hub, "Observation")]
    assert {each.status for each in observations} == {"preliminary"}
    assert observations[0].valueString == BANNER
    assert any(SAID in each.valueString for each in observations)
    assert reports(hub)[0].startswith(BANNER)
    assert [each["reference"] for each in report["result"]] == [f"Observation/{each.id}" for each in observations]
    assert hub.put(REPORT) == 200  # once this is answered, our own content has come back to us
    assert phrases(home, case) == [("FINDINGS", SAID), ("IMPRESSION", "Rest.")]
    assert home.viewing.case(case.id).version == 1


def test_a_report_that_is_open_before_its_study_comes(home: House, followed: SimulatedHub, tmp_path: Path) -> None:
    case = send_study(home, tmp_path / "probe")
    hub = followed
    hub.open(REPORT, "1.2.3.4", "LATER")
    hub.put(REPORT, observation("o1", SAID))
    with home.database.reading() as connection:
        (row,) = connection.execute(sa.select(dictations)).all()
    assert (row.accession_number, row.study_uid, row.text, row.source) == ("LATER", "1.2.3.4", SAID, "FHIRcast room-1")
    assert phrases(home, case) == []


def test_text_that_is_put_again_changed_and_taken_out(home: House, followed: SimulatedHub, tmp_path: Path) -> None:
    hub, case = followed, send_study(home, tmp_path / "study")
    hub.open(REPORT, case.study_uid)
    hub.put(REPORT, observation("o1", "One."), observation("o2", "Two."))
    drafted(home, case)
    assert hub.wait_for(lambda: len(shared(hub)) == 1)
    hub.put(REPORT, observation("o1", "One."))  # the same once more
    assert home.viewing.case(case.id).state is not CaseState.COMPLETE
    hub.put(REPORT, observation("o1", "Uno."))
    assert [text for _, text in phrases(home, case)] == ["Uno.", "Two."]
    assert home.viewing.case(case.id).state is CaseState.COMPLETE
    assert "One." not in drafted(home, case)
    assert hub.wait_for(lambda: any("Uno." in text for text in reports(hub)))
    hub.put(REPORT, delete=("Observation/o1", "Observation/o2"))
    assert phrases(home, case) == []
    assert "Uno." not in drafted(home, case)
    assert hub.wait_for(lambda: reports(hub) != [] and "Uno." not in reports(hub)[0])
    assert len(shared(hub)) == 1


def test_a_hub_that_is_down_and_up_again_has_lost_us_nothing(
    home: House, followed: SimulatedHub, tmp_path: Path
) -> None:
    hub, case = followed, send_study(home, tmp_path / "study")
    hub.open(REPORT, case.study_uid)
    hub.put(REPORT, observation("o1", "Before."))
    with hub.away():
        hub.content["Observation/o2"] = observation("o2", "Meanwhile.")  # another subscriber was faster to come back
        hub.version = "another"
        assert events(home, "FHIRcast session lost")
    assert hub.wait_for(lambda: hub.joined)
    wait_until(lambda: len(phrases(home, case)) == 2, 10, "both phrases")
    assert [text for _, text in phrases(home, case)] == ["Before.", "Meanwhile."]


def test_a_hub_that_comes_after_us(home: House, hub: SimulatedHub, tmp_path: Path) -> None:
    case = send_study(home, tmp_path / "study")
    with hub.away():
        stop = at_work(home)
        stop.__enter__()
        wait_until(lambda: events(home, "FHIRcast session lost"), 10, "the hub is missed")
    assert hub.wait_for(lambda: hub.joined)
    hub.open(REPORT, case.study_uid)
    hub.put(REPORT, observation("o1", SAID))
    stop.__exit__(None, None, None)
    assert phrases(home, case) == [("FINDINGS", SAID)]
    assert not hub.joined


def test_an_event_that_was_missed_is_made_up_for(home: House, followed: SimulatedHub, tmp_path: Path) -> None:
    hub, case = followed, send_study(home, tmp_path / "study")
    hub.open(REPORT, case.study_uid)
    hub.put(REPORT)  # once this is answered, the version is known
    hub.content["Observation/o1"] = observation("o1", "Missed.")
    hub.version = "a version that nobody was told of"
    hub.put(REPORT, observation("o2", "Heard."))
    wait_until(lambda: len(phrases(home, case)) == 2, 10, "both phrases")


def test_a_draft_for_a_stale_version_is_offered_anew(home: House, followed: SimulatedHub, tmp_path: Path) -> None:
    hub, case = followed, send_study(home, tmp_path / "study")
    hub.open(REPORT, case.study_uid)
    hub.put(REPORT)  # once this is answered, the version is known
    hub.version = "moved on"
    drafted(home, case)
    assert hub.wait_for(lambda: hub.refusals == 1)
    assert hub.wait_for(lambda: len(shared(hub)) == 1)
    assert hub.refusals == 1


UNUSABLE = [
    (observation("malformed", "x", category={"coding": []}), "no valid Observation of FHIR R4, at category"),
    (observation("no-text", "x") | {"valueString": 3}, "at valueString"),
    (observation("bell", "bell\x07"), "control character U+0007"),
    (observation("foreign", "x", contained=[{"resourceType": "Spell"}]), "a resource of an unknown type"),
]


def test_what_cannot_be_taken_is_kept_and_said_and_the_rest_is_taken(
    home: House, followed: SimulatedHub, tmp_path: Path
) -> None:
    hub, case = followed, send_study(home, tmp_path / "study")
    hub.open(REPORT, case.study_uid)
    assert hub.put(REPORT, observation("o1", SAID), *(resource for resource, _ in UNUSABLE)) == 202
    assert phrases(home, case) == [("FINDINGS", SAID)]
    assert hub.wait_for(lambda: len(hub.sync_errors) == 1)
    (issue,) = hub.sync_errors[0]["issue"]
    (refused,) = events(home, "content refused")
    assert issue["diagnostics"] == refused["reason"]
    assert all(reason in refused["reason"] for _, reason in UNUSABLE)
    assert SAID not in json.dumps(issue, ensure_ascii=False)
    kept = home.store.path(refused["file"])
    assert SAID in json.dumps(json.loads(kept.read_bytes()), ensure_ascii=False)
    assert kept.stat().st_mode & 0o077 == 0
    assert hub.put(REPORT, observation("o2", "And more.")) == 200  # what was refused is said once
    mended = [observation(resource["id"], f"Mended {resource['id']}.") for resource, _ in UNUSABLE]
    assert hub.put(REPORT, *mended) == 200
    assert len(phrases(home, case)) == 2 + len(UNUSABLE)


def test_what_is_no_event_is_kept_and_the_session_goes_on(home: House, followed: SimulatedHub, tmp_path: Path) -> None:
    hub, case = followed, send_study(home, tmp_path / "study")
    messages = ["", "nonsense", "[]", '{"id": "x"}', '{"id": "y", "timestamp": 1, "event": {}}']
    for message in messages:
        hub.say(message)
    hub.open(REPORT, case.study_uid)
    assert hub.put(REPORT, observation("o1", SAID)) == 200
    assert (hub.answer("x"), hub.answer("y")) == (400, 400)
    reasons = [each["reason"].split(",")[0] for each in events(home, "content refused")]
    assert reasons == ["is no event notification of FHIRcast"] * len(messages)
    assert phrases(home, case) == [("FINDINGS", SAID)]


def test_a_report_on_no_study_is_not_followed(home: House, followed: SimulatedHub) -> None:
    hub = followed
    assert hub.open(REPORT, "") == 202
    assert hub.wait_for(lambda: len(hub.sync_errors) == 1)
    assert hub.put(REPORT, observation("o1", SAID)) == 409


def test_a_signed_report_is_left_alone(home: House, followed: SimulatedHub, tmp_path: Path) -> None:
    hub, case = followed, send_study(home, tmp_path / "study")
    drafted(home, case)
    hub.open(REPORT, case.study_uid, status="final")
    hub.put(REPORT, observation("o1", SAID))
    assert phrases(home, case) == []
    hub.close(REPORT)
    hub.open("report-2", case.study_uid)
    assert hub.wait_for(lambda: len(shared(hub)) == 1)
    assert [each["session"] for each in events(home, "FHIRcast session joined")] == ["room-1"]


RULE = '[[rule]]\nname = "elsewhere"\ndestinations = ["pacs"]\n'
PACS = [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}]


@pytest.mark.parametrize("wanted", ["yes", "no, says a rule", "no, say the settings"])
def test_a_draft_is_put_where_the_site_wants_it_unless_it_is_old_or_discarded(
    build: Callable[..., House], tmp_path: Path, wanted: str
) -> None:
    ruling = ruled(tmp_path, RULE) if "rule" in wanted else {}
    session = {"url": "http://127.0.0.1:1", "topics": {"room-1": TOPIC}, "publish": "settings" not in wanted}
    home = build(fhircast=session, pacs=PACS, **ruling)
    case, room = send_study(home, tmp_path / "study"), ReadingRoom(home, home.settings.fhircast, "room-1")
    report = OpenReport("DiagnosticReport/r", "1", case.study_uid, "", "Patient/p", "ImagingStudy/s")
    assert room.draft_for(report) is None  # there is none yet
    drafted(home, case)
    assert (room.draft_for(report) is not None) is (wanted == "yes")
    assert room.draft_for(replace(report, content={report.report: {"status": "amended"}})) is None
    home.receiving.add_dictation(Dictation("FINDINGS", SAID, "test", home.now(), study_uid=case.study_uid))
    assert room.draft_for(report) is None  # a newer one is in the making
    drafted(home, case)
    desk = home.desks.of(case.id, home.now())
    home.desks.discard(desk, Flaw.WRONG, by="maria", now=home.now())
    assert room.draft_for(report) is None


def test_a_subscription_is_renewed_in_time(home: House, hub: SimulatedHub) -> None:
    hub.lease_seconds = 0.2
    with at_work(home):
        assert hub.wait_for(lambda: hub.subscriptions >= 3)
    assert not events(home, "FHIRcast session lost")


def test_a_hub_that_tells_no_context_is_followed_by_events_alone(
    home: House, hub: SimulatedHub, tmp_path: Path
) -> None:
    hub.tells_context = False
    case = send_study(home, tmp_path / "study")
    with at_work(home):
        assert hub.wait_for(lambda: hub.joined)
        hub.open(REPORT, case.study_uid)
        assert hub.put(REPORT, observation("o1", SAID)) == 200
    assert phrases(home, case) == [("FINDINGS", SAID)]


def test_nobody_is_let_in_without_the_token_and_the_log_has_no_topic(
    build: Callable[..., House], hub: SimulatedHub
) -> None:
    house = build(fhircast={"url": hub.url, "topics": {"room-1": TOPIC}})
    with at_work(house):
        wait_until(lambda: events(house, "FHIRcast session lost"), 10, "the session cannot be joined")
    (lost,) = events(house, "FHIRcast session lost")
    assert lost == {"session": "room-1", "reason": "the hub answers 401"}
