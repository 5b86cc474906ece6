"""The files that rows name, gone through without holding them all in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from radplug.records.named_files import FileKind, NamedFile, named_files


class Inventory:
    """A set of named files in the order of their names, in a private temporary file that goes when it is closed."""

    def __init__(self, files: Iterable[NamedFile]) -> None:
        self._rows = sqlite3.connect("")  # https://www.sqlite.org/inmemorydb.html: a temporary file, not memory
        self._rows.execute(
            "CREATE TABLE named (file TEXT PRIMARY KEY, kind TEXT NOT NULL, row TEXT NOT NULL, sha256 TEXT NOT NULL)"
        )
        given = ((one.file, one.kind, one.row, one.sha256) for one in files)
        self._rows.executemany("INSERT OR IGNORE INTO named VALUES (?, ?, ?, ?)", given)

    @classmethod
    def of(cls, connection: sa.Connection) -> Self:
        """What the rows name as this connection's transaction sees them."""
        return cls(named_files(connection))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._rows.close()

    def __len__(self) -> int:
        return int(self._rows.execute("SELECT count(*) FROM named").fetchone()[0])

    def __iter__(self) -> Iterator[NamedFile]:
        for file, kind, row, sha256 in self._rows.execute("SELECT * FROM named ORDER BY file"):
            yield NamedFile(file, FileKind(kind), row, sha256)

    def __contains__(self, file: str) -> bool:
        return self._rows.execute("SELECT 1 FROM named WHERE file = ?", (file,)).fetchone() is not None
