"""Routing rules at work: a case is drafted, or not, as the rules say, and everybody can see which rule it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from browsers import Client, with_accounts
from click.testing import Result
from houses import SIZE, receive_file, ruled, send_study
from received_images import image, receive
from sites import hospital
from typer.testing import CliRunner

from hl7.orders import Order
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.cli import app
from radplug.commands import console
from radplug.doctor import examine
from radplug.domain import Case, CaseState, Priority, Routing
from radplug.notices import Cancelled
from radplug.people import Role
from radplug.settings import load
from radplug.texts.reading import UnusableText
from radplug.web.serving import serving
from radplug.wiring import House

PACS = [{"name": name, "ae_title": "PACS", "host": "127.0.0.1", "port": 1} for name in ("archive", "ward")]
REPORTING = [{"name": "ris", "host": "127.0.0.1", "port": 1}]
OLD = """
[[rule]]
name = "migrated"
when.older_than_days = 30
draft = false
reason = "older than 30 days: from the migration"
"""
WARD = """
[[rule]]
name = "for the ward"
when.modalities = ["DX"]
template = "generic"
destinations = ["ward", "ris"]
priority = "stat"
"""


def sent(house: House, folder: Path, days_ago: int = 0) -> Case:
    taken = datetime.now(UTC) - timedelta(days=days_ago)
    (file,) = synthetic_study.write(folder, 1_000_000_001, taken, size=SIZE).files
    return receive_file(house, file)


def events(house: House, case: Case) -> dict[str, object]:
    return {event.event: event.detail for event in house.viewing.events(case.id)}


def test_a_case_goes_as_its_rule_says_also_once_it_is_accepted(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(pacs=PACS, reporting=REPORTING, **ruled(tmp_path, OLD + WARD))
    case = sent(house, tmp_path / "study")
    assert (case.routing.rule, case.priority) == ("for the ward", Priority.STAT)
    pipeline.draft(house, case.id, "worker")
    desk = house.desks.of(case.id, house.now())
    pipeline.accept(house, desk, "maria")
    assert [draft.template for draft in house.viewing.drafts(case.id)] == ["generic", "generic"]
    assert [(d.version, d.destination) for d in house.viewing.deliveries(case.id)] == [
        *((1, "ward"), (1, "ris"), (2, "ward"), (2, "ris")),
    ]


def test_a_case_that_no_rule_fits_goes_everywhere(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(pacs=PACS, reporting=REPORTING, **ruled(tmp_path, OLD))
    case = sent(house, tmp_path / "study")
    pipeline.draft(house, case.id, "worker")
    assert (case.routing.rule, case.priority) == ("", Priority.ROUTINE)
    assert [d.destination for d in house.viewing.deliveries(case.id)] == ["archive", "ward", "ris"]


def test_what_is_not_to_be_drafted_is_set_aside_when_it_closes(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(**ruled(tmp_path, OLD))
    receive(house, image(study_date="20200101"))
    (case,) = house.viewing.cases()
    pipeline.close(house, case.id)
    case = house.viewing.case(case.id)
    assert (case.state, case.reason) == (CaseState.NOT_DRAFTED, "older than 30 days: from the migration")
    assert house.drafting.due_to_draft(house.now()) == []
    assert events(house, case)["study closed"]["rule"] == "migrated"
    assert events(house, case)["not drafted"] == {"reason": case.reason}


def test_late_images_are_asked_for_anew(build: Callable[..., House], tmp_path: Path) -> None:
    rules = '[[rule]]\nname = "series"\nwhen.descriptions = ["do not draft"]\ndraft = false\nreason = "so it is called"'
    house = build(**ruled(tmp_path, rules))
    case = send_study(house, tmp_path / "study")
    assert (case.state, case.routing.rule) == (CaseState.COMPLETE, "")
    receive(house, image(study_uid=case.study_uid, series_description="DO_NOT-DRAFT"))
    pipeline.close(house, case.id)
    case = house.viewing.case(case.id)
    assert (case.state, case.routing.rule) == (CaseState.NOT_DRAFTED, "series")


@pytest.mark.parametrize("by_rule", [Priority.STAT, None])
def test_a_rule_goes_before_an_order_and_its_cancellation(house: House, by_rule: Priority | None) -> None:
    receive(house, image(accession_number="A7"))
    (case,) = house.viewing.cases()
    house.drafting.close(case.id, house.now() + timedelta(hours=1), Routing("one", priority=by_rule))
    house.receiving.add_order(Order("A7", priority="A"), house.now())
    case = house.viewing.case(case.id)
    assert case.priority == (Priority.URGENT if by_rule is None else by_rule)
    assert case.routing == Routing("one", priority=by_rule)
    house.notices.act(Cancelled("A7"), house.now())
    assert house.viewing.case(case.id).priority == (Priority.ROUTINE if by_rule is None else by_rule)


@pytest.mark.parametrize("by_rule", [Priority.ROUTINE, None])
def test_a_rule_goes_before_the_order_of_an_accession_number_that_is_learnt_late(
    house: House, by_rule: Priority | None
) -> None:
    house.receiving.add_order(Order("A8", priority="S"), house.now())
    receive(house, image(accession_number=""))
    (case,) = house.viewing.cases()
    house.drafting.close(case.id, house.now() + timedelta(hours=1), Routing("one", priority=by_rule))
    receive(house, image(study_uid=case.study_uid, accession_number="A8"))
    case = house.viewing.case(case.id)
    assert case.accession_number == "A8"
    assert case.priority == (Priority.STAT if by_rule is None else by_rule)


def test_a_template_that_is_gone_when_the_draft_begins_is_named(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(**ruled(tmp_path, '[[rule]]\nname = "ours"\ntemplate = "own"'))
    generic = next(one.text for one in house.templates if one.template.name == "generic")
    house.saved_templates.save("own", generic.replace('"generic"', '"own"'), on=0, by="maria", now=house.now())
    case = send_study(house, tmp_path / "study")
    house.saved_templates.save("own", None, on=1, by="maria", now=house.now())
    pipeline.draft(house, case.id, "worker")
    case = house.viewing.case(case.id)
    assert case.state is CaseState.NOT_DRAFTED
    assert case.reason == "the rule ours names the template own, which is not in use any more"


# ── who can see it ──


def test_the_page_and_the_api_name_the_rule(build: Callable[..., House], tmp_path: Path) -> None:
    house = with_accounts(build(web={"port": 0}, **ruled(tmp_path, OLD)))
    case = sent(house, tmp_path / "study", days_ago=90)
    with serving(house) as address:
        client = Client(address)
        client.sign_in(Role.IT)
        page = client.get(f"/cases/{case.id}").text
        assert "Taken by the rule migrated." in page
        assert "older than 30 days: from the migration" in page
        assert json.loads(client.get(f"/api/v1/cases/{case.id}").text)["rule"] == "migrated"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "rules.toml").write_text(OLD + WARD, encoding="utf-8")
    file = tmp_path / "radplug.toml"
    file.write_text(
        f"""
