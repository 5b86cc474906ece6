"""What the site has decided about times and numbers, as the stages want it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from radplug.domain import Patience


@dataclass(frozen=True, slots=True)
class Policy:
    patience: Patience
    expected_series: Mapping[str, int]  # image series to wait for, by modality
    lease: timedelta  # a worker that is not heard of for so long has lost its case
    drafting_attempts: int
    batch: int  # cases that are drafted together, at most
    gather: timedelta  # how long a batch waits for company
    floor: float  # probability: a draft with a sentence that the model is less sure of is doubtful
    priors_time: timedelta  # for which a draft waits for earlier studies
    first_retry: timedelta
    longest_retry: timedelta
    delivery_attempts: int
    delivery_lease: timedelta  # longer than the slowest destination's time-out

    def pause(self, failures: int) -> timedelta:
        """How long to wait after so many failures in a row: doubled each time, up to the longest."""
        doubled: int = 2 ** min(failures - 1, 30)
        return min(self.first_retry * doubled, self.longest_retry)
