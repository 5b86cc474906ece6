"""How often somebody may ask: so many times a minute, by a person's, a token's or an address's name."""

from __future__ import annotations

import threading
import time

from fastapi import HTTPException, Request

MOST_NAMES = 10_000


class Rate:
    """A minute's number for each name, which comes back evenly as time goes by."""

    def __init__(self, a_minute: int) -> None:
        self.a_minute = a_minute
        self._left: dict[str, tuple[float, float]] = {}  # how many, and when that was
        self._one = threading.Lock()

    def take(self, name: str) -> float:
        """Take one; the seconds until there is one, and 0 where it is taken."""
        with self._one:
            now, each = time.monotonic(), 60 / self.a_minute
            left, at = self._left.pop(name, (float(self.a_minute), now))
            left = min(left + (now - at) / each, float(self.a_minute))
            self._left[name] = (left - 1 if left >= 1 else left), now
            while len(self._left) > MOST_NAMES:
                self._left.pop(next(iter(self._left)))
            return 0.0 if left >= 1 else (1 - left) * each


def count_change(request: Request, who: str) -> None:
    """Raises HTTPException where somebody, or a token, makes too many."""
    _take(request.app.state.changes_rate, who, "changes of one person or token")


def count_stranger(request: Request) -> None:
    """Raises HTTPException where too many requests come from an address without anybody signed in."""
    address = request.client.host if request.client else ""
    _take(request.app.state.strangers_rate, address, "requests of one address before sign-in")


def _take(rate: Rate, name: str, of_what: str) -> None:
    if (seconds := rate.take(name)) > 0:
        again = int(seconds) + 1
        text = f"too many {of_what}: {rate.a_minute} a minute are allowed; try again in {again} s"
        raise HTTPException(429, text, {"Retry-After": str(again)})
