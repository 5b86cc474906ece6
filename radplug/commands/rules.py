"""`radplug rules …`: the routing rules in words, and what they say of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from dicom_io.errors import DicomError
from dicom_io.reading import read_instance
from dicom_io.study import Instance
from radplug import show
from radplug.commands.console import Json, Stop, house_of, order_from, out
from radplug.domain import KeptInstance
from radplug.notices import Ordered
from radplug.rules import Rule, Study, ask, read_file
from radplug.rules.saved import NAME, check

rules = typer.Typer(invoke_without_command=True)


@rules.callback()
def listed(
    context: typer.Context,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take this file's rules, and say what is wrong with them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The routing rules, in the order in which they are asked."""
    if context.invoked_subcommand is None:
        show.rules(out, _rules(context, check), as_json)


@rules.command("test")
def try_on(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="DICOM files of a study, or folders of them.")],
    calling: Annotated[str, typer.Option(help="AE title that would send them.")] = "",
    called: Annotated[str, typer.Option(help="AE title of ours that it would call; default: listener.ae_title.")] = "",
    order: Annotated[Path | None, typer.Option(help="The study's order, an HL7 ORM^O01 or OMI^O23.")] = None,
    as_json: Json = False,
) -> None:
    """Say which rule would take a study, and why each one before it would not. Nothing is kept or sent."""
    assert context.parent is not None
    found = _rules(context, context.parent.params["check"])
    house = house_of(context, "cli")
    called = called or house.settings.listener.ae_title
    kept = [KeptInstance(instance, "", calling, called) for instance in _instances(files)]
    if not kept:
        raise Stop("there is no DICOM file among them")
    today, notice = house.now().astimezone().date(), order_from(order) if order else None
    ordered = notice.order if isinstance(notice, Ordered) else None  # one that is cancelled is none
    kept.sort(key=lambda one: one.instance.study_uid)
    tried = []
    for _, group in groupby(kept, key=lambda one: one.instance.study_uid):
        study = Study.of([*group], ordered, house.settings.drafting.assume_body_part)
        tried.append((study, [*ask(found, study, today)]))
    show.tried(out, tried, as_json)


@rules.command("versions")
def versions(context: typer.Context) -> None:
    """Who has saved rules, when and why; the newest first."""
    house = house_of(context, "cli")
    show.versions(out, house.past_rules)


@rules.command("show")
def text(
    context: typer.Context,
    version: Annotated[int | None, typer.Option(help="One that was saved; 0: the file's; default: in use.")] = None,
) -> None:
    """The rules as they are written: those in use, or of a version."""
    house = house_of(context, "cli")
    past = house.past_rules
    written = house.rules_text.text if version is None else past.texts.get(version)
    if written is None:
        raise Stop(f"there is no text of version {version}; `radplug rules versions` lists them")
    house.audit.note("rules viewed", version=past.in_use or 0 if version is None else version)
    typer.echo(written, nl=False)


@rules.command("save")
def save(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="TOML, as docs/rules.md describes it.")],
    why: Annotated[str, typer.Option(help="Why the rules are changed, for those who ask later.")],
) -> None:
    """Save a file's rules as the page does: they count from the next study on, before those of drafting.rules."""
    house = house_of(context, "cli")
    written = read_file(file).text
    check(written, house.known_to_rules)
    version = house.saved_rules.save(NAME, written, on=house.past_rules.newest, by="cli", now=house.now(), why=why)
    house.audit.note("rules saved", version=version, why=why)
    out.print(f"saved as version {version}; it counts from the next study on")


def _rules(context: typer.Context, file: Path | None) -> Sequence[Rule]:
    house = house_of(context, "cli")
    return house.read_rules(read_file(file)) if file else house.rules


def _instances(paths: Sequence[Path]) -> Iterator[Instance]:
    """Of files, and of what is DICOM in folders."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            try:
                if not file.is_dir():
                    yield read_instance(file)
            except (DicomError, OSError) as error:
                if file is path:
                    raise Stop(f"{file}: {error}") from error
