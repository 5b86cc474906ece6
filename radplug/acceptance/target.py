"""A site's radplug: where it is, and under which names the kit's simulated peers are known there."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dicom_io.association import Peer
from dicom_io.certificates import Files
from radplug.acceptance.api import Api
from radplug.acceptance.authority import authority
from radplug.acceptance.dcmtk import Senders, Storescp
from radplug.acceptance.simulated_archive import SimulatedArchive
from radplug.acceptance.simulated_fhir_server import SimulatedFhirServer
from radplug.acceptance.simulated_hub import SimulatedHub
from radplug.acceptance.simulated_pacs import ReceivingPacs, SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.acceptance.simulated_senders import Sender
from radplug.acceptance.ward import Branch, SecureDoor, Ward


class BadTarget(Exception):
    """The file does not say where radplug is; the text says what is wrong with it."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsDoor(Part):
    """What is set as [listener.tls] there, and what the kit shows to be let in."""

    port: int = Field(ge=1, le=65535)
    ca: Path = Field(description="PEM file of the authority that has signed radplug's certificate")
    certificate: Path = Field(description="PEM file of the kit's certificate, which radplug lets in")
    key: Path = Field(description="PEM file of its private key")
    server_name: str = Field("", description="that radplug's certificate is for; empty: host")

    def door(self, folder: Path) -> SecureDoor:
        return SecureDoor(
            port=self.port,
            ours=Files(self.ca, (self.certificate, self.key)),
            strangers=Files(self.ca, authority(folder, "nobody").vouches("stranger").own),
            expired=None,
            server_name=self.server_name,
        )


class Engine(Part):
    """The site's interface engine: what the kit puts in there is to come out at `reporting_port`."""

    host: str
    port: int = Field(ge=1, le=65535)


class Target(Part):
    """The file that `--target` names, in TOML."""

    host: str = Field(description="where radplug listens for DICOM")
    port: int = Field(ge=1, le=65535)
    worklist: str = Field(pattern="^https?://", description="the worklist's address")
    token_file: Path = Field(description="holds a token made with `radplug token`, with all of the kit's scopes")
    ae_title: str = Field("RADPLUG", description="radplug's")
    pacs_ae_title: str = Field("ACCEPTANCE", description="the kit's, a [[pacs]] and a calling AE title there")
    pacs_port: int = Field(ge=1, le=65535, description="where that [[pacs]] is said to listen: here")
    reporting_port: int = Field(ge=1, le=65535, description="where the kit's [[reporting]] is said to listen: here")
    archive_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="where the kit's [[dicomweb]] is said to listen: here; left out: none is",
    )
    fhir_port: int | None = Field(None, description="where the kit's [[fhir]] is said to listen, on radplug's machine")
    hub_port: int | None = Field(None, description="where its [fhircast] hub is said to listen, on radplug's machine")
    listen_on: str = Field("0.0.0.0", description="the address that the simulated peers listen on")
    patience_seconds: float = Field(
        120.0, gt=0, description="how long a case may take, its last image to its deliveries"
    )
    hl7_port: int | None = Field(None, ge=1, le=65535, description="that of [hl7] there; left out: it takes no HL7")
    commitment: bool = Field(False, description="commitment is true there, under [listener] and of the kit's [[pacs]]")
    tls: TlsDoor | None = None
    engine: Engine | None = None

    @classmethod
    def read(cls, file: Path) -> Self:
        """Raises BadTarget."""
        try:
            return cls.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise BadTarget(f"{file}: {error}") from None
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise BadTarget(f"{file}: {'; '.join(faults)}") from None

    def token(self) -> str:
        """Raises BadTarget."""
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadTarget(f"token_file {self.token_file}: {error.strerror}") from None

    @contextmanager
    def ward(self, root: Path, tools: Senders | None = None) -> Iterator[Ward]:
        """The kit's peers around this radplug; with `tools` the PACS is DCMTK's, which knows no commitment.

        Raises:
            BadTarget: there is no token.
            NoTool: DCMTK's storescp is not installed.
        """
        radplug, api = Peer(self.ae_title, self.host, self.port), Api(self.worklist, self.token())
        with ExitStack() as stack:
            ris = stack.enter_context(SimulatedRis(root / "ris", self.reporting_port, self.listen_on))
            pacs: ReceivingPacs
            vouching = None
            if tools:
                pacs = stack.enter_context(Storescp(self.pacs_ae_title, root / "pacs", self.pacs_port))
            else:
                simulated = SimulatedPacs(self.pacs_ae_title, root / "pacs", self.pacs_port, self.listen_on)
                pacs = stack.enter_context(simulated)
                vouching = Branch(simulated, radplug) if self.commitment else None
            archive = None
            if self.archive_port is not None:
                archive = SimulatedArchive(root / "archive", self.archive_port, self.listen_on)
            yield Ward(
                radplug=radplug,
                pacs=pacs,
                ris=ris,
                api=api,
                folder=root,
                patience=self.patience_seconds,
                tools=tools,
                orders=Sender("ORDERS", self.host, self.hl7_port) if self.hl7_port else None,
                dictation=Sender("DICTATION", self.host, self.hl7_port) if self.hl7_port else None,
                archive=stack.enter_context(archive) if archive else None,
                fhir=stack.enter_context(SimulatedFhirServer(port=self.fhir_port)) if self.fhir_port else None,
                hub=stack.enter_context(SimulatedHub(port=self.hub_port)) if self.hub_port else None,
                door=self.tls.door(root / "tls") if self.tls else None,
                engine=(self.engine.host, self.engine.port) if self.engine else None,
                vouching=vouching,
            )
