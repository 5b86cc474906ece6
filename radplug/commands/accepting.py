"""`radplug acceptance`: what a site's IT runs before it lets radplug in."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from radplug.acceptance import kit
from radplug.acceptance.check import Check, Outcome, Result, carry_out
from radplug.acceptance.record import Record
from radplug.acceptance.running_site import SiteFailed
from radplug.acceptance.target import BadTarget, Target
from radplug.commands.console import Stop, out

PANEL = "Setting up"
STYLE = {Outcome.PASSED: "green", Outcome.FAILED: "bold red", Outcome.SKIPPED: "yellow"}
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def acceptance(
    target: Annotated[
        Path | None, typer.Option(help="A site's radplug; docs/acceptance.md says what to write.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="A check's name or group; repeatable.")] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Name the checks, and do nothing.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a report to sign.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write JSON.")] = None,
    peer_tools: Annotated[bool, typer.Option(help="Send with DCMTK's storescu where it can.")] = False,
    instances: Annotated[int, typer.Option(min=1, help="Of the biggest study.")] = 3000,
) -> None:
    """Try a radplug from outside, with a simulated PACS and reporting system; without a target, one of its own."""
    try:
        checks = kit.chosen(only or ())
        site = Target.read(target) if target else None
    except (kit.UnknownCheck, BadTarget) as error:
        raise Stop(str(error)) from error
    if show_list:
        for check in checks:
            out.print(f"{check.name:16} {check.group}: {check.does}; {check.expects}", highlight=False, soft_wrap=True)
        return
    storescu = shutil.which("storescu") if peer_tools else ""
    if storescu is None:
        raise Stop("--peer-tools wants DCMTK's storescu, and there is none on the PATH (Debian: dcmtk)")
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="radplug-acceptance-")))
        began = datetime.now().astimezone()
        try:
            ward = stack.enter_context(kit.at_site(site, root) if site else kit.embedded(root))
        except (SiteFailed, BadTarget) as error:
            raise Stop(str(error)) from error
        ward.instances, ward.storescu = instances, storescu
        live = stack.enter_context(Live(console=out, refresh_per_second=4))
        results: list[Result] = []
        waiting = list(checks)
        live.update(_table(results, waiting))
        for result in carry_out(checks, ward):
            results.append(result)
            live.update(_table(results, waiting[len(results) :]))
    out.print()
    record = Record(f"{ward.radplug}" if site else "a radplug of the kit's own, on this machine", began, results)
    for file, text in ((html, record.as_html), (junit, record.as_junit), (as_json, record.as_json)):
        if file:
            file.write_text(text(), encoding="utf-8")
    counts = record.counts
    out.print(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))
    raise typer.Exit(0 if record.good else 1)


def _table(results: list[Result], waiting: list[Check]) -> Table:
    table = Table(Column("check", no_wrap=True), "seen", "outcome", Column("s", justify="right"))
    for result in results:
        outcome = Text(result.outcome, STYLE[result.outcome])
        table.add_row(result.check.name, Text(result.seen), outcome, f"{result.seconds:.1f}")
    if waiting:
        more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        table.add_row(waiting[0].name, Text(f"{waiting[0].does} …{more}", "dim"), "", "")
    return table
