"""`radplug audit …`: whether the audit trail is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radplug import show
from radplug.audit_file import FileVerdict, verify_file
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
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check this audit file too, and the rows against it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Walk the audit trail's hash chain; status 1, with the place, where an entry was changed, added, or is missing."""
    house, kept = house_of(context, "cli"), _kept(head)
    lines = _lines(file) if file else FileVerdict(0)
    verdict = verify_chain(house.database, lines.hashes | kept)
    differ = [number for number in sorted(kept) if lines.hashes.get(number, kept[number]) != kept[number]]
    fault = lines.fault or (f"it has another hash of entry {differ[0]} than {head}" if differ else "")
    _say(verdict, file, lines.lines, fault, as_json)
    if fault or not verdict.holds:
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


def _lines(file: Path) -> FileVerdict:
    try:
        with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            return verify_file(lines)
    except OSError as error:
        raise Stop(f"{file}: {error.strerror}") from error


def _say(verdict: Verdict, file: Path | None, lines: int, fault: str, as_json: bool) -> None:
    if as_json:
        about = {"holds": verdict.holds and not fault, "entries": verdict.head.number, "hash": verdict.head.hash}
        about |= {"fault": verdict.fault or None}
        about |= {"file": {"lines": lines, "fault": fault or None}} if file else {}
        show.print_json(out, about)
        return
    if verdict.holds:
        out.print(f"{verdict.head.number} entries hold; the last has the hash {verdict.head.hash}", soft_wrap=True)
    else:
        out.print(f"{verdict.fault}; {verdict.head.number} entries before that hold", style="red", soft_wrap=True)
    if fault:
        out.print(f"{file}: {fault}; {lines} lines before that hold", style="red", soft_wrap=True)
    elif file:
        out.print(f"{file}: {lines} lines hold", soft_wrap=True)
