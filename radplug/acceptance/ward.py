"""What the checks have at hand: radplug from outside, and the peers that are simulated around it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from dicom_io.association import Peer
from dicom_io.certificates import Files
from dicom_io.errors import DicomError
from dicom_io.sending import Source, echo, send_each
from radplug.acceptance import synthetic_study
from radplug.acceptance.api import Api
from radplug.acceptance.dcmtk import Senders
from radplug.acceptance.expecting import expect
from radplug.acceptance.returned import ReturnedOru, ReturnedSr
from radplug.acceptance.simulated_archive import SimulatedArchive
from radplug.acceptance.simulated_fhir_server import SimulatedFhirServer
from radplug.acceptance.simulated_hub import SimulatedHub
from radplug.acceptance.simulated_pacs import ReceivingPacs, SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.acceptance.simulated_senders import Sender
from radplug.acceptance.synthetic_study import SyntheticStudy

SETTLED = ("delivered", "not drafted", "failed")
LOOK_EVERY = 0.1  # seconds
SEED = 1_000_000_001
Found = TypeVar("Found")


class TooLate(Exception):
    """What was waited for did not come; the text says what, and what was there instead."""


@dataclass(frozen=True, slots=True)
class SecureDoor:
    """radplug's port with TLS, and what the kit can show there."""

    port: int
    ours: Files  # which radplug is to let in
    strangers: Files  # its own signed by an authority that radplug does not know
    expired: Files | None  # None where nothing can be signed here in the name of the right authority
    server_name: str = ""  # that radplug's certificate is for; empty: the host


@dataclass(frozen=True, slots=True)
class Branch:
    """A PACS that alone takes the drafts of studies that were sent to `radplug`, under the title that it has here."""

    pacs: SimulatedPacs
    radplug: Peer


@dataclass
class Ward:
    """`patience` is how many seconds a case may take from its last image to its deliveries.

    What is None, the radplug under test has not, or not for the kit.
    """

    radplug: Peer
    pacs: ReceivingPacs
    ris: SimulatedRis
    api: Api
    folder: Path
    patience: float = 60.0
    instances: int = 3000  # of the big study
    tools: Senders | None = None  # DCMTK's, where they are to send instead of us
    orders: Sender | None = None
    dictation: Sender | None = None
    archive: SimulatedArchive | None = None  # that takes drafts by STOW-RS
    fhir: SimulatedFhirServer | None = None
    hub: SimulatedHub | None = None
    door: SecureDoor | None = None
    engine: tuple[str, int] | None = None  # what is sent there comes out at `ris`
    vouching: Branch | None = None  # whose PACS is asked for storage commitment, and asks for it
    encrypted: Branch | None = None  # whose PACS listens with TLS
    look_around: Callable[[], Mapping[str, str]] | None = None  # `radplug doctor`: what it finds wrong, by what about
    _studies: int = field(default=0, init=False)

    @property
    def calling_ae(self) -> str:
        """The AE title under which studies are sent: one that radplug knows."""
        return self.pacs.ae_title

    def study(self, views: int = 1) -> SyntheticStudy:
        """A new chest radiograph, under an accession number of its own and of a patient of its own."""
        self._studies += 1
        at, patient_id = datetime.now().astimezone(), f"KIT-{secrets.token_hex(5).upper()}"
        folder = self.folder / f"study-{self._studies}"
        return synthetic_study.write(folder, SEED + self._studies, at, views, 256, patient_id)

    def send(self, sources: Sequence[Source], to: Peer | None = None) -> list[str]:
        """C-STORE them on one association; what was said to each, empty for success."""
        files, to = [source for source in sources if isinstance(source, Path)], to or self.radplug
        if self.tools and len(files) == len(sources) and not to.tls:
            return self.tools.store(files, to, self.calling_ae)
        outcomes = send_each(sources, to, calling_ae=self.calling_ae, timeout=60)
        return [str(outcome) if isinstance(outcome, DicomError) else "" for outcome in outcomes]

    def echo(self, to: Peer, calling_ae: str) -> None:
        """Raises Rejected, Unavailable."""
        if self.tools:
            self.tools.echo(to, calling_ae)
        else:
            echo(to, calling_ae=calling_ae, timeout=10)

    def under(self, called: str) -> Peer:
        """radplug, called by another AE title."""
        return replace(self.radplug, ae_title=called)

    def settled(self, accession: str, version: int = 1) -> dict[str, Any]:
        """The case, once nothing more is to be done about it and it has this version, or is not drafted.

        Raises:
            TooLate: that did not come in time.
        """

        def there(case: Mapping[str, Any]) -> bool:
            return case["state"] in SETTLED and (case["version"] >= version or case["state"] != "delivered")

        return self.case(accession, there, f"draft {version} of {accession}, delivered")

    def case(self, accession: str, so: Callable[[Mapping[str, Any]], bool], what: str) -> dict[str, Any]:
        """The case, once it is so. Raises TooLate."""
        last: dict[str, Any] | None = None

        def there() -> dict[str, Any] | None:
            nonlocal last
            last = self.api.case(accession)
            return last if last and so(last) else None

        def told() -> str:
            instead = f"it is {last['state']} with draft {last['version']}" if last else "there is no such case"
            return f"{what} did not come; {instead}"

        return until(there, self.patience, told)

    def with_delivery(
        self, study: SyntheticStudy, so: Callable[[Mapping[str, Any]], bool], what: str
    ) -> dict[str, Any]:
        """The study's case, once one of its deliveries is so. Raises TooLate."""
        return self.case(study.order.accession_number, lambda case: any(map(so, case["deliveries"])), what)

    def srs(self, study: SyntheticStudy, pacs: ReceivingPacs | None = None) -> list[ReturnedSr]:
        """What a PACS has received for a study, in the order in which it came."""
        return [ReturnedSr.read(file) for file in _naming(study, (pacs or self.pacs).received)]

    def orus(self, study: SyntheticStudy) -> list[ReturnedOru]:
        """What the reporting system has received for a study, in the order in which it came."""
        return [ReturnedOru.read(file) for file in _naming(study, self.ris.received)]

    def came_back(self, study: SyntheticStudy, version: int = 1) -> tuple[ReturnedSr, ReturnedOru]:
        """The SR and the message of the draft of that version, once it is delivered.

        Raises:
            TooLate: it was not in time.
            Failed: not one of each came for each version.
        """
        self.settled(study.order.accession_number, version)
        srs, orus = self.srs(study), self.orus(study)
        expect(len(srs) == len(orus) == version, f"{len(srs)} SRs and {len(orus)} messages came for draft {version}")
        return srs[-1], orus[-1]


def until(there: Callable[[], Found | None], patience: float, told: Callable[[], str]) -> Found:
    """What is waited for, once it is there. Raises TooLate, with what is told then."""
    deadline = time.monotonic() + patience
    while (found := there()) is None:
        if time.monotonic() > deadline:
            raise TooLate(f"within {patience:.0f} s {told()}")
        time.sleep(LOOK_EVERY)
    return found


def _naming(study: SyntheticStudy, files: Sequence[Path]) -> list[Path]:
    return [file for file in files if study.study_uid.encode() in file.read_bytes()]
