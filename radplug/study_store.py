"""The bytes that arrived, each instance in a file of its own, named by us and never by what arrived.

<root>/studies/<day>/<id>.dcm            whole or not there: written beside, fsynced, then renamed
<root>/cases/<case id>/v<version>/...    what was made of them: images, draft, SR, ORU
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from dicom_io.errors import NoSpace, Unreadable
from dicom_io.part10 import read_transfer_syntax
from radplug.domain import StoredFile

PARTIAL = ".part"


class FileState(StrEnum):
    """How a file is found that a row names."""

    WHOLE = "whole"
    MISSING = "missing"
    CHANGED = "changed"  # other bytes than came, or none that can be read


class StudyStore:
    """Files under `root`, which is made with mode 0700; below `watermark` bytes of free disk nothing is taken in."""

    def __init__(self, root: Path, watermark: int) -> None:
        self.root = root
        self._watermark = watermark
        make_private(root)

    @staticmethod
    def digest(data_set: bytes) -> str:
        """What makes two data sets the same: SHA-256 of their bytes, hexadecimal."""
        return hashlib.sha256(data_set).hexdigest()

    def require_space(self) -> None:
        """Raises NoSpace where the disk is below the watermark."""
        free = shutil.disk_usage(self.root).free
        if free < self._watermark:
            raise NoSpace(
                f"{free >> 20} MiB are free, {self._watermark >> 20} MiB must stay free; make room on the disk"
            )

    def keep(self, header: bytes, data_set: bytes, sha256: str, at: datetime) -> StoredFile:
        """Write an instance, whose digest is `sha256`, so that it survives a power cut once this returns.

        Raises:
            NoSpace: the disk is below the watermark, or full.
        """
        self.require_space()
        file_id = uuid.uuid4().hex
        file = Path("studies") / at.strftime("%Y-%m-%d") / f"{file_id}.dcm"
        write_durably(self.root / file, header, data_set)
        return StoredFile(file_id, str(file), sha256, len(header) + len(data_set))

    def holds(self, file: str, sha256: str) -> bool:
        """Whether an instance's file is there, with the very data set that came."""
        return look_at(self.root / file, sha256) is FileState.WHOLE

    def discard(self, stored: StoredFile) -> None:
        self.remove(stored.file)

    def remove(self, file: str) -> None:
        (self.root / file).unlink(missing_ok=True)

    def path(self, file: str) -> Path:
        return self.root / file

    def case_folder(self, case_id: str, version: int) -> Path:
        folder = self.root / "cases" / case_id / f"v{version}"
        make_private(folder)
        return folder

    def keep_document(self, case_id: str, version: int, name: str, data: bytes) -> str:
        """Write what is to leave the house; its file, relative to the root. Raises NoSpace where the disk is full."""
        path = self.case_folder(case_id, version) / name
        write_durably(path, data)
        return str(path.relative_to(self.root))

    def sweep(self) -> int:
        """Remove what a crash left half written: it was never acknowledged. How many files."""
        left_over = list((self.root / "studies").rglob(f"*{PARTIAL}"))
        for path in left_over:
            path.unlink(missing_ok=True)
        return len(left_over)


def look_at(path: Path, sha256: str = "") -> FileState:
    """How an instance's file is, whose data set has that digest; without one: whether it is there, and not empty."""
    try:
        if not sha256:
            return FileState.WHOLE if path.stat().st_size else FileState.CHANGED
        with path.open("rb") as stream:
            read_transfer_syntax(stream)
            same = hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return FileState.MISSING
    except (OSError, Unreadable):
        return FileState.CHANGED
    return FileState.WHOLE if same else FileState.CHANGED


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for our own user alone."""
    for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def write_durably(path: Path, *parts: bytes) -> None:
    """Put a whole file in place, fsynced with its directory.

    Raises:
        NoSpace: the disk is full.
    """
    folder = path.parent
    if not folder.is_dir():
        make_private(folder)
        _sync_folder(folder.parent)
    partial = path.with_name(path.name + PARTIAL)
    try:
        with open(partial, "wb", buffering=0, opener=_for_us_alone) as file:
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[file.write(view) :]
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise NoSpace(f"writing to the study store failed: {error.strerror}") from error
    _sync_folder(folder)


def open_private(path: Path) -> BinaryIO:
    """Open a file to be written, for our own user alone."""
    return open(path, "wb", opener=_for_us_alone)


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
