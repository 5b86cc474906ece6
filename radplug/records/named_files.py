"""The files that rows name, each relative to the data directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from radplug.records.schema import deliveries, drafts, instances, prior_instances

CHUNK = 1000  # rows that are held at a time


class FileKind(StrEnum):
    """What a file is to the row that names it."""

    INSTANCE = "instance"
    PRIOR = "instance of an earlier study"
    KEY_IMAGE = "key image"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class NamedFile:
    file: str
    kind: FileKind
    row: str = ""  # of an instance: its id
    sha256: str = ""  # of an instance's data set; empty: the row does not tell


def named_files(connection: sa.Connection) -> Iterator[NamedFile]:
    """All that the rows name as this connection's transaction sees them; one may come several times."""
    for row in _streamed(connection, instances.c.id, instances.c.file, instances.c.sha256):
        yield NamedFile(row.file, FileKind.INSTANCE, row.id, row.sha256)
    for row in _streamed(connection, prior_instances.c.file):
        yield NamedFile(row.file, FileKind.PRIOR)
    for row in _streamed(connection, drafts.c.images):
        for image in row.images:
            yield NamedFile(image["file"], FileKind.KEY_IMAGE)
    for row in _streamed(connection, deliveries.c.file):
        yield NamedFile(row.file, FileKind.DOCUMENT)


def _streamed(connection: sa.Connection, *columns: sa.Column[Any]) -> sa.CursorResult[Any]:
    return connection.execute(sa.select(*columns), execution_options={"yield_per": CHUNK})
