"""Whether all that rows name is there as it came, and what is there that no row names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from radplug.backups.inventory import Inventory
from radplug.records.database import Database
from radplug.records.named_files import NamedFile
from radplug.study_store import FileState, look_at

GRACE = timedelta(minutes=10)  # a file is written before its row: a younger one without a row is no orphan yet
KEPT_IN = ("studies", "cases")  # folders all of whose files have rows

Progress = Callable[[int, int], None]  # files that are done, of how many


def quietly(done: int, of: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. Its size grows with what is amiss, not with what is kept."""

    files: int  # that rows name
    amiss: Mapping[NamedFile, FileState] = field(default_factory=dict)  # missing or changed
    orphans: tuple[str, ...] = ()  # files that no row names: of drafts that were overtaken, or left by a crash

    @property
    def well(self) -> bool:
        return not self.amiss


def verify(database: Database, root: Path, now: datetime, progress: Progress = quietly) -> Verified:
    """Look at each file that a row names, and for files under `root` without rows; everything may be at work meanwhile.

    The rows are read first, in one short transaction. What is amiss afterwards is asked for again, because a row may
    have been given another file, or been dropped, and the file with it, since then.
    """
    with _named(database) as named:
        amiss = examine(named, root, progress)
        orphans = tuple(_orphans(root, named, now - GRACE))
        files = len(named)
    if amiss:
        with _named(database) as still:
            amiss = {one: state for one, state in amiss.items() if one.file in still}
    return Verified(files, amiss, orphans)


def examine(named: Inventory, root: Path, progress: Progress = quietly) -> dict[NamedFile, FileState]:
    """Those of the files that are missing or changed."""
    amiss, of = dict[NamedFile, FileState](), len(named)
    for done, one in enumerate(named, start=1):
        state = look_at(root / one.file, one.sha256)
        if state is not FileState.WHOLE:
            amiss[one] = state
        progress(done, of)
    return amiss


def _named(database: Database) -> Inventory:
    with database.reading() as connection:
        return Inventory.of(connection)


def _orphans(root: Path, named: Inventory, before: datetime) -> Iterator[str]:
    for kept_in in KEPT_IN:
        for path in files_in(root / kept_in):
            file = str(path.relative_to(root))
            if file not in named and _written_before(path, before):
                yield file


def files_in(folder: Path) -> Iterator[Path]:
    """All files below a folder, a folder at a time; none where it is absent."""
    if not folder.is_dir():
        return
    folders = list[Path]()
    for path in folder.iterdir():
        if path.is_dir():
            folders.append(path)
        else:
            yield path
    for below in folders:
        yield from files_in(below)


def _written_before(path: Path, before: datetime) -> bool:
    try:
        return path.stat().st_mtime < before.timestamp()
    except FileNotFoundError:
        return False
