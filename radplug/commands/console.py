"""What the commands share: where they print, how they stop, and the house that the settings file tells of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dicom_io.errors import UnusableCertificate
from hl7.errors import Hl7Error
from hl7.message import Message
from model_runtime.errors import UnusableAdapter, UnusableCheckpoint
from radplug import logs, settings
from radplug.backups.manifest import BackupFailed
from radplug.domain import UnknownCase
from radplug.hl7_in.reading import order_in
from radplug.notices import Cancelled, Ordered
from radplug.records.audit_chain import AuditTrailBroken
from radplug.records.database import WrongSchema
from radplug.settings import SettingsError
from radplug.supervisor import StationFailed
from radplug.texts.reading import UnusableText
from radplug.wiring import House

out, err = Console(), Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class Stop(typer.Exit):
    """Leave with a message for a person, and status 2."""

    def __init__(self, text: str) -> None:
        complain(text)
        super().__init__(2)


@contextmanager
def explaining() -> Iterator[None]:
    """What a person can mend ends the process with a text and status 2, without a traceback."""
    try:
        yield
    except (
        *(SettingsError, WrongSchema, AuditTrailBroken, UnknownCase, StationFailed, BackupFailed),
        *(UnusableCheckpoint, UnusableAdapter, UnusableCertificate, UnusableText),
    ) as error:
        complain(str(error))
        sys.exit(2)


def complain(text: str) -> None:
    err.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def order_from(file: Path) -> Ordered | Cancelled:
    """The imaging order that an HL7 file brings or takes back. Raises Stop."""
    try:
        return order_in(Message.parse(file.read_bytes()))
    except (Hl7Error, OSError) as error:
        raise Stop(f"{file}: {error}") from error


def house_of(context: typer.Context, actor: str, *, check_schema: bool = True) -> House:
    house = House(settings.load(context.obj), actor)
    logs.set_up(house.settings.log, actor)
    if check_schema:
        house.database.require_schema()
    return house
