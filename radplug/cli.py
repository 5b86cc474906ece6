"""The `radplug` command. Each command is a few lines: what it does lies in the modules that it names."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.errors import UnusableAdapter, UnusableCheckpoint
from model_runtime.lora.adapter_card import AdapterCard
from radplug import __version__, logs, settings, show
from radplug.adapter_rules import directories
from radplug.domain import Dictation, UnknownCase
from radplug.people import SCOPES, Role
from radplug.records.database import WrongSchema
from radplug.records.people import BadAccount
from radplug.records.tokens import BadToken
from radplug.settings import SettingsError
from radplug.supervisor import StationFailed
from radplug.templates import BadTemplate, read
from radplug.training_commands import train
from radplug.wiring import House

app = typer.Typer(
    name="radplug",
    help="A study in, a draft report out. Drafts are never verified, never final, and not for clinical use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(), Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
CaseId = Annotated[str, typer.Argument(metavar="CASE", help="A case's id; `radplug cases` lists them.")]


@app.callback()
def start(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings file; default: ./radplug.toml, if it is there.")
    ] = None,
) -> None:
    default = Path("radplug.toml")
    context.obj = config or (default if default.is_file() else None)


# ── the stations ──


@app.command(rich_help_panel="Stations")
def up(context: typer.Context) -> None:
    """Run all stations in the foreground until Ctrl-C; without broker.url, with a private Redis of their own."""
    from radplug.clock import ring_for_everything
    from radplug.embedded_redis import EmbeddedRedis
    from radplug.supervisor import Supervisor

    house = _house(context, "up", check_schema=False)
    # what no restart of a station would mend is said before any is started
    house.settings.listener.callers  # noqa: B018
    ModelCard.read(house.checkpoint)
    for directory in directories(house.settings.adapter):
        AdapterCard.read(directory)
    house.template_files  # noqa: B018
    house.database.migrate()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        redis = None if house.settings.broker.url else stack.enter_context(EmbeddedRedis())
        supervisor = Supervisor(context.obj, {"RADPLUG_BROKER__URL": redis.url} if redis else {})
        stack.callback(supervisor.stop)
        supervisor.start()
        while not stop.wait(0.2):
            supervisor.look()
            if redis and not redis.alive:
                redis.start()
                ring_for_everything(house)


@app.command(rich_help_panel="Stations")
def listen(context: typer.Context) -> None:
    """Receive studies: Verification and Storage SCP."""
    from radplug import stations

    stations.listen(_house(context, "listener"))


@app.command(rich_help_panel="Stations")
def clock(context: typer.Context) -> None:
    """Close studies that are complete, and ring for work that is due."""
    from radplug import stations
    from radplug.worker import CeleryDoorbell

    house = _house(context, "clock")
    stations.run_clock(house, CeleryDoorbell(_broker_url(house)))


@app.command(rich_help_panel="Stations")
def work(context: typer.Context, queue: Annotated[Literal["draft", "delivery"], typer.Argument()]) -> None:
    """Work through a queue: draft (one for each GPU), or delivery."""
    from radplug import stations

    house = _house(context, queue)
    raise typer.Exit(stations.work(house, _broker_url(house), queue))


@app.command(rich_help_panel="Stations")
def web(context: typer.Context) -> None:
    """Serve the worklist to browsers."""
    from radplug import stations

    stations.web(_house(context, "web"))


# ── looking on ──


@app.command(rich_help_panel="Cases")
def cases(context: typer.Context, as_json: Json = False, limit: int = 100) -> None:
    """The cases that changed last."""
    show.cases(out, _house(context, "cli").viewing.cases(limit), as_json)


@app.command(rich_help_panel="Cases")
def case(context: typer.Context, case_id: CaseId, as_json: Json = False) -> None:
    """One case: its drafts, deliveries and history."""
    show.case(out, _house(context, "cli").viewing.whole(case_id), as_json)


@app.command(rich_help_panel="Cases")
def resend(
    context: typer.Context,
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]", help="A case with dead letters.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter of every case.")] = False,
) -> None:
    """Put dead letters back in the queue, as the same documents; without a case, list them."""
    house = _house(context, "cli")
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


@app.command(rich_help_panel="Cases")
def dictate(
    context: typer.Context,
    accession_number: Annotated[str, typer.Argument(help="Of the study that the phrases are about.")],
    phrases: Annotated[
        list[str], typer.Argument(metavar="SECTION=PHRASE...", help="Anchors, in order; =PHRASE: the model places it.")
    ],
) -> None:
    """Give dictated phrases, before or after the study comes: they stand in its draft byte for byte."""
    from radplug.anchors import BadAnchor, parse

    house = _house(context, "cli")
    try:
        anchors = [parse(phrase) for phrase in phrases]
    except BadAnchor as error:
        raise _Stop(str(error)) from error
    for section, text in anchors:
        house.receiving.add_dictation(Dictation(section, text, "command line", house.now(), accession_number))
    house.audit.note("dictated", phrases=len(anchors))


@app.command(rich_help_panel="Cases")
def order(context: typer.Context, message: Annotated[Path, typer.Argument(help="An HL7 ORM^O01 or OMI^O23.")]) -> None:
    """Take an imaging order from a file."""
    from hl7.errors import Hl7Error
    from hl7.message import Message
    from hl7.orders import read_order

    house = _house(context, "cli")
    try:
        house.receiving.add_order(read_order(Message.parse(message.read_bytes())), house.now())
    except (Hl7Error, OSError) as error:
        raise _Stop(f"{message}: {error}") from error
    house.audit.note("order taken")


# ── setting up ──


@app.command(rich_help_panel="Setting up")
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

    try:
        raise typer.Exit(run(study, anchor, data, as_json, out, err, serve=serve))
    except DemoFailed as error:
        raise _Stop(str(error)) from error


@app.command(rich_help_panel="Setting up")
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look for what is wrong with this installation, and say what to do about it."""
    from radplug.doctor import examine

    findings = examine(_house(context, "doctor", check_schema=False))
    show.findings(out, findings, as_json)
    raise typer.Exit(0 if all(finding.well for finding in findings) else 1)


