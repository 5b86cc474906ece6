"""What comes from outside, in a real Chromium: names in every script, markup instead of words, a server that goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from browsers import pin, signed_in
from houses import SIZE, receive_file, send_study
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread
from test_endings import pin as pinned

from hl7.orders import Order
from model_runtime.draft_text import Author, Span
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.domain import Case, Dictation
from radplug.insight import TOLD_FROM
from radplug.people import Role
from radplug.records.schema import deliveries, drafts
from radplug.web.serving import serving
from radplug.wiring import House

ATTACK = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def study_of(house: House, folder: Path, name: str, description: str = "") -> Case:
    (file,) = synthetic_study.write(folder, 1_000_000_001, datetime.now(UTC), size=SIZE).files
    image = dcmread(file)
    image.PatientName, image.StudyDescription = name, description
    image.save_as(file)
    return receive_file(house, file)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Müller-Lüdenscheidt^Jürgen^^Dr.", "Müller-Lüdenscheidt, Dr. Jürgen"),
        ("Zhang^XiaoDong=张^小东", "Zhang, XiaoDong · 张, 小东"),
    ],
)
def test_a_name_is_shown_as_it_is_written(
    site: House, address: str, browser: Browser, tmp_path: Path, name: str, shown: str
) -> None:
    case = study_of(site, tmp_path / "study", name)
    page = signed_in(browser, address, Role.RADIOLOGIST)
    link = page.locator(f"tr[data-case='{case.id}'] a.open")
    expect(link).to_have_text(shown)
    page.get_by_label("Search").fill(shown.split()[-1])
    expect(link).to_be_visible()
    link.click()
    expect(page.locator(".patient strong")).to_have_text(shown)
    page.context.close()


@pytest.fixture
def guarded(browser: Browser, address: str) -> Iterator[Page]:
    """A page that notes what its Content-Security-Policy forbids, and fails the test where a script runs."""
    page = signed_in(browser, address, Role.RADIOLOGIST)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.add_init_script(
        """window.blocked = []; document.addEventListener("securitypolicyviolation",
        (event) => blocked.push(event.violatedDirective));"""
    )
    yield page
    page.context.close()


def shows_as_text(page: Page, place: str) -> None:
    """The attack is words there, and nothing that it would make is anywhere."""
    expect(page.locator(place, has_text=ATTACK).first).to_be_visible()
    expect(page.locator("main img[src='x'], main script")).to_have_count(0)
    assert page.evaluate("blocked") == []


def test_markup_is_text_wherever_it_comes_from(site: House, address: str, guarded: Page, tmp_path: Path) -> None:
    case = study_of(site, tmp_path / "study", f"{ATTACK}^Eve", f"{ATTACK} chest"[:64])
    site.receiving.add_order(Order(case.accession_number, indication=f"{ATTACK} cough"), site.now())
    said = Dictation("FINDINGS", f"{ATTACK} is seen.", "test", site.now(), study_uid=case.study_uid)
    site.receiving.add_dictation(said)
    pipeline.draft(site, case.id, "worker")
    page = guarded
    page.goto(address)
    page.locator("#live.well").wait_for()
    expect(page.locator(f"tr[data-case='{case.id}']")).to_contain_text(ATTACK)
    assert page.evaluate("blocked") == []
    page.goto(f"{address}/cases/{case.id}")
    expect(page.locator(".patient strong")).to_contain_text("<script>alert(2)</script>")
    expect(page.locator(".order")).to_have_text(f"Indication: {ATTACK} cough")
    expect(page.locator("#draft mark.anchor")).to_have_text(f"{ATTACK} is seen.")
    pin(page, f"{ATTACK} again.")
    page.locator("#draft[data-edit='1']").wait_for()
    expect(
        page.locator(
            ".patient img, .patient script, .order img, .order script, #draft img, #draft script, .worklist img"
        )
    ).to_have_count(0)
    assert page.evaluate("blocked") == []


def test_what_the_model_writes_is_text_wherever_it_is_shown(
    site: House, address: str, guarded: Page, tmp_path: Path
) -> None:
    page, cases = guarded, [written_by_the_model(site, tmp_path, number) for number in range(TOLD_FROM)]
    page.goto(f"{address}/cases/{cases[0].id}")
    page.locator("form.pin").first.wait_for()
    shows_as_text(page, "#draft .model")
    site.receiving.add_dictation(
        Dictation("FINDINGS", "Normal heart.", "test", site.now(), study_uid=cases[0].study_uid)
    )
    pipeline.draft(site, cases[0].id, "worker")
    shows_as_text(page, "#offer del")
    for case in cases:
        pinned(site, case, "Normal heart.")
        pipeline.accept(site, site.desks.of(case.id, site.now()), "maria")
    for old, new, change in ((1, 2, "del"), (2, 1, "ins")):
        page.goto(f"{address}/cases/{cases[0].id}/versions?old=draft-{old}&new=draft-{new}")
        shows_as_text(page, f".difference {change}")
    page.goto(f"{address}/insight")
    shows_as_text(page, "main ol li")
    with site.database.writing() as connection:
        letter = {"version": 1, "destination": ATTACK, "kind": "sr", "state": "dead", "outcome": f"refused: {ATTACK}"}
        rest = {"case_id": cases[0].id, "document_id": "1.2.3", "file": "f", "attempts": 3}
        connection.execute(sa.insert(deliveries).values(letter | rest))
    page.goto(f"{address}/dead-letters")
    shows_as_text(page, "td.reason")
    page.goto(f"{address}/cases/{cases[0].id}")
    shows_as_text(page, "#sent")


def written_by_the_model(house: House, folder: Path, number: int) -> Case:
    """A case whose draft's first sentence is an attack."""
    case = send_study(house, folder / str(number), 1_000_000_001 + number)
    pipeline.draft(house, case.id, "worker")
    (draft,) = house.viewing.drafts(case.id)
    first, *others = draft.text.sections
    section = replace(first, spans=(Span(ATTACK, Author.MODEL, 0.5), *first.spans))
    text = replace(draft.text, sections=(section, *others)).as_json()
    with house.database.writing() as connection:
        connection.execute(sa.update(drafts).where(drafts.c.case_id == case.id).values(text=text))
    return case


