"""The site's rules, asked of the studies that the house closes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from hl7.orders import Order
from radplug.domain import KeptInstance, Routing
from radplug.rules.deciding import decide
from radplug.rules.rule import Rule
from radplug.rules.saved import RulesText
from radplug.rules.study import Study
from radplug.texts.reading import UnusableText

logger = logging.getLogger(__name__)


class Router:
    """Asks the `newest` rules, which it reads when they are others than before.

    While they cannot be used here, those from before are asked, and the log says so.
    """

    def __init__(
        self,
        newest: Callable[[], RulesText],
        read: Callable[[RulesText], Sequence[Rule]],
        assumed_body_part: str,
    ) -> None:
        self._newest = newest
        self._read = read
        self._assumed_body_part = assumed_body_part
        self._seen: RulesText | None = None
        self._rules: Sequence[Rule] = ()

    def route(self, instances: Sequence[KeptInstance], order: Order | None, at: datetime) -> Routing:
        """What the rules say of the study; its age is counted in the days of this machine's time zone.

        Raises:
            UnusableText: no rules could be used yet.
        """
        study = Study.of(instances, order, self._assumed_body_part)
        return decide(self._current(), study, at.astimezone().date())

    def compares(self) -> bool:
        """Whether any rule wants earlier studies.

        Raises:
            UnusableText: no rules could be used yet.
        """
        return any(rule.priors for rule in self._current())

    def _current(self) -> Sequence[Rule]:
        newest = self._newest()
        if newest != self._seen:
            try:
                self._rules = self._read(newest)
            except UnusableText as error:
                if self._seen is None:
                    raise
                logger.error("studies go on to be asked the rules from before the last change: %s", error)
            else:
                logger.info("rules in use: %s", newest.where)
            self._seen = newest
        return self._rules
