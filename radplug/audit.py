"""The audit trail: who did what to which case, in rows that are only ever added.

Details hold UIDs, AE titles and outcomes, never a patient's data.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from radplug.records.database import Database
from radplug.records.schema import audit


class AuditTrail:
    """Writes as `actor`: the station or the command that acts."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def note(self, event: str, case_id: str = "", **detail: str | int | float | bool) -> None:
        row = {"at": datetime.now(UTC), "event": event, "case_id": case_id, "actor": self._actor, "detail": detail}
        with self._database.writing() as connection:
            connection.execute(sa.insert(audit).values(row))
