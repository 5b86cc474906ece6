"""Looking at cases, and what can be done to one from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radplug import show
from radplug.commands.console import Json, Stop, house_of, order_from, out
from radplug.domain import Dictation

PANEL = "Cases"
commands = typer.Typer()

CaseId = Annotated[str, typer.Argument(metavar="CASE", help="A case's id; `radplug cases` lists them.")]


@commands.command(rich_help_panel=PANEL)
def cases(context: typer.Context, as_json: Json = False, limit: int = 100) -> None:
    """The cases that changed last."""
    show.cases(out, house_of(context, "cli").viewing.cases(limit), as_json)


@commands.command(rich_help_panel=PANEL)
def case(context: typer.Context, case_id: CaseId, as_json: Json = False) -> None:
    """One case: its drafts, deliveries and history."""
    show.case(out, house_of(context, "cli").viewing.whole(case_id), as_json)


@commands.command(rich_help_panel=PANEL)
def resend(
    context: typer.Context,
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]", help="A case with dead letters.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter of every case.")] = False,
) -> None:
    """Put dead letters back in the queue, as the same documents; without a case, list them."""
    house = house_of(context, "cli")
    dead = house.viewing.dead_letters()
    if case_id is None and not everything:
        show.dead_letters(out, dead)
        return
    chosen = {letter.case_id for letter in dead} if everything else {house.viewing.case(str(case_id)).id}
    count = 0
    for one in sorted(chosen):
        sent = house.delivering.resend(one, house.now())
        house.audit.note("resend asked for", one, letters=sent)
        count += sent
    out.print(f"{count} dead {'letter' if count == 1 else 'letters'} put back in the queue")


@commands.command(rich_help_panel=PANEL)
def dictate(
    context: typer.Context,
    accession_number: Annotated[str, typer.Argument(help="Of the study that the phrases are about.")],
    phrases: Annotated[
        list[str], typer.Argument(metavar="SECTION=PHRASE...", help="Anchors, in order; =PHRASE: the model places it.")
    ],
) -> None:
    """Give dictated phrases, before or after the study comes: they stand in its draft byte for byte."""
    from radplug.anchors import BadAnchor, parse

    house = house_of(context, "cli")
    try:
        anchors = [parse(phrase) for phrase in phrases]
    except BadAnchor as error:
        raise Stop(str(error)) from error
    for section, text in anchors:
        house.receiving.add_dictation(Dictation(section, text, "command line", house.now(), accession_number))
    house.audit.note("dictated", phrases=len(anchors))


@commands.command(rich_help_panel=PANEL)
def order(context: typer.Context, message: Annotated[Path, typer.Argument(help="An HL7 ORM^O01 or OMI^O23.")]) -> None:
    """Take an imaging order, or its cancellation, from a file."""
    from radplug.hl7_in.inbox import EVENTS

    house = house_of(context, "cli")
    notice = order_from(message)
    house.notices.act(notice, house.now())
    house.audit.note(EVENTS[type(notice)])
