"""A case's change of state, allowed by the table in `domain.NEXT` and by nothing else."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from radplug.domain import NEXT, CaseState, StaleWork
from radplug.records.schema import cases


def move(
    connection: sa.Connection, case_id: str, to: CaseState, *conditions: sa.ColumnElement[bool], **values: Any
) -> None:
    """Put a case into another state.

    Raises:
        StaleWork: no case `case_id` in a state from which `to` follows, or it meets not all of `conditions`.
    """
    before = [state for state, after in NEXT.items() if to in after]
    moved = connection.execute(
        sa.update(cases).where(cases.c.id == case_id, cases.c.state.in_(before), *conditions).values(state=to, **values)
    )
    if moved.rowcount != 1:
        raise StaleWork(f"case {case_id} cannot become {to} any more")
