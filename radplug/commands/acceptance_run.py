"""The acceptance kit at the terminal: each check's result as it comes, then the records."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from rich.rule import Rule
from rich.table import Column, Table
from rich.text import Text

from radplug.acceptance import kit
from radplug.acceptance.check import Check, Outcome, Result, carry_out
from radplug.acceptance.dcmtk import NoTool, Senders
from radplug.acceptance.embedded_site import embedded
from radplug.acceptance.record import Record
from radplug.acceptance.running_site import SiteFailed
from radplug.acceptance.target import BadTarget, Target
from radplug.commands.console import Stop, out

STYLE = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "bold red",
    Outcome.NOT_APPLICABLE: "yellow",
    Outcome.LEFT_OUT: "yellow",
}


def chosen(names: Sequence[str]) -> Sequence[Check]:
    """All, or those of these names and groups. Raises Stop."""
    try:
        return kit.chosen(names)
    except kit.UnknownCheck as error:
        raise Stop(str(error)) from error


def show(checks: Sequence[Check]) -> None:
    for check in checks:
        slow = " (slow)" if check.slow else ""
        line = f"{check.name:18} {check.group}: {check.does}; {check.expects}{slow}"
        out.print(line, highlight=False, soft_wrap=True)


def run(
    checks: Sequence[Check],
    target: Path | None,
    *,
    html: Path | None,
    junit: Path | None,
    as_json: Path | None,
    tools: bool,
    quick: bool,
    instances: int,
) -> int:
    """Carry them out, and write what came of them into the files; the exit status. Raises Stop."""
    try:
        site = Target.read(target) if target else None
        senders = Senders.find() if tools else None
    except (BadTarget, NoTool) as error:
        raise Stop(str(error)) from error
    logging.getLogger().addHandler(logging.NullHandler())  # the peers' complaints are what checks wait for
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="radplug-acceptance-")))
        began = datetime.now().astimezone()
        try:
            ward = stack.enter_context(site.ward(root, senders) if site else embedded(root, tools=senders))
        except (SiteFailed, BadTarget, NoTool) as error:
            raise Stop(str(error)) from error
        ward.instances = instances
        results = _shown(checks, carry_out(checks, ward, quick=quick))
    against = f"{ward.radplug}" if site else "a radplug of the kit's own, on this machine"
    by = "sent and received by DCMTK's tools where they can" if senders else "sent and received by the kit's own code"
    record = Record(against, by, began, results)
    for file, text in ((html, record.as_html), (junit, record.as_junit), (as_json, record.as_json)):
        if file:
            file.write_text(text(), encoding="utf-8")
    out.print(f"\n{record.summary}", highlight=False)
    return 0 if record.good else 1


def _shown(checks: Sequence[Check], results: Iterator[Result]) -> list[Result]:
    """All results; each is shown as soon as it is there, and below them what is being done."""
    done: list[Result] = []
    out.print(_row(Text("check"), Text("done; expected → seen"), Text("outcome"), Text("s")))
    with out.status("") as status:
        for number, check in enumerate(checks, 1):
            if not done or done[-1].check.group != check.group:
                out.print(Rule(check.group, align="left", style="dim"))
            status.update(f"{number} of {len(checks)}: {check.name}: {check.does} …")
            done.append(next(results))
            out.print(_row_of(done[-1]))
    return done


def _row_of(result: Result) -> Table:
    asked = Text(f"{result.check.does}; {result.check.expects}", "dim")
    seen = asked.append(f"\n→ {result.seen}", "not dim")
    return _row(Text(result.check.name), seen, Text(result.outcome, STYLE[result.outcome]), f"{result.seconds:.1f}")


def _row(*cells: Text | str) -> Table:
    widths = (Column(width=18), Column(ratio=1), Column(width=14), Column(width=6, justify="right"))
    grid = Table.grid(*widths, padding=(0, 1), expand=True)
    grid.add_row(*cells)
    return grid
