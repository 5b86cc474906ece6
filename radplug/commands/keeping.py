"""What is kept: whether it is all there, its backup, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from radplug import settings, show
from radplug.backups import restoring, taking, verifying
from radplug.commands.console import Json, err, house_of, out
from radplug.records.named_files import FileKind
from radplug.wiring import House

PANEL = "What is kept"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def verify(context: typer.Context, as_json: Json = False) -> None:
    """Whether every file that a row names is there with the bytes that came; exit status 1 where one is not."""
    house = house_of(context, "cli")
    with _shown("files") as progress:
        found = verifying.verify(house.database, house.store.root, house.now(), progress)
    _note_damages(house, found)
    show.verified(out, found, as_json)
    raise typer.Exit(0 if found.well else 1)


@commands.command(rich_help_panel=PANEL)
def backup(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="To be made; on another disk than the data.")],
    against: Annotated[
        Path | None,
        typer.Option(help="An earlier backup, on the same disk: what has not changed is linked, not copied."),
    ] = None,
) -> None:
    """Back up rows and files while everything runs; exit status 1 where a file was missing or changed already."""
    house = house_of(context, "cli")
    with _shown("files") as progress:
        made = taking.backup(house.database, house.store.root, directory, house.now(), progress, against)
    house.audit.note("backup taken", files=made.files, amiss=len(made.amiss))
    for file in made.amiss:
        out.print(f"missing or changed already: {file}", style="red", highlight=False, soft_wrap=True)
    size = f"{made.files} files ({made.bytes / (1 << 20):.1f} MiB)"
    out.print(f"{made.cases} cases, {made.instances} instances, {size} in {directory}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if made.amiss else 0)


@commands.command(rich_help_panel=PANEL)
def restore(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A backup.")],
) -> None:
    """Restore a backup into an empty data directory and an empty database; the settings say which."""
    site = settings.load(context.obj)
    with _shown("files") as progress:
        found = restoring.restore(directory, site.database_url, site.store.data, progress)
    house = house_of(context, "cli")
    house.audit.note("restored", taken_at=found.taken_at.isoformat(), by=found.radplug)
    taken_at = f"{found.taken_at.astimezone():%Y-%m-%d %H:%M:%S %z}"
    out.print(f"{found.cases} cases, {found.files} files, as of {taken_at}", highlight=False)
    for file in found.amiss:
        out.print(f"was missing or changed when the backup was taken: {file}", highlight=False, soft_wrap=True)
    after = "next: `radplug verify`, then start `radplug up` or radplug.target; everybody signs in again"
    out.print(after, highlight=False, soft_wrap=True)


def _note_damages(house: House, found: verifying.Verified) -> None:
    """An instance whose file is amiss is taken again when it is sent again, and mended by it."""
    for one, state in found.amiss.items():
        if one.kind is FileKind.INSTANCE and house.commitment_requests.damaged(one.row, one.file):
            house.audit.note("stored file damaged", alarm=True, file=one.file, state=state)
    house.audit.note("store verified", files=found.files, amiss=len(found.amiss), orphans=len(found.orphans))


@contextmanager
def _shown(what: str) -> Iterator[verifying.Progress]:
    """A bar on a terminal's standard error; nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
