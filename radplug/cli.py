"""The `radplug` command: the entrance to all that is in `commands`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from radplug.commands import accepting, cases, conformance, keeping, setting_up, stations
from radplug.commands.audit import audit
from radplug.commands.console import explaining
from radplug.commands.rules import rules
from radplug.commands.training import train

app = typer.Typer(
    name="radplug",
    help="A study in, a draft report out. Drafts are never verified, never final, and not for clinical use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (stations, cases, keeping, setting_up, accepting, conformance):
    app.add_typer(group.commands)
app.add_typer(rules, name="rules", rich_help_panel=setting_up.PANEL)
app.add_typer(audit, name="audit", rich_help_panel=setting_up.PANEL)
app.add_typer(train, name="train", rich_help_panel=setting_up.PANEL)


@app.callback()
def start(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings file; default: ./radplug.toml, if it is there.")
    ] = None,
) -> None:
    default = Path("radplug.toml")
    context.obj = config or (default if default.is_file() else None)


def main() -> None:
    """The entrance."""
    os.umask(0o077)  # what the stations write is for their own user alone
    with explaining():
        app()


if __name__ == "__main__":
    main()
