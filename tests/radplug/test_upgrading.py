"""From the schema before to this version's with rows in every table; and never back from one that is newer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from kept_sites import run, settings_file

import radplug
from radplug.backups import manifest
from radplug.backups.restoring import restore
from radplug.backups.taking import backup
from radplug.domain import CaseState
from radplug.records.database import Database, WrongSchema, head
from radplug.settings import Settings
from radplug.wiring import House

OF_TYPE: Mapping[type, Any] = {
    str: "x",
    int: 1,
    float: 0.5,
    bool: True,
    bytes: b"x",
    date: date(2026, 11, 1),
    datetime: datetime(2026, 11, 1, 12),
    dict: {},
}
OF_COLUMN = {  # of what is read as more than rows
    ("cases", "state"): CaseState.DELIVERED,
    ("cases", "routing"): None,
    ("cases", "complete_because"): None,
    ("drafts", "images"): [],
}


def migrations() -> Config:
    config = Config(attributes={})
    config.set_main_option("script_location", str(Path(radplug.__file__).parent / "migrations"))
    return config


def before_head() -> str:
    script = ScriptDirectory.from_config(migrations()).get_revision(head())
    assert isinstance(script.down_revision, str)
    return script.down_revision


@contextmanager
def engine_of(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def filled(url: str) -> dict[str, list[tuple[object, ...]]]:
    """A database at the schema before this version's, with a row in every table; these rows, by table."""
    config, tables = migrations(), sa.MetaData()
    with engine_of(url) as engine:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, before_head())
        tables.reflect(engine)
        with engine.begin() as connection:
            for table in tables.sorted_tables:
                if table.name != "alembic_version":
                    connection.execute(sa.insert(table).values({c.name: value(table, c) for c in table.columns}))
    return rows(url, {table.name: [c.name for c in table.columns] for table in tables.sorted_tables})


def value(table: sa.Table, column: sa.Column[Any]) -> Any:
    kind = dict if isinstance(column.type, sa.JSON) else column.type.python_type
    of_type = OF_TYPE[kind]
    if isinstance(of_type, datetime) and getattr(column.type, "timezone", False):
        of_type = of_type.astimezone()
    return OF_COLUMN.get((table.name, str(column.name)), of_type)


def rows(url: str, columns: Mapping[str, list[str]]) -> dict[str, list[tuple[object, ...]]]:
    """What these columns hold, but for alembic's own table."""
    tables = sa.MetaData()
    with engine_of(url) as engine, engine.connect() as connection:
        tables.reflect(connection)
        return {
            name: [tuple(row) for row in connection.execute(sa.select(*(tables.tables[name].c[each] for each in of)))]
            for name, of in columns.items()
            if name != "alembic_version"
        }


def columns_of(url: str) -> dict[str, list[str]]:
    tables = sa.MetaData()
    with engine_of(url) as engine:
        tables.reflect(engine)
    return {table.name: [column.name for column in table.columns] for table in tables.sorted_tables}


def test_rows_of_the_schema_before_are_there_after_the_upgrade(database_url: str, tmp_path: Path) -> None:
    before = filled(database_url)
    columns = columns_of(database_url)
    assert len(before) > 30
    assert all(len(found) == 1 for found in before.values())
    house = House(Settings(store={"data": tmp_path / "data"}, database={"url": database_url}), "test")
    with pytest.raises(WrongSchema, match="run `radplug migrate`"):
        house.database.require_schema()
    house.database.migrate()
    house.database.require_schema()
    assert rows(database_url, columns) == before
    (case,) = house.viewing.cases()
    assert (case.id, case.state) == ("x", CaseState.DELIVERED)
    house.database.close()


def test_a_newer_database_is_left_alone_and_said_to_be_newer(database_url: str, tmp_path: Path) -> None:
    config = settings_file(tmp_path, tmp_path / "data", database_url)
    assert run(config, "migrate").exit_code == 0
    with engine_of(database_url) as engine, engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    for words in (["migrate"], ["up"], ["cases"], ["backup", str(tmp_path / "backup")]):
        refused = run(config, *words).exception
        assert isinstance(refused, WrongSchema), words
        for told in ("9999", head(), "a newer radplug", "Install that version again", "radplug restore"):
            assert told in str(refused)
    findings = {one["about"]: one for one in json.loads(run(config, "doctor", "--json").stdout)}
    assert "a newer radplug" in findings["database"]["text"]
    assert not findings["database"]["well"]
    database = Database(database_url)
    assert (database.schema(), database.is_current()) == ("9999", False)
    database.close()


def test_a_backup_of_the_schema_before_is_restored_at_this_one(tmp_path: Path) -> None:
    house = House(Settings(store={"data": tmp_path / "data"}), "test")
    house.database.migrate()
    made = backup(house.database, house.store.root, tmp_path / "backup", house.now())
    house.database.close()
    row_file, list_file = tmp_path / "backup" / made.rows, tmp_path / "backup" / manifest.LIST
    row_file.unlink()
    before = filled(f"sqlite:///{row_file}")
    list_file.write_text(f"{hashlib.sha256(row_file.read_bytes()).hexdigest()}  {made.rows}\n")
    replace(made, schema=before_head(), list_sha256=manifest.digest(list_file)).write(tmp_path / "backup")
    data = tmp_path / "restored"
    restore(tmp_path / "backup", f"sqlite:///{data / 'radplug.sqlite'}", data)
    restored = House(Settings(store={"data": data}), "test")
    restored.database.require_schema()
    assert [case.id for case in restored.viewing.cases()] == ["x"] == [row[0] for row in before["cases"]]
    restored.database.close()
