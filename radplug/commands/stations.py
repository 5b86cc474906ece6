"""`radplug up`, and each station by itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Literal

import typer

from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.lora.adapter_card import AdapterCard
from radplug import certificates
from radplug.commands.console import Stop, explaining, house_of
from radplug.wiring import House

PANEL = "Stations"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def up(context: typer.Context) -> None:
    """Run all stations in the foreground until Ctrl-C; without broker.url, with a private Redis of their own."""
    import radplug.stations  # noqa: F401  once, for all of them
    from radplug.clock import ring_for_everything
    from radplug.embedded_redis import EmbeddedRedis
    from radplug.supervisor import Supervisor, stations

    house = house_of(context, "up", check_schema=False)
    # what no restart of a station would mend is said before any is started
    house.settings.listener.callers  # noqa: B018
    for tls in filter(None, (house.settings.listener.tls, house.settings.hl7.tls)):
        certificates.accepting(tls)()
    for model in house.models.values():
        ModelCard.read(model.checkpoint)
        for directory in model.adapters:
            AdapterCard.read(directory)
    house.template_files  # noqa: B018
    house.database.migrate()
    house.rules  # noqa: B018
    house.database.close()

    def run(station: Sequence[str]) -> None:
        with explaining():
            commands(station, obj=context.obj, prog_name="radplug")

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        redis = None if house.settings.broker.url else stack.enter_context(EmbeddedRedis())
        extra = {"RADPLUG_BROKER__URL": redis.url} if redis else {}
        supervisor = Supervisor(stations(house.settings.further_stations), run, extra)
        stack.callback(supervisor.stop)
        supervisor.start()
        while not stop.wait(0.2):
            supervisor.look()
            if redis and not redis.alive:
                redis.start()
                ring_for_everything(house)
                house.database.close()


@commands.command(rich_help_panel=PANEL)
def listen(context: typer.Context) -> None:
    """Receive studies: Verification and Storage SCP."""
    from radplug import stations

    stations.listen(house_of(context, "listener"))


@commands.command(rich_help_panel=PANEL)
def hl7(context: typer.Context) -> None:
    """Take HL7 messages: orders, changes of patients, dictated text."""
    from radplug import stations

    stations.take_hl7(house_of(context, "hl7"))


@commands.command(rich_help_panel=PANEL)
def ask(context: typer.Context) -> None:
    """Ask other systems: for orders of studies that came without one, and for workitems."""
    from radplug import stations

    stations.ask(house_of(context, "ask"))


@commands.command(rich_help_panel=PANEL)
def fhircast(context: typer.Context) -> None:
    """Take part in reporting sessions at a FHIRcast hub: phrases in, drafts out."""
    from radplug import stations

    stations.follow_sessions(house_of(context, "fhircast"))


@commands.command(rich_help_panel=PANEL)
def clock(context: typer.Context) -> None:
    """Close studies that are complete, and ring for work that is due."""
    from radplug import stations
    from radplug.worker import CeleryDoorbell

    house = house_of(context, "clock")
    stations.run_clock(house, CeleryDoorbell(_broker_url(house)))


@commands.command(rich_help_panel=PANEL)
def work(context: typer.Context, queue: Annotated[Literal["draft", "delivery"], typer.Argument()]) -> None:
    """Work through a queue: draft (one for each GPU), or delivery."""
    from radplug import stations

    house = house_of(context, queue)
    raise typer.Exit(stations.work(house, _broker_url(house), queue))


@commands.command(rich_help_panel=PANEL)
def web(context: typer.Context) -> None:
    """Serve the worklist to browsers."""
    from radplug import stations

    stations.web(house_of(context, "web"))


def _broker_url(house: House) -> str:
    if not house.settings.broker.url:
        raise Stop("broker.url is not set; `radplug up` starts a private Redis, a single station needs one named")
    return house.settings.broker.url
