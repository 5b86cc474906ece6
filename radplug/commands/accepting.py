"""`radplug acceptance`: what a site's IT runs before it lets radplug in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Setting up"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def acceptance(
    target: Annotated[
        Path | None, typer.Option(help="A site's radplug; docs/acceptance.md says what to write.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="A check's name or group; repeatable.")] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Name the checks, and do nothing.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what takes a minute; the record says so.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a report to sign.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write JSON.")] = None,
    peer_tools: Annotated[
        bool, typer.Option(help="Send with DCMTK's storescu and echoscu where it can, receive with storescp.")
    ] = False,
    instances: Annotated[int, typer.Option(min=1, help="Of the biggest study.")] = 3000,
) -> None:
    """Try a radplug from outside, with simulated peers all around it; without a target, one of its own."""
    from radplug.commands import acceptance_run  # the whole kit, with all its peers: no other command needs it

    checks = acceptance_run.chosen(only or ())
    if show_list:
        acceptance_run.show(checks)
    else:
        status = acceptance_run.run(
            checks,
            target,
            html=html,
            junit=junit,
            as_json=as_json,
            tools=peer_tools,
            quick=quick,
            instances=instances,
        )
        raise typer.Exit(status)
