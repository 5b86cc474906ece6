"""Rules that are edited in the page: checked, tried, saved with a reason, and asked of the next study that closes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from browsers import Client, chromium, signed_in, with_accounts
from houses import ruled, send_study
from playwright.sync_api import Page, expect
from typer.testing import CliRunner

import radplug
from radplug.cli import app
from radplug.domain import CaseState
from radplug.people import Role
from radplug.records.texts import StaleText
from radplug.rules.saved import NAME
from radplug.settings import Settings
from radplug.web.serving import serving
from radplug.wiring import House

NIGHT = '[[rule]]\nname = "all at night"\npriority = "stat"\n'
NONE = '[[rule]]\nname = "none at all"\ndraft = false\nreason = "the scanner is tested"\n'
CHEST_CT = '[[rule]]\nname = "chest CT"\nwhen.modalities = ["CT"]\npriority = "urgent"\n'
API = "/api/v1/rules"
OLD_ROW = "INSERT INTO templates VALUES ('ct-head', 2, 'text', 'maria', '2026-11-01 12:00:00')"


@pytest.fixture
def site(build: Callable[..., House], tmp_path: Path) -> House:
    """A site with a rules file, whose pages everybody may sign in to."""
    settings = ruled(tmp_path, NIGHT)
    settings["drafting"]["assume_body_part"] = "CHEST"
    return with_accounts(build(web={"port": 0}, **settings))


@pytest.fixture
def it(address: str) -> Client:
    client = Client(address)
    assert client.sign_in(Role.IT).status == 303
    return client


def asked(one: Client, method: str, path: str = "", body: object = None, status: int = 200) -> Any:
    answer = one.json(method, API + path, body)
    assert answer.status == status, answer.text
    return json.loads(answer.text)


def saved(one: Client, text: str, on: int, status: int = 200) -> Any:
    return asked(one, "PUT", "", {"text": text, "on": on, "why": "a try"}, status)


def save(house: House, text: str | None, on: int) -> int:
    return house.saved_rules.save(NAME, text, on=on, by="jan", now=house.now(), why="a try")


# ── rows, and what the next study is asked ──


def test_the_newest_rules_are_asked_of_the_next_study_and_the_files_again_once_they_are_taken_out(
    site: House, tmp_path: Path
) -> None:
    rules = [send_study(site, tmp_path / "0", 1_000_000_001).routing.rule]
    for number, text in enumerate((NONE, None, CHEST_CT)):
        save(site, text, number)
        case = send_study(site, tmp_path / str(number + 1), 1_000_000_002 + number)
        rules.append(case.routing.rule)
        assert (case.state is CaseState.NOT_DRAFTED) is (text == NONE)
    assert rules == ["all at night", "none at all", "all at night", ""]
    assert [(v.version, v.text, v.why) for v in site.saved_rules.versions(NAME)] == [
        *((3, CHEST_CT, "a try"), (2, None, "a try"), (1, NONE, "a try")),
    ]


def test_rules_that_cannot_be_used_here_leave_those_from_before_in_force(
    site: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert send_study(site, tmp_path / "a").routing.rule == "all at night"
    save(site, NONE.replace("draft = false", 'destinations = ["nowhere"]').replace("reason", "# reason"), 0)
    for number in range(2):
        case = send_study(site, tmp_path / f"b{number}", 1_000_000_002 + number)
        assert case.routing.rule == "all at night"
    (told,) = [record.getMessage() for record in caplog.records if "before the last change" in record.getMessage()]
    assert "nowhere is no [[pacs]]" in told
    assert "the rules, version 1, line 3" in told


def test_rules_and_templates_of_one_name_are_apart_and_who_is_late_saves_nothing(house: House) -> None:
    assert house.rules == ()
    house.saved_templates.save(NAME, None, on=0, by="maria", now=house.now())
    assert save(house, NIGHT, 0) == 1
    assert [rule.name for rule in house.rules] == ["all at night"]
    with pytest.raises(StaleText, match="somebody has saved these rules since"):
        save(house, NONE, 0)
    assert [v.text for v in house.saved_templates.versions(NAME)] == [None]
    assert [v.text for v in house.saved_templates.newest()] == [None]


def test_templates_that_were_saved_before_rules_could_be_are_kept(database_url: str, tmp_path: Path) -> None:
    engine = sa.create_engine(database_url)
    config = Config(attributes={})
    config.set_main_option("script_location", str(Path(radplug.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0014")
        connection.execute(sa.text(OLD_ROW))
    engine.dispose()
    house = House(Settings(store={"data": tmp_path / "data"}, database={"url": database_url}), "test")
    house.database.migrate()
    (kept,) = house.saved_templates.versions("ct-head")
    assert (kept.version, kept.text, kept.by, kept.why) == (2, "text", "maria", "")
    assert kept.at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert house.saved_rules.newest() == []
    house.database.close()


# ── the API ──


def test_a_version_is_saved_told_compared_and_restored(site: House, it: Client) -> None:
    assert saved(it, NONE, 0) == {"version": 1}
    told = asked(it, "GET")
    assert (told["version"], told["newest"], told["text"]) == (1, 1, NONE)
    assert told["file"].endswith("rules.toml")
    assert [(v["by"], v["why"]) for v in told["versions"]] == [("it", "a try")]
    (passage,) = asked(it, "GET", "/difference?old=0&new=1")
    assert {line["change"] for line in passage["lines"]} == {"same", "added", "removed"}
    assert "these rules since" in saved(it, NIGHT, 0, 409)["detail"]
    assert asked(it, "DELETE", "?on=1&why=done") == {"version": 2}
    assert site.rules_text.text == NIGHT
    assert saved(it, asked(it, "GET", "/versions/1")["text"], 2) == {"version": 3}
    events = [(event.event, event.actor, event.detail.get("why")) for event in site.viewing.events("")]
    assert [event for event in events if event[2]] == [
        *(("rules saved", "it", "a try"), ("rules taken out of use", "it", "done"), ("rules saved", "it", "a try")),
    ]


def test_mistakes_are_told_with_their_lines_and_nothing_is_saved(site: House, it: Client) -> None:
    wrong = NIGHT + NONE.replace('reason = "the scanner is tested"\n', "")
    told = asked(it, "POST", "/check", {"text": wrong})
    assert told["ok"] is False
    assert [(mistake["line"], "reason" in mistake["reason"]) for mistake in told["mistakes"]] == [(4, True)]
    assert "line 4" in saved(it, wrong, 0, 422)["detail"]
    assert asked(it, "PUT", "", {"text": NONE, "on": 0}, 422)["detail"].startswith("body.why")
    out_of_reach = asked(it, "POST", "/check", {"text": NIGHT + CHEST_CT})["mistakes"]
    assert [(m["line"], "takes every study" in m["reason"]) for m in out_of_reach] == [(4, True)]
    assert not site.saved_rules.versions(NAME)


def test_a_text_is_tried_on_a_case_that_is_here(site: House, it: Client, tmp_path: Path) -> None:
    case = send_study(site, tmp_path / "study")
    told = asked(it, "POST", "/try", {"text": CHEST_CT + NONE, "case": case.accession_number})
    assert told["rule"] == "none at all"
    assert [(a["rule"], a["takes"]) for a in told["answers"]] == [("chest CT", False), ("none at all", True)]
    assert "its modality is" in told["answers"][0]["misfits"][0]
    assert site.viewing.case(case.id).routing.rule == "all at night"
    assert [event.actor for event in site.viewing.events(case.id) if event.event == "rules tried"] == ["it"]
    asked(it, "POST", "/try", {"text": NONE, "case": "0"}, 404)
    asked(it, "POST", "/try", {"text": "x", "case": case.id}, 422)


@pytest.mark.parametrize("role", [Role.RADIOLOGIST, Role.TECHNOLOGIST])
def test_others_may_not(site: House, address: str, role: Role) -> None:
    one = Client(address)
    one.sign_in(role)
    assert "/rules" not in one.get("/").text
    assert [one.get(path).status for path in ("/rules", "/rules/difference?old=0&new=0", API)] == [403] * 3
    saved(one, NONE, 0, 403)


def test_what_is_written_is_shown_as_text(site: House, it: Client) -> None:
    saved(it, NONE.replace("none at all", "<img src=x onerror=alert(1)>"), 0)
    for path in ("/rules", "/rules/difference?old=0&new=1"):
        assert "<img src=x" not in it.get(path).text
        assert "&lt;img src=x" in it.get(path).text


# ── the command line ──


def test_rules_are_saved_and_shown_without_the_page(tmp_path: Path) -> None:
    config, new = tmp_path / "radplug.toml", tmp_path / "new.toml"
    config.write_text(f'[store]\ndata = "{tmp_path / "data"}"\nkeep_free_mib = 1\n')
    new.write_text(NIGHT)

    def run(*arguments: str) -> tuple[int, str]:
        ended = CliRunner().invoke(app, ["--config", str(config), *arguments])
        return ended.exit_code, ended.output

    assert run("migrate")[0] == 0
    assert "no rules were saved" in run("rules", "versions")[1]
    assert run("rules", "save", str(new), "--why", "nights")[0] == 0
    assert run("rules", "show") == (0, NIGHT)
    listed = run("rules", "versions")[1]
    assert "nights" in listed
    assert "in use" in listed
    assert run("rules", "show", "--version", "7")[0] != 0
    new.write_text(NIGHT + CHEST_CT)
    assert run("rules", "save", str(new), "--why", "more")[0] != 0
    assert run("rules", "show") == (0, NIGHT)


# ── in a browser ──


@pytest.fixture
def page(site: House, tmp_path: Path) -> Iterator[Page]:
    send_study(site, tmp_path / "study")
    with serving(site) as address, chromium() as browser:
        yield signed_in(browser, address, Role.IT)


def test_rules_are_written_tried_and_saved(site: House, page: Page, tmp_path: Path) -> None:
    page.get_by_role("link", name="Rules").click()
    text, verdict = page.get_by_label("Text, in TOML"), page.locator("#verdict")
    expect(verdict).to_have_text("This text can be used.")
    text.fill(NIGHT + "draught = true\n")
    expect(verdict).to_contain_text("Line 4: rule.draught: is no key of a rule")
    expect(page.locator("#gutter .wrong")).to_have_text("4")
    text.fill(CHEST_CT + NONE)
    expect(verdict).to_have_text("This text can be used.")
    expect(page.locator("#checked del").first).to_contain_text("all at night")
    page.get_by_role("button", name="Try").click()
    expect(page.locator("#tried")).to_contain_text("✗ chest CT: its modality is")
    expect(page.locator("#tried")).to_contain_text("✓ none at all: not drafted: the scanner is tested")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Why")).to_be_focused()  # which is asked for
    page.get_by_label("Why").fill("the scanner is tested today")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("In use: version 1, saved by it")).to_be_visible()
    expect(page.get_by_role("cell", name="the scanner is tested today")).to_be_visible()
    assert send_study(site, tmp_path / "after", 1_000_000_002).routing.rule == "none at all"
    page.get_by_label("Why").fill("tested")
    page.get_by_role("button", name="Use the file's again").click()
    expect(page.get_by_text("In use: ").first).to_contain_text("rules.toml")
    page.get_by_role("link", name="Go back to version 1").click()
    expect(page.get_by_text("Below stands version 1; saving it makes it the newest version.")).to_be_visible()
    page.get_by_label("Why").fill("tested again")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("In use: version 3")).to_be_visible()
    assert site.rules_text.text.strip() == (CHEST_CT + NONE).strip()
