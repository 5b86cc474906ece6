"""A house on a database of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_checkpoint
from browsers import SCRIPT_ERRORS, with_accounts
from houses import house_at

from radplug.settings import Settings
from radplug.web.serving import serving
from radplug.wiring import House


@pytest.fixture(autouse=True)
def no_script_fails() -> Iterator[None]:
    yield
    errors = SCRIPT_ERRORS.copy()
    SCRIPT_ERRORS.clear()
    assert not errors


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
