"""The whole kit: every check, in the order in which they are carried out."""

from __future__ import annotations

from collections.abc import Iterable

from radplug.acceptance import (
    checks_of_bad_days,
    checks_of_commitment,
    checks_of_completeness,
    checks_of_dicomweb,
    checks_of_dictation,
    checks_of_drafts,
    checks_of_engine,
    checks_of_fhir,
    checks_of_formats,
    checks_of_orders,
    checks_of_receiving,
    checks_of_tls,
)
from radplug.acceptance.check import Check

CHECKS: tuple[Check, ...] = (
    *checks_of_receiving.CHECKS,
    *checks_of_completeness.CHECKS,
    *checks_of_formats.CHECKS,
    *checks_of_orders.CHECKS,
    *checks_of_dictation.CHECKS,
    *checks_of_bad_days.CHECKS,
    *checks_of_commitment.CHECKS,
    *checks_of_tls.CHECKS,
    *checks_of_dicomweb.CHECKS,
    *checks_of_fhir.CHECKS,
    *checks_of_engine.CHECKS,
    *checks_of_drafts.CHECKS,  # the last of them looks at all that has come by then
)


class UnknownCheck(Exception):
    """There is no check of this name; the text lists them."""


def chosen(names: Iterable[str]) -> tuple[Check, ...]:
    """The checks of these names or groups, in the kit's order; all of them where none is named.

    Raises:
        UnknownCheck: one is neither.
    """
    wanted = set(names)
    known = {check.name for check in CHECKS} | {check.group for check in CHECKS}
    if unknown := sorted(wanted - known):
        raise UnknownCheck(f"there is no check {unknown[0]!r}; --list names them")
    return tuple(check for check in CHECKS if not wanted or {check.name, check.group} & wanted)
