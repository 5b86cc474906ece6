"""Who stands between radplug and its peers, and spoils what passes: to the peers, a radplug that is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from peers import free_port
from pydicom import Dataset, dcmread

from dicom_io.arrival import Arrival
from dicom_io.listener import Listener
from dicom_io.sending import Peer, send
from hl7.message import Message
from radplug.acceptance.embedded_site import SCOPES
from radplug.acceptance.running_site import RunningSite, destinations_toml, settings_toml
from radplug.acceptance.simulated_engine import SimulatedEngine
from radplug.acceptance.target import Target
from radplug.acceptance.ward import Ward

PACS_AE = "ACCEPTANCE"
ImageChange = Callable[[Dataset], Dataset | None]  # None: it is swallowed


class Relay:
    """Takes what is sent to `ae_title`, answers 0x0000, and passes it on as `change` leaves it."""

    def __init__(self, ae_title: str) -> None:
        self.ae_title = ae_title
        self.to: Peer
        self.change: ImageChange = lambda image: image
        self._listener = Listener(ae_title, "127.0.0.1", 0, self._take, calling_ae_titles=None)

    @property
    def port(self) -> int:
        return self._listener.port

    def _take(self, arrival: Arrival) -> None:
        data_set = self.change(dcmread(BytesIO(arrival.header + arrival.data_set)))
        if data_set:
            send(data_set, self.to, calling_ae=arrival.calling_ae, timeout=10)

    def __enter__(self) -> Relay:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()


class Hl7Relay(SimulatedEngine):
    """Passes messages on as `change` leaves them."""

    change: Callable[[Message], Message] = staticmethod(lambda message: message)

    def passed_on(self, message: Message) -> Message:
        return self.change(message)


@dataclass
class Sabotage:
    """A ward whose radplug is reached, and reaches its peers, through three saboteurs."""

    ward: Ward
    images: Relay
    reports: Relay
    results: Hl7Relay

    def undone(self) -> None:
        self.images.change = self.reports.change = lambda image: image
        self.results.change = lambda message: message


@contextmanager
def sabotaged(root: Path, checkpoint: Path) -> Iterator[Sabotage]:
    """A site that the kit reaches as any `--target`; it takes no HL7, no TLS and no storage commitment."""
    pacs_port, reporting_port = free_port(), free_port()
    with ExitStack() as stack:
        images, reports = stack.enter_context(Relay("RADPLUG")), stack.enter_context(Relay(PACS_AE))
        results = stack.enter_context(Hl7Relay(reporting_port))
        toml = settings_toml(
            root,
            destinations_toml(reports, results),
            callers={PACS_AE},
            sections=f'[model]\ncheckpoint = "{checkpoint}"\nthreads = 1',
        )
        running = stack.enter_context(RunningSite(root, toml))
        house, token = running.house, root / "token"
        images.to = Peer("RADPLUG", "127.0.0.1", running.settings.listener.port)
        reports.to = Peer(PACS_AE, "127.0.0.1", pacs_port)
        token.write_text(house.tokens.make("acceptance", SCOPES, house.now(), house.now() + timedelta(days=1)))
        target = Target(
            host="127.0.0.1",
            port=images.port,
            worklist=next(station.detail for station in house.stations.all() if station.name == "web"),
            token_file=token,
            pacs_port=pacs_port,
            reporting_port=reporting_port,
            patience_seconds=30,
            engine={"host": "127.0.0.1", "port": results.port},
        )
        yield Sabotage(stack.enter_context(target.ward(root)), images, reports, results)


def with_field(message: Message, name: str, number: int, value: str) -> Message:
    """The message, that field of all its segments of this name being another."""

    def changed(segment: tuple[str, ...]) -> tuple[str, ...]:
        return (*segment[:number], value, *segment[number + 1 :]) if segment[0] == name else segment

    return replace(message, segments=tuple(map(changed, message.segments)))


def without(message: Message, text: str) -> Message:
    """The message, that text taken out of its observations."""
    return replace(
        message,
        segments=tuple(
            tuple(field.replace(text, "") for field in segment) if segment[0] == "OBX" else segment
            for segment in message.segments
        ),
    )
