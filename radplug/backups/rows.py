"""All rows as they are at one moment, in a file, and back: SQLite's online backup, PostgreSQL's own tools."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from radplug.backups.manifest import ROWS, BackupFailed
from radplug.records.database import BUSY_SECONDS, Database
from radplug.study_store import PARTIAL


@contextmanager
def exported(database: Database, folder: Path) -> Iterator[sa.Connection]:
    """Write all rows to a file in `folder`; the connection sees the very rows that were written.

    Nobody who reads or writes rows has to wait meanwhile.

    Raises:
        BackupFailed: it cannot be done; the text says why.
    """
    kind = database.url.get_backend_name()
    make = _from_sqlite if kind == "sqlite" else _from_postgresql
    with make(database, folder / ROWS[kind]) as connection:
        yield connection


@contextmanager
def _from_sqlite(database: Database, file: Path) -> Iterator[sa.Connection]:
    """By the online backup API, in one step: one read transaction, beside which a writer goes on in WAL mode."""
    try:
        with (
            closing(sqlite3.connect(str(database.url.database), timeout=BUSY_SECONDS)) as source,
            closing(sqlite3.connect(file)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
            (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise BackupFailed(f"the rows could not be copied: {error}") from error
    if found != "ok":
        raise BackupFailed("SQLite finds its database damaged (PRAGMA quick_check); restore the backup before this one")
    engine = sa.create_engine(f"sqlite:///{file}")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _from_postgresql(database: Database, file: Path) -> Iterator[sa.Connection]:
    """By pg_dump, on the snapshot of a transaction that stays open: what it reads is what was dumped."""
    with database.reading() as plain:
        connection = plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        snapshot = connection.scalar(sa.text("SELECT pg_export_snapshot()"))
        words = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={file}")
        _run("pg_dump", database.url, _version(plain), *words)
        yield connection


def require_empty(url: sa.URL) -> None:
    """Raises BackupFailed where the database holds anything; it is made where it is absent, if it is SQLite."""
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database))
        if file.exists():
            raise BackupFailed(f"{file} is a database already, and a backup is restored beside none; move it away")
        return
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            tables = sa.inspect(connection).get_table_names()
    except sa.exc.OperationalError as error:
        raise BackupFailed("the database of database.url cannot be reached; make an empty one (createdb)") from error
    finally:
        engine.dispose()
    if tables:
        where = url.render_as_string(hide_password=True)
        raise BackupFailed(f"{where} has tables already, and a backup is restored into an empty database; make another")


def imported(url: sa.URL, file: Path) -> None:
    """Put the rows of a file into an empty database. Raises BackupFailed."""
    if url.get_backend_name() == "sqlite":
        target = Path(str(url.database))
        partial = target.with_name(target.name + PARTIAL)
        shutil.copyfile(file, partial)
        partial.chmod(0o600)
        partial.rename(target)
    else:
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            version = _version(connection)
        engine.dispose()
        words = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", str(file))
        _run("pg_restore", url, version, *words)


def _version(connection: sa.Connection) -> str:
    """The server's major version."""
    return str((connection.dialect.server_version_info or ("",))[0])


def _run(name: str, url: sa.URL, version: str, *words: str) -> None:
    """One of PostgreSQL's programs; a password goes by a file that is ours alone, never on the command line."""
    program = _program(name, version)
    to = url.set(drivername="postgresql", password=None)
    with tempfile.NamedTemporaryFile("w", prefix="radplug-") as passfile:
        if url.password:
            escaped = str(url.password).replace("\\", "\\\\").replace(":", "\\:")
            passfile.write(f"*:*:*:*:{escaped}\n")
            passfile.flush()
            to = to.update_query_dict({"passfile": passfile.name})
        where = to.render_as_string(hide_password=False)
        command = [program, "--no-password", f"--dbname={where}", *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error:" in line), "it did not say why")
        raise BackupFailed(f"{program} failed: {said}")  # further lines may quote rows


def _program(name: str, version: str) -> str:
    """Debian's of the server's own version, or else what is on the path."""
    of_version = Path(f"/usr/lib/postgresql/{version}/bin/{name}")
    found = str(of_version) if of_version.is_file() else shutil.which(name)
    if not found:
        raise BackupFailed(
            f"{name} was not found: install the client programs of PostgreSQL {version} on this machine (Debian: "
            f"postgresql-client-{version})"
        )
    return found
