"""Where rows, files and the queue are, and what stations say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from radplug.settings.values import Section


class StoreSettings(Section):
    """Where everything is kept."""

    data: Path = Field(Path("radplug-data"), description="directory of the study store, the drafts and the SQLite file")
    keep_free_mib: int = Field(1024, ge=0, description="below this much free disk, C-STORE is answered 0xA700")


class DatabaseSettings(Section):
    """The rows that are the truth."""

    url: str = Field("", description="SQLAlchemy URL, e.g. postgresql+psycopg://…; empty: SQLite in the data directory")


class BrokerSettings(Section):
    """The queue that is the doorbell."""

    url: str = Field("", description="Redis URL, rediss:// for TLS; empty: `radplug up` starts a private one")


class AuditSettings(Section):
    """Who did what, beside the rows that hold it."""

    file: Path | None = Field(
        None, description="append-only file of audit messages (PS3.15 A.5), one a line, written by the clock"
    )


class LogSettings(Section):
    """What the stations say."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least important line that is written"
    )
    format: Literal["console", "json"] = Field("console", description="for people, or for a log collector")
