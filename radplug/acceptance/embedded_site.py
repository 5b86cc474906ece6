"""A radplug of the kit's own, with all that a check can ask for, where no site is named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from dicom_io import tls
from dicom_io.association import Peer
from dicom_io.certificates import Files
from radplug.acceptance.api import Api
from radplug.acceptance.authority import authority
from radplug.acceptance.dcmtk import Senders, Storescp
from radplug.acceptance.running_site import RunningSite, destinations_toml, free_port, pacs_toml, settings_toml
from radplug.acceptance.simulated_archive import SimulatedArchive
from radplug.acceptance.simulated_engine import SimulatedEngine
from radplug.acceptance.simulated_fhir_server import SimulatedFhirServer
from radplug.acceptance.simulated_hub import TOPIC, SimulatedHub
from radplug.acceptance.simulated_pacs import ReceivingPacs, SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.acceptance.simulated_senders import Sender
from radplug.acceptance.ward import Branch, SecureDoor, Ward

SCOPES = ("cases", "patients", "reports", "steer", "deliveries", "store")  # that the kit's token needs
HERE = "127.0.0.1"
OUR_AE, PACS_AE, VOUCHING_AE, ENCRYPTED_AE = "RADPLUG", "ACCEPTANCE", "VOUCHING", "ENCRYPTED"
REPORTING_SECONDS = 8.0  # that the reporting system has to answer; one check has it slow, another one silent
RULES = f"""
[[rule]]
name = "for the PACS that vouches"
when.called_ae_titles = ["{OUR_AE}_1"]
destinations = ["vouching"]
[[rule]]
name = "for the PACS with TLS"
when.called_ae_titles = ["{OUR_AE}_2"]
destinations = ["encrypted"]
[[rule]]
name = "all others"
destinations = ["pacs", "ris", "archive", "fhir", "fhircast"]
"""


@contextmanager
def embedded(root: Path, *, checkpoint: Path | None = None, tools: Senders | None = None) -> Iterator[Ward]:
    """A site under `root`, and the peers around it; with `tools` its PACS is DCMTK's as well.

    Raises:
        SiteFailed: its stations did not start.
        NoTool: DCMTK's storescp is not installed.
    """
    with ExitStack() as stack:
        door = _door(root / "tls")
        pacs: ReceivingPacs
        if tools:
            pacs = stack.enter_context(Storescp(PACS_AE, root / "pacs"))
        else:
            pacs = stack.enter_context(SimulatedPacs(PACS_AE, root / "pacs"))
        ris = stack.enter_context(SimulatedRis(root / "ris"))
        vouching = stack.enter_context(SimulatedPacs(VOUCHING_AE, root / "vouching"))
        with_tls = SimulatedPacs(ENCRYPTED_AE, root / "encrypted", tls=lambda: tls.accepting(door.ours))
        encrypted = stack.enter_context(with_tls)
        engine = stack.enter_context(SimulatedEngine(ris.port))
        archive = stack.enter_context(SimulatedArchive(root / "archive"))
        fhir, hub = stack.enter_context(SimulatedFhirServer()), stack.enter_context(SimulatedHub())
        toml = _toml(root, door, pacs, ris, vouching, encrypted, checkpoint) + _web_toml(archive, fhir, hub)
        running = stack.enter_context(RunningSite(root, toml))
        settings, house = running.settings, running.house
        now = house.now()
        token = house.tokens.make("acceptance", SCOPES, now, now + timedelta(days=1))
        address = next(station.detail for station in house.stations.all() if station.name == "web")
        hl7_port = settings.hl7.port or 0
        yield Ward(
            radplug=Peer(OUR_AE, HERE, settings.listener.port),
            pacs=pacs,
            ris=ris,
            api=Api(address, token),
            folder=root,
            tools=tools,
            orders=Sender("ORDERS", HERE, hl7_port),
            dictation=Sender("DICTATION", HERE, hl7_port),
            archive=archive,
            fhir=fhir,
            hub=hub,
            door=door,
            engine=(HERE, engine.port),
            vouching=Branch(vouching, Peer(f"{OUR_AE}_1", HERE, settings.listener.port)),
            encrypted=Branch(encrypted, Peer(f"{OUR_AE}_2", HERE, settings.listener.port)),
            look_around=lambda: _wrong(running.file),
        )


def _door(folder: Path) -> SecureDoor:
    hospital = authority(folder, "hospital")
    hospital.vouches("radplug")
    return SecureDoor(
        port=free_port(),
        ours=hospital.vouches("kit"),
        strangers=Files(hospital.file, authority(folder, "nobody").vouches("stranger").own),
        expired=hospital.vouches("expired", since=-30, days=-1),
    )


def _toml(
    root: Path,
    door: SecureDoor,
    pacs: ReceivingPacs,
    ris: SimulatedRis,
    vouching: SimulatedPacs,
    encrypted: SimulatedPacs,
    checkpoint: Path | None,
) -> str:
    rules = root / "rules.toml"
    rules.write_text(RULES, encoding="utf-8")
    radplugs = _tls_toml(Files(door.ours.authorities, (root / "tls" / "radplug.pem", root / "tls" / "radplug.key")))
    return settings_toml(
        root,
        f"""{destinations_toml(pacs, ris)}
timeout_seconds = {REPORTING_SECONDS}
{pacs_toml("vouching", vouching)}
commitment = true
commitment_attempts = 2
{pacs_toml("encrypted", encrypted)}
[pacs.tls]
{radplugs}
""",
        callers={PACS_AE, VOUCHING_AE},
        of_listener=f'further_ae_titles = ["{OUR_AE}_1", "{OUR_AE}_2"]\ncommitment = true',
        sections=f"""
[listener.tls]
port = {door.port}
{radplugs}
[hl7]
port = {free_port()}
[delivery]
first_retry_seconds = 0.5
longest_retry_seconds = 2.0
[drafting]
rules = {json.dumps(str(rules))}
[model]
{f"checkpoint = {json.dumps(str(checkpoint))}" if checkpoint else ""}
""",
    )


def _web_toml(archive: SimulatedArchive, fhir: SimulatedFhirServer, hub: SimulatedHub) -> str:
    return f"""
[[dicomweb]]
name = "archive"
url = "http://{HERE}:{archive.port}"
[[fhir]]
name = "fhir"
url = "{fhir.url}"
[fhircast]
url = "{hub.url}"
topics = {{ "acceptance" = "{TOPIC}" }}
"""


def _tls_toml(files: Files) -> str:
    certificate, key = files.own or ("", "")
    named = {"ca": files.authorities, "certificate": certificate, "key": key}
    return "\n".join(f"{name} = {json.dumps(str(file))}" for name, file in named.items())


def _wrong(settings: Path) -> Mapping[str, str]:
    command = [sys.executable, "-m", "radplug.cli", "--config", str(settings), "doctor", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return {finding["about"]: finding["text"] for finding in found if not finding["well"]}
