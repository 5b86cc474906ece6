"""`radplug conformance`: the statements that a site's PACS and RIS administrators ask for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from radplug import settings
from radplug.commands.console import out

PANEL = "Setting up"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def conformance(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write dicom.md and hl7.md there, instead of printing both.")
    ] = None,
) -> None:
    """Write the DICOM Conformance Statement and the HL7 statement of this installation, in Markdown."""
    from radplug.conformance import (
        dicom_statement,
        hl7_statement,
    )  # they make samples of all documents, and so load what makes these

    site, today = settings.load(context.obj), datetime.now().astimezone().date()
    statements = {
        "dicom.md": dicom_statement.statement(site, today),
        "hl7.md": hl7_statement.statement(site, today),
    }
    if output is None:
        for text in statements.values():
            out.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    output.mkdir(parents=True, exist_ok=True)
    for name, text in statements.items():
        (output / name).write_text(text, encoding="utf-8")
