"""`radplug audit …`: whether the audit trail is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radplug import show
from radplug.commands.console import Json, Stop, house_of, out
from radplug.records.audit_chain import UnusableHead, Verdict, head_of, read_heads
from radplug.records.audit_chain import verify as verify_chain

audit = typer.Typer(no_args_is_help=True, help="Whether the audit trail is whole: every entry as it was written.")


@audit.command("verify")
def verify(
    context: typer.Context,
    head: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Heads that were kept elsewhere, as `radplug audit head` prints them."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Walk the audit trail's hash chain; status 1, with the place, where an entry was changed, added, or is missing."""
    house = house_of(context, "cli")
    verdict = verify_chain(house.database, _kept(head))
    _say(verdict, as_json)
    if not verdict.holds:
        raise typer.Exit(1)


@audit.command("head")
def head(context: typer.Context) -> None:
    """Print the number and hash of the last entry: what to keep elsewhere, for `verify --head`."""
    last = head_of(house_of(context, "cli").database)
    typer.echo(f"{last.number} {last.hash}")


def _kept(file: Path | None) -> dict[int, str]:
    try:
        return read_heads(file.read_text(encoding="utf-8")) if file else {}
    except (UnusableHead, OSError, UnicodeDecodeError) as error:
        raise Stop(f"{file}: {error}") from error


def _say(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        about = {"holds": verdict.holds, "entries": verdict.head.number, "hash": verdict.head.hash}
        show.print_json(out, about | {"fault": verdict.fault or None})
    elif verdict.holds:
        out.print(f"{verdict.head.number} entries hold; the last has the hash {verdict.head.hash}", soft_wrap=True)
    else:
        out.print(f"{verdict.fault}; {verdict.head.number} entries before that hold", style="red", soft_wrap=True)