[listener]
calling_ae_titles = ["CT1"]
[store]
data = "{tmp_path / "data"}"
keep_free_mib = 1
[broker]
url = "redis://127.0.0.1:1/0"
[drafting]
rules = "{tmp_path / "rules.toml"}"
[[pacs]]
name = "ward"
ae_title = "WARD"
host = "127.0.0.1"
port = 1
[[reporting]]
name = "ris"
host = "127.0.0.1"
port = 1
""",
        encoding="utf-8",
    )
    assert run(file, "migrate").exit_code == 0
    return file


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "width", 200)  # COLUMNS counts only before the console is made


def run(config: Path, *words: object) -> Result:
    return CliRunner().invoke(app, ["--config", str(config), *map(str, words)])


def test_the_command_lists_them_in_words(config: Path) -> None:
    printed = run(config, "rules").stdout
    assert "older than 30 days" in printed
    assert "drafted, on the template generic, for ward, ris alone, shown as stat" in printed
    assert [rule["name"] for rule in json.loads(run(config, "rules", "--json").stdout)] == ["migrated", "for the ward"]


def test_the_command_says_which_rule_takes_a_study_and_why_not_an_earlier_one(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    synthetic_study.write(folder, 1_000_000_001, datetime.now().astimezone(), size=SIZE)
    (folder / "notes.txt").write_text("no DICOM")
    assert run(config, "rules", "test", folder).stdout.splitlines() == [
        "DX of CHEST",
        "✗ migrated: its age is 0 days, wanted is more than 30",
        "✓ for the ward: drafted, on the template generic, for ward, ris alone, shown as stat",
    ]
    (answers,) = json.loads(run(config, "rules", "test", folder / "image-1.dcm", "--json").stdout)
    assert [(answer["rule"], answer["takes"]) for answer in answers] == [("migrated", False), ("for the ward", True)]
    other = tmp_path / "other.toml"
    other.write_text('[[rule]]\nname = "CT"\npriority = "stat"\nwhen.calling_ae_titles = ["CT1"]\n')
    assert "no rule takes it" in run(config, "rules", "--check", other, "test", folder).stdout
    assert "✓ CT: drafted" in run(config, "rules", "--check", other, "test", folder, "--calling", "CT1").stdout


def test_what_is_no_dicom_file_is_named(config: Path) -> None:
    result = run(config, "rules", "test", config)
    assert result.exit_code == 2
    assert str(config) in result.stderr


def test_a_bad_file_is_told_by_the_doctor_and_stops_radplug_before_it_starts(config: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text('[[rule]]\nname = "a"\n\ndestinations = ["wart"]\n')
    wanted = f"{tmp_path / 'rules.toml'}, line 4: rule.destinations: wart is no [[pacs]], [[reporting]] or [[fhir]]"
    for command in (["up"], ["clock"], ["rules"], ["rules", "--check", tmp_path / "rules.toml"]):
        stopped = run(config, *command).exception
        assert isinstance(stopped, UnusableText), command
        assert wanted in str(stopped)
    house = House(load(config), "doctor")
    (finding,) = [finding for finding in examine(house) if finding.about == "rule"]
    assert (finding.well, wanted in finding.text) == (False, True)


# ── a whole site ──


def test_a_study_goes_by_the_name_that_we_were_called_by(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADPLUG_LISTENER__FURTHER_AE_TITLES", '["RESEARCH"]')
    rules = tmp_path / "rules.toml"
    rules.write_text(
        """
[[rule]]
name = "research"
when.called_ae_titles = ["RESEARCH"]
draft = false
reason = "research is not drafted"

[[rule]]
name = "radiographs"
when.calling_ae_titles = ["TESTPACS"]
destinations = ["ris"]
priority = "urgent"
"""
    )
    extra = f"[drafting]\nrules = {json.dumps(str(rules))}\n"
    with hospital(tmp_path, model, extra) as site:
        for_research, radiograph = site.study("research"), site.study("radiograph")
        called = replace(site.listener, ae_title="RESEARCH")
        assert not site.pacs.send_study(for_research.files, called, lambda done: None)
        site.send(*radiograph.files)
        kept = site.wait_for(for_research, CaseState.NOT_DRAFTED, 0)
        assert (kept.reason, kept.routing.rule) == ("research is not drafted", "research")
        drafted = site.wait_for(radiograph, CaseState.DELIVERED, 1)
        assert drafted.priority is Priority.URGENT
        deliveries = site.running.house.viewing.deliveries(drafted.id)
        assert [delivery.destination for delivery in deliveries] == ["ris"]
