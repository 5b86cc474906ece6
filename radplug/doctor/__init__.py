"""Looks at an installation from all sides, and says in plain words what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from radplug.doctor import called, calling, commitment, drafting, machine
from radplug.findings import Finding
from radplug.wiring import House


def examine(house: House) -> list[Finding]:
    """All findings, in the order of the data's way."""
    looks: tuple[Callable[[House], Iterator[Finding]], ...] = (
        called.callers,
        machine.data,
        machine.database,
        machine.broker,
        called.listener,
        called.certificates_of_ports,
        machine.stations_at_work,
        drafting.checkpoint,
        drafting.adapters,
        drafting.templates,
        drafting.rules,
        drafting.gpu,
        called.worklist,
        called.openid,
        calling.every_pacs,
        calling.counts,
        calling.asked,
        commitment.findings,
        drafting.fonts,
        calling.reporting_systems,
    )
    return [finding for look in looks for finding in look(house)]
