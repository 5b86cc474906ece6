"""What a simulated peer has been sent: a file for each, as it came."""

from __future__ import annotations

import threading
from pathlib import Path


class Filed:
    """Files under `folder`, numbered in the order in which their contents came."""

    def __init__(self, folder: Path, ending: str) -> None:
        self._folder, self._ending = folder, ending
        self._files: list[Path] = []
        self._changed = threading.Condition()

    @property
    def files(self) -> tuple[Path, ...]:
        with self._changed:
            return tuple(self._files)

    def add(self, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._changed:
            path = self._folder / f"received-{len(self._files) + 1}.{self._ending}"
            path.write_bytes(content)
            self._files.append(path)
            self._changed.notify_all()

    def wait_for(self, count: int, seconds: float) -> bool:
        """Whether there are so many, within so long."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._files) >= count, seconds)
