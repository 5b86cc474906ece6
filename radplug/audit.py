"""The audit trail: who did what to which case, in rows that are only ever added, each chained to the one before.

Details hold UIDs, AE titles and outcomes, never a patient's data.
"""

from __future__ import annotations

from datetime import UTC, datetime

from radplug.domain import AuditEvent
from radplug.records.audit_chain import append, lock_head
from radplug.records.database import Database


class AuditTrail:
    """Writes as `actor`: the station or the command that acts."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def note(self, event: str, case_id: str = "", **detail: str | int | float | bool) -> None:
        """Add an entry. Raises AuditTrailBroken where the chain's head is gone."""
        with self._database.writing() as connection:
            head = lock_head(connection)
            append(connection, head, AuditEvent(datetime.now(UTC), event, case_id, self._actor, detail))
