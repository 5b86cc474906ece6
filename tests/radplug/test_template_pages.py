"""Templates that are edited in the pages: what is saved counts at once, nothing that was saved is ever lost."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import Client, chromium, signed_in
from houses import send_study
from playwright.sync_api import Page, expect

from radplug import pipeline
from radplug.people import Role
from radplug.records.texts import StaleText
from radplug.templates import read_all
from radplug.texts.difference import difference
from radplug.texts.reading import UnusableText
from radplug.wiring import House

OURS = {file.template.name: file.text for file in read_all(None)}
CHEST = OURS["chest-radiograph"]
CLEAR = CHEST.replace('normal = "The lungs are clear.', 'normal = "Both lungs are clear.')
TOKENS = CHEST.splitlines().index("tokens = 150") + 1
API = "/api/v1/templates"


@pytest.fixture
def radiologist(address: str) -> Client:
    return client(address, Role.RADIOLOGIST)


def client(address: str, role: Role) -> Client:
    made = Client(address)
    assert made.sign_in(role).status == 303
    return made


def asked(one: Client, method: str, path: str = "", body: object = None, status: int = 200) -> Any:
    answer = one.json(method, API + path, body)
    assert answer.status == status, answer.text
    return json.loads(answer.text)


def saved(one: Client, text: str, on: int, status: int = 200) -> Any:
    return asked(one, "PUT", "/chest-radiograph", {"text": text, "on": on}, status)


def chosen(house: House) -> str:
    """What stands in the findings of a normal chest, by the template that is used for it now."""
    (template,) = (one.template for one in house.templates if one.template.name == "chest-radiograph")
    return template.sections[0].normal


# ── rows ──


def test_every_version_is_kept_and_the_newest_counts(house: House) -> None:
    rows = house.saved_templates
    assert chosen(house).startswith("The lungs")
    assert rows.save("chest-radiograph", CLEAR, on=0, by="maria", now=house.now()) == 1
    assert chosen(house).startswith("Both lungs")
    assert rows.save("chest-radiograph", None, on=1, by="jan", now=house.now()) == 2
    assert chosen(house).startswith("The lungs")
    assert rows.save("chest-radiograph", CLEAR, on=2, by="maria", now=house.now()) == 3
    kept = [(v.version, v.text, v.by) for v in rows.versions("chest-radiograph")]
    assert kept == [(3, CLEAR, "maria"), (2, None, "jan"), (1, CLEAR, "maria")]


@pytest.mark.parametrize("on", [0, 2, 10**30])
def test_who_has_not_seen_the_newest_version_adds_none(house: House, on: int) -> None:
    rows = house.saved_templates
    rows.save("ct-head", OURS["ct-head"], on=0, by="maria", now=house.now())
    with pytest.raises(StaleText):
        rows.save("ct-head", "another", on=on, by="jan", now=house.now())
    assert [v.text for v in rows.versions("ct-head")] == [OURS["ct-head"]]


def test_of_many_who_save_at_once_one_does(house: House) -> None:
    others: list[StaleText] = []

    def save(number: int) -> None:
        try:
            house.saved_templates.save("ct-head", f"text {number}", on=0, by="one", now=house.now())
        except StaleText as stale:
            others.append(stale)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(others) == 5
    assert len(house.saved_templates.versions("ct-head")) == 1


def test_an_edit_of_a_sites_file_keeps_its_place_and_what_is_new_goes_first(
    tmp_path: Path, build: Callable[..., House]
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("angio", "bone"):
        (own / f"{name}.toml").write_text(CHEST.replace('"chest-radiograph"', f'"{name}"'))
    house = build(drafting={"templates": own})
    for name, text in (("bone", CLEAR), ("xray", CLEAR), ("mr-brain", CLEAR)):
        text = text.replace('"chest-radiograph"', f'"{name}"')
        house.saved_templates.save(name, text, on=0, by="maria", now=house.now())
    assert [(one.template.name, one.ours) for one in house.templates] == [
        *(("mr-brain", False), ("xray", False), ("angio", False), ("bone", False)),
        *((name, True) for name in ("chest-radiograph", "ct-chest", "ct-head", "generic", "us-abdomen")),
    ]


def test_a_saved_text_that_a_later_radplug_cannot_use_is_named(house: House) -> None:
    house.saved_templates.save("ct-head", "name = 1", on=0, by="maria", now=house.now())
    with pytest.raises(UnusableText, match="template ct-head, version 1, line 1: name: "):
        house.templates  # noqa: B018


# ── over HTTP ──


def test_a_radiologist_saves_and_everything_is_noted(site: House, radiologist: Client) -> None:
    (listed,) = (one for one in asked(radiologist, "GET") if one["name"] == "chest-radiograph")
    assert (listed["version"], listed["for"], listed["ours"]) == (0, ["CR, DX of CHEST"], True)
    assert saved(radiologist, CLEAR, on=0) == {"name": "chest-radiograph", "version": 1}
    assert chosen(site).startswith("Both lungs")
    (listed,) = (one for one in asked(radiologist, "GET") if one["name"] == "chest-radiograph")
    assert (listed["version"], listed["by"], listed["ours"]) == (1, "radiologist", False)
    whole = asked(radiologist, "GET", "/chest-radiograph")
    assert (whole["text"], whole["newest"]) == (CLEAR, 1)
    assert asked(radiologist, "GET", "/chest-radiograph/versions/0")["text"] == CHEST
    noted = [(event.event, event.detail) for event in site.viewing.events("") if event.actor == "radiologist"]
    assert ("template saved", {"template": "chest-radiograph", "version": 1}) in noted


def test_going_back_and_taking_out_of_use(site: House, radiologist: Client) -> None:
    saved(radiologist, CLEAR, on=0)
    saved(radiologist, CHEST, on=1)
    page = radiologist.get("/templates/chest-radiograph?text=1").text
    assert "Both lungs are clear" in page
    assert "saving it makes it the newest version" in page
    saved(radiologist, CLEAR, on=2)
    assert chosen(site).startswith("Both lungs")
    asked(radiologist, "DELETE", "/chest-radiograph?on=2", status=409)
    assert asked(radiologist, "DELETE", "/chest-radiograph?on=3")["version"] == 4
    assert chosen(site).startswith("The lungs")
    asked(radiologist, "DELETE", "/chest-radiograph?on=4", status=409)
    assert [v["taken_out"] for v in asked(radiologist, "GET", "/chest-radiograph")["versions"]] == [True] + 3 * [False]


def test_who_was_overtaken_is_told_and_overwrites_nothing(radiologist: Client, address: str) -> None:
    other = client(address, Role.ADMIN)
    saved(other, CLEAR, on=0)
    assert "somebody has saved this template since" in saved(radiologist, CHEST, on=0, status=409)["detail"]
    assert asked(radiologist, "GET", "/chest-radiograph")["text"] == CLEAR


def test_a_new_template_is_made_and_can_be_taken_out_and_found_again(site: House, radiologist: Client) -> None:
    text = CHEST.replace('"chest-radiograph"', '"embolism"')
    asked(radiologist, "GET", "/embolism", status=404)
    assert asked(radiologist, "POST", "", {"text": text}, 201) == {"name": "embolism", "version": 1}
    assert "there is a template embolism already" in asked(radiologist, "POST", "", {"text": text}, 422)["detail"]
    asked(radiologist, "DELETE", "/embolism?on=1")
    assert "embolism" not in [one.template.name for one in site.templates]
    assert '<a href="/templates/embolism">' in radiologist.get("/templates").text
    assert "Out of use" in radiologist.get("/templates/embolism").text
    asked(radiologist, "PUT", "/embolism", {"text": text, "on": 2})
    assert "embolism" in [one.template.name for one in site.templates]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (CHEST.replace("150", '"150"'), TOKENS, "section.tokens: Input should be a valid integer"),
        (CHEST.replace('"chest-radiograph"', '"chest"'), 2, "name: must stay chest-radiograph"),
        ("name = ", 1, "Invalid value"),
        ("a = " + 5000 * "[", 1, "beyond all measure"),
        ("a = " + 5000 * "9", 1, "beyond all measure"),
        ("\n" * 401, 400, "has 400 lines at most"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_is_not_saved(
    site: House, radiologist: Client, text: str, line: int, reason: str
) -> None:
    told = asked(radiologist, "POST", "/check", {"text": text, "name": "chest-radiograph"})
    assert told["ok"] is False
    assert told["mistakes"][0]["line"] == line
    assert reason in told["mistakes"][0]["reason"]
    assert f"line {line}: " in saved(radiologist, text, on=0, status=422)["detail"]
    assert site.saved_templates.versions("chest-radiograph") == []


def test_a_good_text_is_told_to_be_so_and_not_saved(site: House, radiologist: Client) -> None:
    told = asked(radiologist, "POST", "/check", {"text": CLEAR, "name": "chest-radiograph"})
    assert told == {
        "ok": True,
        "name": "chest-radiograph",
        "for": ["CR, DX of CHEST"],
        "sections": ["FINDINGS", "IMPRESSION"],
    }
    assert asked(radiologist, "POST", "/check", {"text": CLEAR})["ok"] is False  # as a new one
    assert site.saved_templates.newest() == []


def test_the_difference_between_any_two(radiologist: Client) -> None:
    saved(radiologist, CLEAR, on=0)
    page = radiologist.get("/templates/chest-radiograph/difference?old=0&new=1").text
    assert re.search(r"<del>.*The lungs are clear", page)
    assert re.search(r"<ins>.*Both lungs are clear", page)
    (passage,) = asked(radiologist, "GET", "/chest-radiograph/difference?old=1&new=0")
    assert [line["change"] for line in passage["lines"]].count("removed") == 1
    assert "Both are the same" in radiologist.get("/templates/chest-radiograph/difference?old=1&new=1").text
    assert radiologist.get("/templates/chest-radiograph/difference?old=0&new=7").status == 404


def test_a_difference_shows_what_surrounds_it_and_where_it_stands() -> None:
    old = [f"line {number}" for number in range(1, 31)]
    new = [*old[:9], "another", *old[10:29]]
    first, second = difference("\n".join(old), "\n".join(new))
    assert (first.first, second.first) == (7, 27)
    assert [(line.change, line.text) for line in first.lines[2:6]] == [
        *(("same", "line 9"), ("removed", "line 10"), ("added", "another"), ("same", "line 11")),
    ]
    assert [(line.change, line.text) for line in second.lines[-1:]] == [("removed", "line 30")]


@pytest.mark.parametrize("role", [Role.TECHNOLOGIST, Role.IT])
def test_others_may_not(site: House, address: str, role: Role) -> None:
    one = client(address, role)
    assert "/templates" not in one.get("/").text
    for path in ("/templates", "/new-template", "/templates/ct-head", API, f"{API}/ct-head"):
        assert one.get(path).status == 403
    saved(one, CLEAR, on=0, status=403)
    asked(one, "POST", "/check", {"text": CLEAR}, status=403)
    assert site.saved_templates.newest() == []


def test_what_is_written_is_shown_as_text(radiologist: Client) -> None:
    text = CHEST.replace("The lungs are clear.", "</textarea><img src=x onerror=alert(1)>")
    saved(radiologist, text, on=0)
    for path in ("", "/difference?old=0&new=1"):
        page = radiologist.get(f"/templates/chest-radiograph{path}").text
        assert "<img src=x" not in page
        assert "&lt;img src=x" in page
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=\"", page)


def test_a_saved_text_that_cannot_be_used_can_still_be_mended(site: House, radiologist: Client) -> None:
    site.saved_templates.save("ct-head", "name = 1", on=0, by="maria", now=site.now())
    listed = radiologist.get("/templates")
    assert (listed.status, "template ct-head, version 1, line 1: " in listed.text) == (422, True)
    assert "Line 1: name: " in radiologist.get("/templates/ct-head").text
    asked(radiologist, "PUT", "/ct-head", {"text": OURS["ct-head"], "on": 1})
    assert radiologist.get("/templates").status == 200


# ── in a browser ──


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    with chromium() as browser:
        yield signed_in(browser, address, Role.RADIOLOGIST)


def test_a_template_is_edited_and_drafts_the_next_case(site: House, page: Page, tmp_path: Path) -> None:
    pipeline.draft(site, send_study(site, tmp_path / "before").id, "worker")  # the worker has its model and goes on
    page.get_by_role("link", name="Templates").click()
    page.get_by_role("link", name="chest-radiograph").click()
    text, verdict = page.get_by_label("Text, in TOML"), page.locator("#verdict")
    expect(verdict).to_have_text("This text can be used.")
    text.fill(CHEST.replace("150", "1500"))
    expect(verdict).to_contain_text(f"Line {TOKENS}: section.tokens: a canvas has 256 tokens")
    expect(page.locator("#gutter .wrong")).to_have_text(str(TOKENS))
    page.get_by_role("button", name=f"Line {TOKENS}").click()
    assert text.evaluate("it => it.value.slice(it.selectionStart, it.selectionEnd)") == "tokens = 1500"
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_contain_text(f"line {TOKENS}")
    text.fill(CHEST.replace('heading = "FINDINGS:"', 'heading = "WHAT IS SEEN:"'))
    expect(verdict).to_have_text("This text can be used.")
    expect(page.locator("#checked h2").first).to_have_text("WHAT IS SEEN:")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("In use: version 1, saved by radiologist")).to_be_visible()
    case = send_study(site, tmp_path / "after", 1_000_000_002)
    pipeline.draft(site, case.id, "worker")
    (draft,) = site.viewing.drafts(case.id)
    assert [section.heading for section in draft.text.sections] == ["WHAT IS SEEN:", "IMPRESSION:"]
    page.get_by_role("button", name="Use the file's again").click()
    expect(page.get_by_text("In use: the one that comes with radplug")).to_be_visible()


def test_who_was_overtaken_loses_nothing(site: House, page: Page, address: str) -> None:
    page.goto(f"{address}/templates/chest-radiograph")
    site.saved_templates.save("chest-radiograph", CLEAR, on=0, by="maria", now=site.now())
    mine = CHEST.replace("The lungs", "My lungs")
    text = page.get_by_label("Text, in TOML")
    text.fill(mine)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_contain_text("maria has saved version 1 meanwhile. Your text stands here")
    expect(page.get_by_role("link", name="See theirs")).to_have_attribute("href", "/templates/chest-radiograph?text=1")
    expect(text).to_have_value(mine)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("In use: version 2, saved by radiologist")).to_be_visible()
    assert [v.text for v in site.saved_templates.versions("chest-radiograph")] == [mine, CLEAR]


def test_a_new_template_begins_like_another(site: House, page: Page, address: str) -> None:
    page.goto(f"{address}/new-template?like=ct-head")
    expect(page.locator("#verdict")).to_contain_text("there is a template ct-head already; give this one its own")
    text = page.get_by_label("Text, in TOML")
    text.fill(text.input_value().replace('"ct-head"', '"ct-stroke"'))
    expect(page.locator("#verdict")).to_have_text("This text can be used.")
    page.get_by_role("button", name="Make this template").click()
    expect(page).to_have_url(f"{address}/templates/ct-stroke")
    expect(page.get_by_text("In use: version 1")).to_be_visible()
