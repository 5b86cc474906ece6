"""A house on a database of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from radplug.settings import Settings
from radplug.wiring import House


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