def test_a_templates_text_is_text_wherever_it_is_shown(site: House, address: str, guarded: Page) -> None:
    page, path = guarded, f"{address}/templates/chest-radiograph"
    (ours,) = (one.text for one in site.templates if one.template.name == "chest-radiograph")
    words = ATTACK.replace('"', "'")
    text = re.sub(r'(normal|meaning) = "[^"]*', rf'\1 = "{words}', ours)
    site.saved_templates.save("chest-radiograph", text, on=0, by=f"{ATTACK}", now=site.now())
    page.goto(f"{address}/templates")
    shows_as_text(page, "main table")
    for editor in (path, f"{address}/new-template?like=chest-radiograph"):
        page.goto(editor)
        expect(page.locator("#text")).to_have_value(text)
        shows_as_text(page, "main")
    page.goto(path)
    shows_as_text(page, "#checked")
    page.locator("#text").fill(f'"{words}" = 1\n{text}')
    expect(page.locator("#checked li").first).to_be_visible()
    shows_as_text(page, "#checked li")
    page.locator("#text").fill(text)
    expect(page.locator("#checked .preview")).to_be_visible()
    shows_as_text(page, "#checked .preview")
    page.goto(f"{path}/difference?old=0&new=1")
    shows_as_text(page, ".passage ins")


def test_a_case_catches_up_once_the_server_is_back(site: House, browser: Browser, tmp_path: Path) -> None:
    case = study_of(site, tmp_path / "study", "Phantom")
    pipeline.draft(site, case.id, "worker")
    with serving(site) as address:
        page = signed_in(browser, address, Role.RADIOLOGIST)
        page.goto(f"{address}/cases/{case.id}")
        page.locator("form.pin").first.wait_for()
        port = int(address.rpartition(":")[2])
    expect(page.locator("#live")).to_have_text("connection lost, trying again")
    pin(page, "Small effusion.")
    expect(page.locator("#status")).to_have_text("the connection is lost; nothing was changed")
    expect(page.get_by_label("Pin a phrase in FINDINGS:")).to_have_value("Small effusion.")
    _dictate(site, case)
    again = site.settings.model_copy(update={"web": site.settings.web.model_copy(update={"port": port})})
    with serving(House(again, "test")):
        expect(page.locator("#live.well")).to_be_visible(timeout=20_000)
        expect(page.locator("#draft[data-edit='1']")).to_be_visible(timeout=20_000)
        page.context.close()


def _dictate(house: House, case: Case) -> None:
    """Somebody else's edit, while the page is cut off."""
    desk = house.desks.of(case.id, house.now())
    house.desks.add(desk.edit, (), ("No effusion.",), by="paul", what="struck", now=house.now())
