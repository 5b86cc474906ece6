"""What the commands share: where they print, how they stop, and the house that the settings file tells of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hl7.errors import Hl7Error
from hl7.message import Message
from radplug import logs, settings
from radplug.hl7_in.reading import order_in
from radplug.notices import Cancelled, Ordered
from radplug.wiring import House

out, err = Console(), Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class Stop(typer.Exit):
    """Leave with a message for a person, and status 2."""

    def __init__(self, text: str) -> None:
        complain(text)
        super().__init__(2)


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
