"""In a real browser: which of two images a sentence refers to, on a case that is steered and on a version of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from browsers import Worker, signed_in, with_accounts
from houses import receive_file
from playwright.sync_api import Browser, Page, expect

from model_runtime.draft_text import Author
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.domain import Case
from radplug.models import DEMO_CHECKPOINT
from radplug.people import Role
from radplug.web.serving import serving
from radplug.wiring import House


@pytest.fixture
def two_images(build: Callable[..., House], tmp_path: Path) -> tuple[House, Case]:
    """A case drafted from two images, by the demo model that is allowed to see them both."""
    checkpoint = shutil.copytree(DEMO_CHECKPOINT, tmp_path / "two")
    card = checkpoint / "model_card.toml"
    card.write_text(card.read_text().replace("\nimages = 1\n", "\nimages = 2\n"))
    model = {"checkpoint": checkpoint, "threads": 1}
    house = with_accounts(build(web={"port": 0}, model=model, drafting={"assume_body_part": "CHEST"}))
    study = synthetic_study.write(tmp_path / "study", 1_000_000_001, datetime.now(UTC), views=2, size=128)
    (case,) = {receive_file(house, file).id for file in study.files}
    pipeline.draft(house, case, "worker")
    return house, house.viewing.case(case)


@pytest.fixture
def page(two_images: tuple[House, Case], browser: Browser) -> Iterator[Page]:
    house, case = two_images
    with serving(house, Worker(house)) as address:
        page = signed_in(browser, address, Role.RADIOLOGIST)
        page.goto(f"{address}/cases/{case.id}")
        page.locator("form.pin").first.wait_for()
        yield page
        page.context.close()


def refers(page: Page) -> list[int]:
    """Where each sentence with an image leads: the pointer over it marks that figure alone."""
    found = []
    for sentence in page.locator("#draft [data-image]").all():
        sentence.hover()
        expect(page.locator("figure.referred")).to_have_count(1)
        found.append(int(page.locator("figure.referred").evaluate("figure => figure.id").removeprefix("image-")))
    return found


def test_each_sentence_marks_its_own_image(two_images: tuple[House, Case], page: Page) -> None:
    house, case = two_images
    (draft,) = house.viewing.drafts(case.id)
    wanted = [
        span.image
        for section in draft.text.sections
        for span in section.spans
        if span.kind is Author.MODEL and span.image is not None
    ]
    assert len(draft.images) == 2
    assert set(wanted) == {1, 2}
    assert refers(page) == wanted
    page.goto(f"{page.url}?version={draft.version}")
    expect(page.locator("form.pin")).to_have_count(0)
    assert refers(page) == wanted


def test_a_click_or_a_key_shows_that_image_above(page: Page) -> None:
    shown = page.locator("#viewer output")
    first, second = (page.locator(f'#draft [data-image="{number}"]').first for number in (1, 2))
    second.click()
    expect(shown).to_contain_text("image 2")
    first.press("i")
    expect(shown).to_contain_text("image 1")
    second.press("i")
    expect(shown).to_contain_text("image 2")
    first.click()
    expect(shown).to_contain_text("image 1")
