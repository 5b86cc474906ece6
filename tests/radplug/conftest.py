"""A house on a database of each kind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_checkpoint
from argon2 import PasswordHasher
from browsers import SCRIPT_ERRORS, Worker, chromium, signed_in, with_accounts
from houses import house_at, send_study
from playwright.sync_api import Browser, Page, expect
from preloaded import Radplug

from radplug import pipeline
from radplug.acceptance import running_site
from radplug.domain import Case
from radplug.models import DEMO_CHECKPOINT
from radplug.people import Role
from radplug.records import people
from radplug.settings import Settings
from radplug.web.serving import serving
from radplug.wiring import House

expect.set_options(timeout=20_000)  # milliseconds: a busy machine is no failure


@pytest.fixture(autouse=True)
def no_script_fails() -> Iterator[None]:
    yield
    errors = SCRIPT_ERRORS.copy()
    SCRIPT_ERRORS.clear()
    assert not errors


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """argon2id as ever, but a hash takes no fifth of a second: tests sign in hundreds of times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(people, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64))
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_starts() -> Iterator[None]:
    """A whole site takes two seconds of the processor's time instead of nine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running_site, "start_radplug", Radplug)
        yield


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    settings = Settings(
        store={"data": tmp_path / "data", "keep_free_mib": 1},
        database={"url": database_url},
        assembly={"quiet_seconds": 10, "at_most_seconds": 100},
        pacs=[{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}],
        reporting=[{"name": "ris", "host": "127.0.0.1", "port": 1}],
    )
    made = House(settings, "test")
    made.database.migrate()
    yield made
    made.database.close()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint that drafts nonsense at once. Read it, never write into it."""
    return tiny_checkpoint.write(tmp_path_factory.mktemp("model"), canvas_length=256, steps=2)


@pytest.fixture
def build(tmp_path: Path, model: Path) -> Iterator[Callable[..., House]]:
    """Makes houses on one data folder, with the settings that it is given."""
    built: list[House] = []

    def make(**settings: Any) -> House:
        built.append(house_at(tmp_path, model, **settings))
        return built[-1]

    yield make
    for house in built:
        house.database.close()


@pytest.fixture
def site(build: Callable[..., House]) -> House:
    """A house whose pages everybody may sign in to."""
    return with_accounts(build(web={"port": 0}, drafting={"assume_body_part": "CHEST"}))


@pytest.fixture
def address(site: House) -> Iterator[str]:
    """Of `site`'s pages."""
    with serving(site) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = signed_in(browser, address, Role.RADIOLOGIST)
    yield page
    page.context.close()


@pytest.fixture(scope="session")
def drafted_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of a house with accounts, and a case that the demo model has drafted; copy it, never write into it."""
    root = tmp_path_factory.mktemp("drafted")
    house = with_accounts(house_at(root, DEMO_CHECKPOINT, drafting={"assume_body_part": "CHEST"}))
    case = send_study(house, root / "study")
    pipeline.draft(house, case.id, "worker")
    house.database.close()
    return root / "data"


@pytest.fixture
def drafted(build: Callable[..., House], tmp_path: Path, drafted_before: Path) -> tuple[House, Case]:
    """A case that the demo model has drafted, in a house of the test's own."""
    shutil.copytree(drafted_before, tmp_path / "data")
    model = {"checkpoint": DEMO_CHECKPOINT, "threads": 1}
    house = build(web={"port": 0}, model=model, drafting={"assume_body_part": "CHEST"})
    (case,) = house.viewing.cases()
    return house, case


@pytest.fixture
def open_case(drafted: tuple[House, Case], browser: Browser) -> Iterator[Callable[[], Page]]:
    """Opens the case in a browser of its own."""
    house, case = drafted
    opened: list[Page] = []
    with serving(house, Worker(house)) as address:

        def open_one() -> Page:
            page = signed_in(browser, address, Role.RADIOLOGIST)
            opened.append(page)
            page.goto(f"{address}/cases/{case.id}")
            page.locator("form.pin").first.wait_for()
            return page

        yield open_one
        for page in opened:
            page.context.close()
