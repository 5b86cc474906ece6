"""What the page takes a spoken phrase for: the grammar itself, evaluated in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browsers import chromium
from playwright.sync_api import Page

from radplug.web.app import STATIC

SECTIONS = [
    {"name": "FINDINGS", "heading": "FINDINGS:"},
    {"name": "LUNGS", "heading": "Lungs and pleura:"},
    {"name": "IMPRESSION", "heading": "IMPRESSION:"},
]
FINDINGS, IMPRESSION = {"do": "section", "name": "FINDINGS"}, {"do": "section", "name": "IMPRESSION"}
LINE = {"do": "line"}


@pytest.fixture(scope="module")
def grammar() -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page()
        source = (STATIC / "spoken.js").read_text(encoding="utf-8")
        page.evaluate(
            """async (source) => { const from = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
            window.spoken = await import(from) }""",
            source,
        )
        yield page


def actions_of(grammar: Page, transcript: str) -> Any:
    return grammar.evaluate("([said, sections]) => spoken.actionsOf(said, sections)", [transcript, SECTIONS])


def pin(text: str) -> dict[str, str]:
    return {"do": "pin", "text": text}


@pytest.mark.parametrize(
    ("transcript", "actions"),
    [
        # words stay as they were heard; a sentence that is closed begins with a capital
        ("small left pleural effusion", [pin("small left pleural effusion")]),
        ("small left pleural effusion full stop", [pin("Small left pleural effusion.")]),
        ("Small left pleural effusion.", [pin("Small left pleural effusion.")]),
        (
            " heart normal full stop lungs clear comma no effusion full stop",
            [pin("Heart normal."), pin("Lungs clear, no effusion.")],
        ),
        ("a nodule of 3.5 mm comma unchanged", [pin("a nodule of 3.5 mm, unchanged")]),
        ("discussed with Dr. Weiß full stop", [pin("Discussed with Dr. Weiß.")]),
        ("is there a fracture? no fracture.", [pin("is there a fracture?"), pin("No fracture.")]),
        ("", []),
        (" full stop ", []),
        # sections, by themselves or before a colon
        ("impression", [IMPRESSION]),
        (" Findings.", [FINDINGS]),
        ("lungs and pleura", [{"do": "section", "name": "LUNGS"}]),
        ("Lungs", [{"do": "section", "name": "LUNGS"}]),
        ("go to impression", [IMPRESSION]),
        ("section findings", [FINDINGS]),
        ("impression colon no acute disease full stop", [IMPRESSION, pin("No acute disease.")]),
        (" impression: no acute disease", [IMPRESSION, pin("no acute disease")]),
        ("heart normal full stop impression full stop no change", [pin("Heart normal."), IMPRESSION, pin("no change")]),
        (
            "heart normal full stop impression colon no change",
            [pin("Heart normal."), IMPRESSION, pin("no change")],
        ),
        # a section's name within a sentence is a word
        ("no acute findings", [pin("no acute findings")]),
        ("lungs are clear", [pin("lungs are clear")]),
        ("no change since the last impression full stop", [pin("No change since the last impression.")]),
        # commands, by themselves
        ("undo", [{"do": "undo"}]),
        ("Redo.", [{"do": "redo"}]),
        ("accept", [{"do": "accept"}]),
        ("keep that", [{"do": "keep"}]),
        ("strike that", [{"do": "strike"}]),
        ("scratch that full stop", [{"do": "strike"}]),
        ("heart normal full stop undo", [pin("Heart normal."), {"do": "undo"}]),
        ("we accept the limits of the method", [pin("we accept the limits of the method")]),
        # lines
        ("new line", [LINE]),
        ("heart normal new line lungs clear", [pin("heart normal"), LINE, pin("lungs clear")]),
        ("heart normal full stop New line. lungs clear", [pin("Heart normal."), LINE, pin("lungs clear")]),
        # a colon is an organ, too
        ("the colon is unremarkable", [pin("the colon is unremarkable")]),
        ("stenosis of the sigmoid colon", [pin("stenosis of the sigmoid colon")]),
        ("comparison colon none full stop", [pin("Comparison: none.")]),
        ("as follows colon three nodules", [pin("as follows: three nodules")]),
        ("coma scale 12 comma full stopped", [pin("coma scale 12, full stopped")]),
    ],
)
def test_what_is_said_is_meant(grammar: Page, transcript: str, actions: list[dict[str, str]]) -> None:
    assert actions_of(grammar, transcript) == actions


def test_a_heading_with_signs_of_a_pattern_is_a_heading(grammar: Page) -> None:
    sections = [{"name": "PRIOR", "heading": "Prior (if any):"}]
    said = ["prior (if any) colon none", sections]
    found = grammar.evaluate("([said, sections]) => spoken.actionsOf(said, sections)", said)
    assert found == [{"do": "section", "name": "PRIOR"}, pin("none")]
