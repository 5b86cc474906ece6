"""Failed attempts to get in: who has failed often waits."""

from __future__ import annotations

import time

FREE_TRIES, PAUSE, LONGEST_PAUSE = 5, 1.0, 300.0  # failures before a pause, which doubles with each more; seconds
MOST_NAMES = 10_000


class Tries:
    """Failed attempts by whatever they can be counted by: a name, an address."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, float]] = {}  # how often, and until when it waits

    def wait(self, *keys: str) -> float:
        """Seconds until the next attempt counts; 0 or less for at once."""
        return max(self._failed.get(key, (0, 0.0))[1] - time.monotonic() for key in keys)

    def failed(self, *keys: str) -> None:
        for key in keys:
            times = self._failed.pop(key, (0, 0.0))[0] + 1
            pause = min(PAUSE * 2.0 ** (times - FREE_TRIES), LONGEST_PAUSE) if times >= FREE_TRIES else 0.0
            self._failed[key] = times, time.monotonic() + pause
        while len(self._failed) > MOST_NAMES:
            self._failed.pop(next(iter(self._failed)))

    def forget(self, *keys: str) -> None:
        for key in keys:
            self._failed.pop(key, None)
