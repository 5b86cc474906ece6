"""The site's rules, asked of the studies that the house closes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hl7.orders import Order
from radplug.domain import KeptInstance, Routing
from radplug.rules.deciding import decide
from radplug.rules.rule import Rule
from radplug.rules.study import Study


class Router:
    def __init__(self, rules: Sequence[Rule], assumed_body_part: str) -> None:
        self._rules = rules
        self._assumed_body_part = assumed_body_part

    def route(self, instances: Sequence[KeptInstance], order: Order | None, at: datetime) -> Routing:
        """What the rules say of the study; its age is counted in the days of this machine's time zone."""
        return decide(self._rules, Study.of(instances, order, self._assumed_body_part), at.astimezone().date())
