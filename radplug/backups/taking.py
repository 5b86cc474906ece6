"""A backup of a site at work: its rows as of one moment, then the files which these name (see the package)."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from radplug import __version__
from radplug.backups import rows
from radplug.backups.inventory import Inventory
from radplug.backups.manifest import FILES, LIST, ROWS, BackupFailed, Manifest, digest
from radplug.backups.verifying import Progress, files_in, quietly
from radplug.records.database import Database, head
from radplug.records.schema import cases, instances
from radplug.study_store import PARTIAL, FileState, look_at, make_private, open_private

QUARANTINES = "*-quarantine"  # folders of what was refused, which rows do not name
BLOCK = 1 << 20  # bytes that are held at a time


def backup(
    database: Database,
    root: Path,
    target: Path,
    now: datetime,
    progress: Progress = quietly,
    against: Path | None = None,
) -> Manifest:
    """Back up the rows and the files under `root` to `target`, which must not be there yet, while all is at work.

    It is written beside, as `<target>.part`, and named once it is whole and on the disk. Files of the backup `against`
    that have the same bytes are linked, not copied.

    Raises:
        BackupFailed: it cannot be done; the text says why. Nothing is left of it.
    """
    partial = target.with_name(target.name + PARTIAL)
    _require_place(target, partial, root, against)
    try:
        make_private(partial)
        manifest = _fill(database, root, partial, now, progress, against)
        manifest.write(partial)
        os.sync()
        partial.rename(target)
        os.sync()
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise BackupFailed(f"writing to {partial} failed: {error.strerror}; nothing is left of it") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def _require_place(target: Path, partial: Path, root: Path, against: Path | None) -> None:
    if target.exists():
        raise BackupFailed(f"{target} is there already; name a directory that is not")
    if partial.exists():
        raise BackupFailed(f"{partial} is there: another backup is at work, or was broken off; then remove it")
    if target.resolve().is_relative_to(root.resolve()):
        raise BackupFailed(f"{target} is inside of the data directory {root}; name one elsewhere, on another disk")
    if against and not (against / FILES).is_dir():
        raise BackupFailed(f"{against} is no backup; name one with --against that `radplug backup` made")


def _fill(
    database: Database, root: Path, folder: Path, now: datetime, progress: Progress, against: Path | None
) -> Manifest:
    with rows.exported(database, folder) as connection:
        named = Inventory.of(connection)
        counted = [
            connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in (cases, instances)
        ]
    with named, (folder / LIST).open("w", encoding="utf-8") as listed:
        copying = _Copying(root, folder / FILES, against / FILES if against else None)
        row_file = ROWS[database.url.get_backend_name()]
        listed.write(f"{digest(folder / row_file)}  {row_file}\n")
        amiss, of = list[str](), len(named)
        for done, one in enumerate(named, start=1):
            state = FileState.MISSING
            if kept := copying.copy(one.file):
                listed.write(f"{kept}  {FILES}/{one.file}\n")
                state = look_at(folder / FILES / one.file, one.sha256)
            if state is not FileState.WHOLE:
                amiss.append(one.file)
            progress(done, of)
        for file in _quarantined(root):
            if kept := copying.copy(file):
                listed.write(f"{kept}  {FILES}/{file}\n")
    still_named, withdrawn = _told_apart(database, amiss)
    return Manifest(
        radplug=__version__,
        schema=head(),
        database=database.url.get_backend_name(),
        taken_at=now,
        cases=counted[0],
        instances=counted[1],
        files=copying.files,
        bytes=copying.bytes,
        list_sha256=digest(folder / LIST),
        amiss=still_named,
        withdrawn=withdrawn,
    )


class _Copying:
    """Copies files of the data directory into a backup, and counts them."""

    def __init__(self, root: Path, to: Path, earlier: Path | None) -> None:
        self._root, self._to, self._earlier = root, to, earlier
        self.files = self.bytes = 0
        make_private(to)

    def copy(self, file: str) -> str:
        """The SHA-256 of a file that is in the backup now; empty where there is none to copy."""
        source, target = self._root / file, self._to / file
        make_private(target.parent)
        try:
            kept = self._linked(file, source, target) or copied(source, target)
        except CannotRead:
            target.unlink(missing_ok=True)
            return ""
        self.files += 1
        self.bytes += target.stat().st_size
        return kept

    def _linked(self, file: str, source: Path, target: Path) -> str:
        """Names alone would do for instances and documents, but not for a key image that was rendered anew."""
        earlier = self._earlier / file if self._earlier else None
        if earlier is None:
            return ""
        try:
            if not filecmp.cmp(source, earlier, shallow=False):
                return ""
            target.hardlink_to(earlier)
        except OSError:  # either is not there, or they are on two file systems
            return ""
        return digest(target)


class CannotRead(Exception):
    """A file that was to be copied is not there, or its disk does not give it."""


def copied(source: Path, target: Path) -> str:
    """Copy a file, for our own user alone; the SHA-256 of what was copied.

    Raises:
        CannotRead: the file could not be read to its end.
        OSError: the copy could not be written.
    """
    sha256 = hashlib.sha256()
    with open_private(target) as copy:
        for block in _blocks(source):
            sha256.update(block)
            copy.write(block)
    return sha256.hexdigest()


def _blocks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as stream:
            while block := stream.read(BLOCK):
                yield block
    except OSError as error:
        raise CannotRead(error.strerror) from error


def _quarantined(root: Path) -> Iterator[str]:
    for folder in sorted(root.glob(QUARANTINES)):
        for path in files_in(folder):
            if path.suffix != PARTIAL:
                yield str(path.relative_to(root))


def _told_apart(database: Database, files: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of files that could not be copied as they came: those that rows still name, and those whose rows are gone too."""
    if not files:
        return (), ()
    with database.reading() as connection, Inventory.of(connection) as still:
        named = {file for file in files if file in still}
    return tuple(sorted(named)), tuple(file for file in files if file not in named)
