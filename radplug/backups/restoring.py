"""A backup becomes a site again, in an empty data directory and an empty database."""

from __future__ import annotations

import shutil
from pathlib import Path

import sqlalchemy as sa

from radplug.backups import manifest, rows
from radplug.backups.manifest import FILES, BackupFailed, Manifest
from radplug.backups.taking import CannotRead, copied
from radplug.backups.verifying import Progress, quietly
from radplug.records.database import Database, head, is_newer
from radplug.records.schema import cases, deliveries, links, prior_instances, sessions, stations
from radplug.study_store import make_private


def restore(folder: Path, database_url: str, root: Path, progress: Progress = quietly) -> Manifest:
    """Put the files of the backup in `folder` under `root`, then its rows into the database, at this version's schema.

    Everything is compared with its SHA-256 on the way. Who was signed in must sign in again.

    Raises:
        BackupFailed: it cannot be restored here; the text says why. Nothing is left of what was restored.
    """
    found, url = manifest.read(folder), sa.make_url(database_url)
    _require_fitting(found, url)
    if root.exists() and any(root.iterdir()):
        raise BackupFailed(
            f"{root} is not empty, and a backup is restored into an empty directory; set store.data to one"
        )
    rows.require_empty(url)
    try:
        make_private(root)
        row_file = _put_files(folder, root, found, progress)
        rows.imported(url, row_file)
    except BaseException as error:
        for left in root.iterdir() if root.is_dir() else ():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if isinstance(error, OSError):
            raise BackupFailed(f"restoring to {root} failed: {error.strerror}; nothing is left of it") from error
        raise
    database = Database(database_url)
    try:
        database.migrate()
        with database.writing() as connection:
            for of_the_moment in (stations, sessions, links):
                connection.execute(sa.delete(of_the_moment))
            for leased in (cases, deliveries):  # by workers of the site that was
                connection.execute(sa.update(leased).values(lease_until=None))
            gone = prior_instances.c.file.in_(found.withdrawn)  # while the backup was taken: a stranger's, say
            connection.execute(sa.delete(prior_instances).where(gone))
    finally:
        database.close()
    return found


def _require_fitting(found: Manifest, url: sa.URL) -> None:
    if is_newer(found.schema):
        raise BackupFailed(
            f"the backup is at schema {found.schema}, taken by radplug {found.radplug}, and this radplug knows none "
            f"after {head()}; restore it with radplug {found.radplug} or a later version"
        )
    if found.database != url.get_backend_name():
        raise BackupFailed(
            f"the backup is of a {found.database} database, and database.url names {url.get_backend_name()}; "
            f"set it to an empty {found.database} database"
        )


def _put_files(folder: Path, root: Path, found: Manifest, progress: Progress) -> Path:
    """Copy all files; the one with the rows, which was compared as well, and comes last."""
    row_file, done = None, 0
    for sha256, name in manifest.listed(folder):
        if name == found.rows:
            row_file, same = folder / name, manifest.digest(folder / name) == sha256
        else:
            target = root / Path(name).relative_to(FILES)
            make_private(target.parent)
            same = _copied(folder / name, target) == sha256
            done += 1
            progress(done, found.files)
        if not same:
            raise BackupFailed(f"{folder / name} is not as it was written; restore another backup")
    if row_file is None or done != found.files:
        raise BackupFailed(f"{folder} lists {done} of its {found.files} files; restore another backup")
    return row_file


def _copied(source: Path, target: Path) -> str:
    try:
        return copied(source, target)
    except CannotRead as error:
        raise BackupFailed(f"{source}, which belongs to the backup: {error}; restore another backup") from None
