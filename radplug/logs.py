"""What the stations say: one line an event, with the case id, and never a patient's data."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from radplug.settings import LogSettings

# Libraries may log what they decode; only their warnings are wanted, and theirs are about connections.
QUIET = (
    "pynetdicom",
    "pydicom",
    "highdicom",
    "hl7apy",
    "PIL",
    "httpx2",
    "urllib3",
    "websockets",
    "asyncio",
    "alembic",
    "kombu",
    "amqp",
    "httpx2",
    "httpcore2",
    "dicomweb_client",
)
PATIENT_DATA = frozenset(
    {"patient", "patient_id", "patient_name", "name", "birth_date", "sex", "text", "message", "body"}
)


def set_up(settings: LogSettings, station: str) -> None:
    """Send structlog's and the standard library's records to standard error in one format."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_patient_data,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    for library in QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.CRITICAL)  # pydicom's warnings quote the values that they warn of
    structlog.contextvars.bind_contextvars(station=station)


def without_patient_data(_: Any, __: str, event: EventDict) -> EventDict:
    """Drop fields that would hold patient data, should anybody ever log one."""
    for field in PATIENT_DATA & event.keys():
        event[field] = "(left out)"
    return event


def told(error: BaseException) -> dict[str, str]:
    """An unexpected error for the log: its kind and place. Not its text, which a library may fill with what it read."""
    steps = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{Path(step.filename).name}:{step.lineno}" for step in reversed(steps[-4:]))
    return {"error": type(error).__name__, "where": where}
