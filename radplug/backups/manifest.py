"""What a backup says of itself.

<backup>/manifest.json      what it is of; written last
<backup>/files.sha256       a line for each file, as `sha256sum --check` reads it
<backup>/rows.sqlite        or rows.dump, PostgreSQL's custom format
<backup>/files/...          as in the data directory
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

FORMAT = 1
MANIFEST, LIST, FILES = "manifest.json", "files.sha256", "files"
ROWS = {"sqlite": "rows.sqlite", "postgresql": "rows.dump"}
LINE = re.compile(r"([0-9a-f]{64})  (rows\.(?:sqlite|dump)|files/.+)\n")


class BackupFailed(Exception):
    """No backup could be taken, or this one cannot be restored here; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Manifest:
    radplug: str  # version that has taken it
    schema: str  # of the rows
    database: str  # sqlite or postgresql
    taken_at: datetime  # the rows are as they were at that moment
    cases: int
    instances: int
    files: int
    bytes: int  # of these
    list_sha256: str  # of files.sha256
    amiss: tuple[str, ...] = ()  # files that were missing or changed already when it was taken
    withdrawn: tuple[str, ...] = ()  # that went, with their rows, while it was taken
    format: int = FORMAT

    @property
    def rows(self) -> str:
        """The file with the rows."""
        return ROWS[self.database]

    def write(self, folder: Path) -> None:
        (folder / MANIFEST).write_bytes(ADAPTER.dump_json(self, indent=2))


ADAPTER = TypeAdapter(Manifest)


def read(folder: Path) -> Manifest:
    """Raises BackupFailed where there is no whole backup that this version can read."""
    file = folder / MANIFEST
    try:
        found = ADAPTER.validate_json(file.read_bytes())
    except FileNotFoundError:
        raise BackupFailed(
            f"{folder} is no backup: it has no {MANIFEST}; name a directory that `radplug backup` made"
        ) from None
    except (OSError, ValidationError):
        raise BackupFailed(f"{file} cannot be read as a backup's manifest; take another backup") from None
    if found.format != FORMAT or found.database not in ROWS:
        raise BackupFailed(
            f"{folder} is a backup in format {found.format} of {found.database}, taken by radplug {found.radplug}, and "
            f"this radplug reads format {FORMAT}; restore it with that version"
        )
    if digest(folder / LIST) != found.list_sha256:
        raise BackupFailed(f"{folder / LIST} is not as it was written; take another backup")
    return found


def listed(folder: Path) -> Iterator[tuple[str, str]]:
    """SHA-256 and name, relative to the backup, of each file. Raises BackupFailed."""
    with (folder / LIST).open(encoding="utf-8") as lines:
        for line in lines:
            found = LINE.fullmatch(line)
            if not found or ".." in Path(found[2]).parts:
                raise BackupFailed(f"{folder / LIST} has a line that is none of a backup's; take another backup")
            yield found[1], found[2]


def digest(path: Path) -> str:
    """Of a file. Raises BackupFailed where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BackupFailed(f"{path} cannot be read: {error.strerror}; take another backup") from None
