"""One database, SQLite or PostgreSQL: opened, brought to the present schema, read and written in transactions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql, sqlite

BUSY_SECONDS = 30
MIGRATION_LOCK = 0x726164706C7567  # any number that is ours alone


class WrongSchema(Exception):
    """The database is not at the schema that this version of radplug needs."""


class Database:
    """A connection pool on `url`, with short read and write transactions.

    SQLite runs in WAL mode with `synchronous=FULL`: a committed row survives a power cut. Its one writer at a time is
    queued here by a lock, because SQLite's own waiting is unfair under many threads.
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self._sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = (
            {"connect_args": {"timeout": BUSY_SECONDS}} if self._sqlite else {"pool_pre_ping": True}
        )
        self._engine = sa.create_engine(self.url, **options)
        if self._sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        self._writer = self._engine.execution_options(writing=True)
        self._turn = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction: committed at the end of the block, rolled back where it raises."""
        if self._sqlite:
            with self._turn, self._writer.begin() as connection:
                yield connection
        else:
            with self._writer.begin() as connection:
                yield connection

    def migrate(self) -> None:
        """Bring the schema to this version's; of several that try at once, one does, the others find it done.

        Raises:
            WrongSchema: a newer radplug has been at the database. Nothing is changed.
        """
        config = _alembic()
        with self.writing() as connection:
            if not self._sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            _refuse_newer(_schema(connection))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def is_current(self) -> bool:
        """Whether the schema is the one that this version of radplug needs."""
        try:
            self.require_schema()
        except WrongSchema:
            return False
        return True

    def require_schema(self) -> None:
        """Raises WrongSchema, with what to do, unless the schema is this version's."""
        found = self.schema()
        if found == head():
            return
        _refuse_newer(found)
        is_at = f"is at schema {found}" if found else "has no schema yet"
        raise WrongSchema(f"the database {is_at}, this radplug needs {head()}; run `radplug migrate`")

    def schema(self) -> str | None:
        """The schema that the database is at; None: it is empty."""
        with self.reading() as connection:
            return _schema(connection)

    def close(self) -> None:
        self._engine.dispose()


def insert_or_ignore(connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with the same key is there; whether it was inserted."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None


@cache
def _schemas() -> tuple[str, ...]:
    """Those that this version knows, its own first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions())


def head() -> str:
    """The schema of this version."""
    return _schemas()[0]


def is_newer(schema: str | None) -> bool:
    """Whether only a later radplug can have made it: this one knows its own schema and all those before."""
    return schema is not None and schema not in _schemas()


def _schema(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(found: str | None) -> None:
    if is_newer(found):
        raise WrongSchema(
            f"the database is at schema {found}, and this radplug knows none after {head()}: a newer radplug has been "
            "at it. Install that version again; or, to go back to this one, restore the backup that was taken before "
            "the upgrade (`radplug restore`, docs/backup.md)"
        )


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    return config


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # sqlite3 would begin transactions on its own, and too late
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows ASCII alone


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock at its start: one that upgrades a read lock later can fail on a busy database."""
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