@app.command(rich_help_panel="Setting up")
def templates(
    context: typer.Context,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read this file alone, and say what is wrong with it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The report templates in the order in which they are asked, the site's own first."""
    show.templates(out, [read(check)] if check else _house(context, "cli").templates, as_json)


@app.command("settings", rich_help_panel="Setting up")
def print_settings() -> None:
    """Print a settings file with every setting at its default."""
    out.print(settings.reference(), end="", markup=False, highlight=False, soft_wrap=True)


@app.command(rich_help_panel="Setting up")
def account(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Who; left out: everybody is listed.")] = None,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.RADIOLOGIST,
    password_from: Annotated[
        Path | None, typer.Option(help="File whose first line is the password; it is asked for otherwise.")
    ] = None,
) -> None:
    """Give somebody an account for the worklist, or another role and password."""
    house = _house(context, "cli")
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
        raise _Stop(str(error)) from error
    house.audit.note("account made", role=role)


@app.command(rich_help_panel="Setting up")
def token(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="What it is for; left out: all are listed.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help=f"Repeatable: {', '.join(SCOPES)}.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it lets in.")] = 365,
    revoke: Annotated[bool, typer.Option("--revoke", help="End it now.")] = False,
) -> None:
    """Make a token that lets a program in at /api/v1, and print it once."""
    house = _house(context, "cli")
    now = house.now()
    if name is None:
        show.tokens(out, house.tokens.all(), now)
        return
    try:
        if revoke:
            house.tokens.revoke(name, now)
        else:
            print(house.tokens.make(name, scope or (), now, now + timedelta(days=days)))  # noqa: T201 - for a pipe
    except BadToken as error:
        raise _Stop(str(error)) from error
    house.audit.note("token revoked" if revoke else "token made", token=name)


@app.command(rich_help_panel="Setting up")
def migrate(context: typer.Context) -> None:
    """Bring the database to this version's schema; `radplug up` does so by itself."""
    _house(context, "cli", check_schema=False).database.migrate()


@app.command(rich_help_panel="Setting up")
def version() -> None:
    """Print the version."""
    out.print(__version__, highlight=False)


app.add_typer(train, name="train", rich_help_panel="Setting up")


class _Stop(typer.Exit):
    """Leave with a message for a person, and status 2."""

    def __init__(self, text: str) -> None:
        err.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
        super().__init__(2)


def _house(context: typer.Context, actor: str, *, check_schema: bool = True) -> House:
    house = House(settings.load(context.obj), actor)
    logs.set_up(house.settings.log, actor)
    if check_schema:
        house.database.require_schema()
    return house


def _broker_url(house: House) -> str:
    if not house.settings.broker.url:
        raise _Stop("broker.url is not set; `radplug up` starts a private Redis, a single station needs one named")
    return house.settings.broker.url


def main() -> None:
    """The entrance: what a person can mend is said without a traceback."""
    os.umask(0o077)  # what the stations write is for their own user alone
    try:
        app()
    except (
        *(SettingsError, WrongSchema, UnknownCase, StationFailed),
        *(UnusableCheckpoint, UnusableAdapter, BadTemplate),
    ) as error:
        err.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
