"""One thing that a site's IT wants to see before it signs, and what came of looking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from radplug.acceptance.expecting import Failed, NotApplicable
from radplug.acceptance.ward import Ward


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Check:
    """`run` does it and returns what it saw.

    It raises Failed or NotApplicable; whatever else it raises is a failure too.
    """

    name: str  # what `--only` takes
    group: str
    does: str
    expects: str
    run: Callable[[Ward], str]
    slow: bool = False  # left out by `--quick`


@dataclass(frozen=True, slots=True)
class Result:
    check: Check
    outcome: Outcome
    seen: str
    seconds: float


def carry_out(checks: Iterable[Check], ward: Ward, *, quick: bool = False) -> Iterator[Result]:
    """One after another; what one leaves behind is none of the next one's business."""
    for check in checks:
        if quick and check.slow:
            yield Result(check, Outcome.LEFT_OUT, "slow, and --quick was asked for", 0.0)
            continue
        began = time.monotonic()
        try:
            outcome, seen = Outcome.PASSED, check.run(ward)
        except Failed as failure:
            outcome, seen = Outcome.FAILED, str(failure)
        except NotApplicable as reason:
            outcome, seen = Outcome.NOT_APPLICABLE, str(reason)
        except Exception as error:  # noqa: BLE001  the kit's entrance: the other checks go on
            outcome, seen = Outcome.FAILED, f"{type(error).__name__}: {error}"
        yield Result(check, outcome, seen, time.monotonic() - began)
