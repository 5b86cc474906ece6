"""The audit trail's append-only file: a message of PS3.15 A.5 a line, each line chained to the one before.

A line is `<AuditMessage>…</AuditMessage><!-- sum -->`, where the sum is the SHA-256 over the sum of the line before
(64 zeros before the first), a line feed, and the message. The rows are the truth: what the file lacks at its end is
written from them, however it came to lack it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import structlog

from radplug.audit_messages import message, number_and_hash
from radplug.records.audit_chain import NONE_BEFORE, entries_after
from radplug.records.database import Database

LOOK_EVERY = 1.0  # seconds
AT_A_TIME = 500  # entries between two looks
LONGEST = 1 << 20  # bytes of a line; ours are of about a thousand
BEGIN = b"<AuditMessage>"
WHAT_TO_DO = "move the file away, look at who wrote to it, and it is written anew from the rows"
_LINE = re.compile(r"(<AuditMessage>.*</AuditMessage>)<!-- ([0-9a-f]{64}) -->")

log = structlog.get_logger(__name__)


class DamagedFile(Exception):
    """The file's last line is none of ours, so that nothing can be chained to it."""


@dataclass(frozen=True)
class FileVerdict:
    """`hashes` of the entries in the lines that hold, by number; `fault` is empty where all do."""

    lines: int
    hashes: dict[int, str] = field(default_factory=dict)
    fault: str = ""


class AuditFile:
    """Writes for the clock: one process at a time, which others find locked."""

    def __init__(self, path: Path, database: Database, source: str) -> None:
        self._path, self._database, self._source = path, database, source

    def run(self, stop: threading.Event) -> None:
        """Write what is new, until told to stop; what cannot be written now is written later."""
        works = True
        while True:
            try:
                self.catch_up()
            except (OSError, DamagedFile) as error:
                if works:
                    log.error("the audit file cannot be written", file=str(self._path), reason=str(error))
                works = False
            except Exception as error:  # noqa: BLE001 - an entrance: the rows stay, and are written later
                log.error("the audit file was not written", kind=type(error).__name__)
            else:
                works = True
            if stop.wait(LOOK_EVERY):
                return

    def catch_up(self) -> int:
        """Append what the rows have and the file has not; how many lines.

        Raises:
            OSError: it cannot be written.
            DamagedFile: its last whole line is none of ours.
        """
        written = 0
        with open(self._path, "a+b", buffering=0, opener=_for_us_alone) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            number, before = _end(file)
            while entries := entries_after(self._database, number, AT_A_TIME):
                text = ""
                for entry, study_uid in entries:
                    told = message(entry.number, entry.hash, entry.said, study_uid, self._source)
                    before, number = _sum(before, told), entry.number
                    text += f"{told}<!-- {before} -->\n"
                view = memoryview(text.encode())
                while view:
                    view = view[file.write(view) :]
                os.fsync(file.fileno())
                written += len(entries)
        return written


def verify_file(lines: Iterable[str]) -> FileVerdict:
    """Walk the file's chain to its first fault. A last line without its end is one that is being written."""
    before, number, hashes = NONE_BEFORE, 0, dict[int, str]()
    for count, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            break
        found = _LINE.fullmatch(line[:-1])
        entry = number_and_hash(found[1]) if found else None
        if found is None or entry is None:
            return FileVerdict(count - 1, hashes, f"line {count} was changed: it is no message of the trail")
        if entry[0] != number + 1:
            wanted = f"line {count} is entry {entry[0]}, where entry {number + 1} was to follow"
            return FileVerdict(count - 1, hashes, f"{wanted}: lines are missing, added or swapped")
        if found[2] != _sum(before, found[1]):
            return FileVerdict(count - 1, hashes, f"line {count} (entry {entry[0]}) or the one before it was changed")
        before, (number, hash_) = found[2], entry
        hashes[number] = hash_
    return FileVerdict(len(hashes), hashes)


def _end(file: BinaryIO) -> tuple[int, str]:
    """Number of the last entry and sum of its line; what a crash left of another line after it is cut off."""
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, size - LONGEST))
    tail = file.read(size - start)
    whole = tail.rfind(b"\n") + 1
    left_over = tail[whole:]
    if left_over[: len(BEGIN)] != BEGIN[: len(left_over)] or (start and not whole):
        raise DamagedFile(f"its end is no message of the trail; {WHAT_TO_DO}")
    if not whole:
        file.truncate(0)
        return 0, NONE_BEFORE
    found = _LINE.fullmatch(tail[:whole].rsplit(b"\n", 2)[-2].decode("utf-8", "replace"))
    entry = number_and_hash(found[1]) if found else None
    if found is None or entry is None:
        raise DamagedFile(f"its last line is no message of the trail; {WHAT_TO_DO}")
    file.truncate(start + whole)
    return entry[0], found[2]


def _sum(before: str, told: str) -> str:
    return hashlib.sha256(f"{before}\n{told}".encode()).hexdigest()


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
