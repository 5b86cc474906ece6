"""The whole story in a real Chromium, with every station a process of its own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from browsers import chromium
from peers import wait_until
from playwright.sync_api import expect
from sites import hospital

from dicom_io import report_checks, report_reading
from hl7 import oru
from radplug.domain import CaseState
from radplug.models import DEMO_CHECKPOINT
from radplug.people import Role

PHRASES = {"FINDINGS": "Small right pleural effusion, new since yesterday.", "IMPRESSION": "Telephoned to the ward."}


def test_a_study_comes_is_drafted_steered_and_accepted(tmp_path: Path) -> None:
    with chromium() as browser, hospital(tmp_path, DEMO_CHECKPOINT) as site:
        house = site.running.house
        house.people.add_without_password("maria", Role.RADIOLOGIST, house.now())
        link = house.people.link("maria", house.now() + timedelta(minutes=2))
        address = next(station.detail for station in house.stations.all() if station.name == "web")
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(f"{address}/sign-in/{link}")
        page.locator("#live.well").wait_for()
        expect(page.get_by_text("No study has come yet")).to_be_visible()

        study = site.study("study")
        site.send(*study.files)  # the page is not touched
        expect(page.locator("tr[data-case] .state")).to_have_text("delivered", timeout=60_000)

        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.locator("form.pin").first.wait_for()
        for edit, (section, phrase) in enumerate(PHRASES.items(), start=1):
            page.evaluate(
                """() => { const step = document.getElementById("step"); window.steps = [];
                new MutationObserver(() => steps.push(step.textContent)).observe(step, {childList: true}) }"""
            )
            page.get_by_label(f"Pin a phrase in {section}").fill(phrase)
            page.keyboard.press("Enter")
            page.locator(f"#draft[data-edit='{edit}']:not(.drafting)").wait_for(timeout=30_000)
            assert any(step.startswith("step ") for step in page.evaluate("steps"))
        expect(page.locator("#draft mark.anchor")).to_have_text(list(PHRASES.values()))

        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("AI draft, accepted as a draft, not verified")).to_be_visible()
        site.wait_for(study, CaseState.DELIVERED, 2)
        wait_until(lambda: len(site.ris.received) == 2, 10, lambda: "two messages")
        first, second = (file.read_bytes() for file in site.pacs.received)
        assert report_checks.check(second) == ()
        told = report_reading.read(second)
        assert told.predecessor
        assert told.predecessor.sop_instance_uid == report_reading.read(first).ids.sop_instance_uid
        assert (told.verification_flag, told.report.accepted_by) == ("UNVERIFIED", "maria")
        message = oru.read(site.ris.received[1].read_bytes())
        assert message.status == "R"
        for text in ({s.heading.meaning: s.paragraphs[0].text for s in told.report.sections}, message.sections):
            for phrase in PHRASES.values():
                assert phrase in str(text)
        page.context.close()
