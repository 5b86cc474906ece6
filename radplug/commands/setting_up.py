"""Trying radplug, setting it up, and letting people and programs in."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from radplug import __version__, settings, show
from radplug.commands.console import Json, Stop, err, house_of, out
from radplug.people import SCOPES, Role
from radplug.records.people import BadAccount
from radplug.records.tokens import BadToken
from radplug.templates import read

PANEL = "Setting up"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def demo(
    study: Annotated[
        Path | None, typer.Option(help="A folder of DICOM files to send instead of the synthetic study.")
    ] = None,
    anchor: Annotated[
        list[str] | None, typer.Option(metavar="SECTION=PHRASE", help="Dictated phrase; repeatable, in order.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Keep everything in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Stay up, and print a link into the worklist.")] = False,
) -> None:
    """The whole way on this machine: a simulated PACS sends a study, and its draft comes back."""
    from radplug.demo import DemoFailed, run

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its stations are stopped as by Ctrl-C
    try:
        raise typer.Exit(run(study, anchor, data, as_json, out, err, serve=serve))
    except DemoFailed as error:
        raise Stop(str(error)) from error


@commands.command(rich_help_panel=PANEL)
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look for what is wrong with this installation, and say what to do about it."""
    from radplug.doctor import examine

    findings = examine(house_of(context, "doctor", check_schema=False))
    show.findings(out, findings, as_json)
    raise typer.Exit(0 if all(finding.well for finding in findings) else 1)


@commands.command(rich_help_panel=PANEL)
def templates(
    context: typer.Context,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read this file alone, and say what is wrong with it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The report templates in the order in which they are asked, the site's own first."""
    show.templates(out, [read(check)] if check else house_of(context, "cli").templates, as_json)


@commands.command("settings", rich_help_panel=PANEL)
def print_settings() -> None:
    """Print a settings file with every setting at its default."""
    out.print(settings.reference(), end="", markup=False, highlight=False, soft_wrap=True)


@commands.command(rich_help_panel=PANEL)
def account(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Who; left out: everybody is listed.")] = None,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.RADIOLOGIST,
    password_from: Annotated[
        Path | None, typer.Option(help="File whose first line is the password; it is asked for otherwise.")
    ] = None,
) -> None:
    """Give somebody an account for the worklist, or another role and password."""
    house = house_of(context, "cli")
    if name is None:
        for person in house.people.all():
            out.print(f"{person.name}  {person.role}", highlight=False, markup=False)
        return
    if password_from:
        password = (password_from.read_text(encoding="utf-8").splitlines() or [""])[0]
    else:
        password = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    try:
        house.people.add(name, role, password, house.now())
    except BadAccount as error:
        raise Stop(str(error)) from error
    house.audit.note("account made", role=role)


@commands.command(rich_help_panel=PANEL)
def token(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="What it is for; left out: all are listed.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help=f"Repeatable: {', '.join(SCOPES)}.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it lets in.")] = 365,
    revoke: Annotated[bool, typer.Option("--revoke", help="End it now.")] = False,
) -> None:
    """Make a token that lets a program in at /api/v1, and print it once."""
    house = house_of(context, "cli")
    now = house.now()
    if name is None:
        show.tokens(out, house.tokens.all(), now)
        return
    try:
        if revoke:
            house.tokens.revoke(name, now)
        else:
            secret = house.tokens.make(name, scope or (), now, now + timedelta(days=days))
            out.print(secret, highlight=False, markup=False, soft_wrap=True)
    except BadToken as error:
        raise Stop(str(error)) from error
    house.audit.note("token revoked" if revoke else "token made", token=name)


@commands.command(rich_help_panel=PANEL)
def migrate(context: typer.Context) -> None:
    """Bring the database to this version's schema; `radplug up` does so by itself."""
    house_of(context, "cli", check_schema=False).database.migrate()


@commands.command(rich_help_panel=PANEL)
def version() -> None:
    """Print the version."""
    out.print(__version__, highlight=False)
