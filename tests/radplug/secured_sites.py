"""What tests of TLS at a site share, whichever protocol goes over it."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from dicom_io.certificates import Files
from radplug import pipeline
from radplug.domain import Case, Delivery, DeliveryState
from radplug.records.schema import audit
from radplug.wiring import House


def settings_of(files: Files) -> dict[str, str]:
    assert files.own
    return {"ca": str(files.authorities), "certificate": str(files.own[0]), "key": str(files.own[1])}


def refusals(house: House) -> list[tuple[str, dict[str, str]]]:
    """Who has noted that somebody was turned away, and what."""
    rows = sa.select(audit.c.actor, audit.c.detail).where(audit.c.event == "TLS refused")
    with house.database.reading() as connection:
        return [(row.actor, row.detail) for row in connection.execute(rows)]


def waits_for_the_right_files(house: House, case: Case, files: Files, wrong: Files) -> str:
    """Draft a case whose one destination is called with `files`: the outcome once these are right.

    While the key is missing, or the files are `wrong`, which the destination does not take, its delivery waits.
    """
    assert files.own
    assert wrong.own
    right = [file.read_bytes() for file in files.own]
    pipeline.draft(house, case.id, "worker")
    for broken, words in (
        ([right[0], b""], "no private key"),
        ([file.read_bytes() for file in wrong.own], "does not take our certificate"),
    ):
        waiting = _delivered_with(house, case, files, broken)
        assert waiting.state is DeliveryState.WAITING
        assert words in waiting.outcome
        later = house.now() + timedelta(seconds=1)
        house.__dict__["now"] = lambda later=later: later
    done = _delivered_with(house, case, files, right)
    assert done.state is DeliveryState.DELIVERED
    return done.outcome


def _delivered_with(house: House, case: Case, files: Files, contents: list[bytes]) -> Delivery:
    for file, data in zip(files.own or (), contents, strict=True):
        file.write_bytes(data)
    pipeline.deliver(house, case.id)
    (delivery,) = house.viewing.deliveries(case.id)
    return delivery
