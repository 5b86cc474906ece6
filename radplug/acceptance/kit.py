"""The whole kit: every check, and a radplug of its own to carry them out on where a site names none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from dicom_io.association import Peer
from radplug.acceptance import (
    checks_of_bad_days,
    checks_of_completeness,
    checks_of_dicomweb,
    checks_of_drafts,
    checks_of_fhir,
    checks_of_receiving,
)
from radplug.acceptance.api import Api
from radplug.acceptance.check import Check
from radplug.acceptance.running_site import RunningSite, free_port
from radplug.acceptance.simulated_archive import SimulatedArchive
from radplug.acceptance.simulated_fhir_server import SimulatedFhirServer
from radplug.acceptance.simulated_hub import TOPIC, SimulatedHub
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.acceptance.target import Target
from radplug.acceptance.ward import Ward

CHECKS: tuple[Check, ...] = (
    *checks_of_receiving.CHECKS,
    *checks_of_completeness.CHECKS,
    *checks_of_drafts.CHECKS,
    *checks_of_bad_days.CHECKS,
    *checks_of_dicomweb.CHECKS,
    *checks_of_fhir.CHECKS,
)
SCOPES = ("cases", "patients", "reports", "steer", "deliveries", "store")  # that the kit's token needs
OUR_AE, PACS_AE = "RADPLUG", "ACCEPTANCE"


class UnknownCheck(Exception):
    """There is no check of this name; the text lists them."""


def chosen(names: Iterable[str]) -> tuple[Check, ...]:
    """The checks of these names or groups, in the kit's order; all of them where none is named.

    Raises:
        UnknownCheck: one is neither.
    """
    wanted = set(names)
    known = {check.name for check in CHECKS} | {check.group for check in CHECKS}
    if unknown := sorted(wanted - known):
        raise UnknownCheck(f"there is no check {unknown[0]!r}; --list names them")
    return tuple(check for check in CHECKS if not wanted or {check.name, check.group} & wanted)


@contextmanager
def at_site(target: Target, root: Path) -> Iterator[Ward]:
    """A site's radplug, which has the simulated peers among its own: see docs/acceptance.md."""
    with (
        SimulatedPacs(target.pacs_ae_title, root / "pacs", target.pacs_port, target.listen_on) as pacs,
        SimulatedRis(root / "ris", target.reporting_port, target.listen_on) as ris,
        ExitStack() as stack,
    ):
        radplug = Peer(target.ae_title, target.host, target.port)
        ward = Ward(radplug, pacs, ris, Api(target.worklist, target.token()), root, target.patience_seconds)
        if target.archive_port is not None:
            archive = SimulatedArchive(root / "archive", target.archive_port, target.listen_on)
            ward.archive = stack.enter_context(archive)
        ward.fhir = stack.enter_context(SimulatedFhirServer(port=target.fhir_port)) if target.fhir_port else None
        ward.hub = stack.enter_context(SimulatedHub(port=target.hub_port)) if target.hub_port else None
        yield ward


@contextmanager
def embedded(root: Path, *, checkpoint: Path | None = None, instances: int = 3000) -> Iterator[Ward]:
    """A radplug of the kit's own under `root`, with the simulated peers as its PACS and reporting system."""
    with ExitStack() as stack:
        pacs = stack.enter_context(SimulatedPacs(PACS_AE, root / "pacs"))
        ris = stack.enter_context(SimulatedRis(root / "ris"))
        archive = stack.enter_context(SimulatedArchive(root / "archive"))
        fhir, hub = stack.enter_context(SimulatedFhirServer()), stack.enter_context(SimulatedHub())
        port = free_port()
        toml = _toml(root, port, pacs, ris, archive, checkpoint) + _fhir_toml(fhir, hub)
        running = stack.enter_context(RunningSite(root, toml))
        house = running.house
        now = house.now()
        token = house.tokens.make("acceptance", SCOPES, now, now + timedelta(days=1))
        address = next(station.detail for station in house.stations.all() if station.name == "web")
        radplug = Peer(OUR_AE, "127.0.0.1", port)
        ward = Ward(radplug, pacs, ris, Api(address, token), root, instances=instances)
        ward.archive, ward.fhir, ward.hub = archive, fhir, hub
        yield ward


def _toml(
    root: Path,
    port: int,
    pacs: SimulatedPacs,
    ris: SimulatedRis,
    archive: SimulatedArchive,
    checkpoint: Path | None,
) -> str:
    model = f"[model]\ncheckpoint = {json.dumps(str(checkpoint))}\n" if checkpoint else ""
    return f"""
{model}
[listener]
host = "127.0.0.1"
port = {port}
calling_ae_titles = ["{PACS_AE}"]
[store]
data = {json.dumps(str(root / "data"))}
keep_free_mib = 64
[assembly]
quiet_seconds = 0.5
[delivery]
first_retry_seconds = 0.5
longest_retry_seconds = 2.0
[web]
port = 0
[[pacs]]
name = "pacs"
ae_title = "{PACS_AE}"
host = "127.0.0.1"
port = {pacs.port}
[[dicomweb]]
name = "archive"
url = "http://127.0.0.1:{archive.port}"
[[reporting]]
name = "ris"
host = "127.0.0.1"
port = {ris.port}
"""


def _fhir_toml(fhir: SimulatedFhirServer, hub: SimulatedHub) -> str:
    return f"""
[[fhir]]
name = "fhir"
url = "{fhir.url}"
[fhircast]
url = "{hub.url}"
topics = {{ "acceptance" = "{TOPIC}" }}
"""
