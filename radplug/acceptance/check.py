"""One thing that a site's IT wants to see before it signs, and what came of looking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from radplug.acceptance.ward import Ward


class Failed(Exception):
    """What was seen is not what was expected; the text says what was."""


class Skipped(Exception):
    """It cannot be looked at here; the text says why."""


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """`run` does it and returns what it saw. It raises Failed or Skipped; whatever else it raises is a failure too."""

    name: str  # what `--only` takes
    group: str
    does: str
    expects: str
    run: Callable[[Ward], str]


@dataclass(frozen=True, slots=True)
class Result:
    check: Check
    outcome: Outcome
    seen: str
    seconds: float


def carry_out(checks: Iterable[Check], ward: Ward) -> Iterator[Result]:
    """One after another; what one leaves behind is none of the next one's business."""
    for check in checks:
        began = time.monotonic()
        try:
            outcome, seen = Outcome.PASSED, check.run(ward)
        except Failed as failure:
            outcome, seen = Outcome.FAILED, str(failure)
        except Skipped as reason:
            outcome, seen = Outcome.SKIPPED, str(reason)
        except Exception as error:  # noqa: BLE001  the kit's entrance: the other checks go on
            outcome, seen = Outcome.FAILED, f"{type(error).__name__}: {error}"
        yield Result(check, outcome, seen, time.monotonic() - began)


def expect(so: bool, seen: str) -> None:
    """Raises Failed with what was seen."""
    if not so:
        raise Failed(seen)
