"""What the checks have at hand: radplug from outside, and the peers that are simulated around it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dicom_io.association import Peer
from dicom_io.errors import DicomError
from dicom_io.sending import Source, send_each
from radplug.acceptance import synthetic_study
from radplug.acceptance.api import Api
from radplug.acceptance.returned import ReturnedOru, ReturnedSr
from radplug.acceptance.simulated_archive import SimulatedArchive
from radplug.acceptance.simulated_fhir_server import SimulatedFhirServer
from radplug.acceptance.simulated_hub import SimulatedHub
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.acceptance.synthetic_study import SyntheticStudy

SETTLED = ("delivered", "not drafted", "failed")
LOOK_EVERY = 0.1  # seconds
SEED = 1_000_000_001


class TooLate(Exception):
    """What was waited for did not come; the text says what, and what was there instead."""


@dataclass
class Ward:
    """`patience` is how many seconds a case may take from its last image to its deliveries."""

    radplug: Peer
    pacs: SimulatedPacs
    ris: SimulatedRis
    api: Api
    folder: Path
    patience: float = 60.0
    instances: int = 3000  # of the big study
    archive: SimulatedArchive | None = None  # that takes drafts by STOW-RS; None: there is none
    storescu: str = ""  # DCMTK's, where files are to be sent by it instead of by us
    fhir: SimulatedFhirServer | None = None
    hub: SimulatedHub | None = None
    _studies: int = field(default=0, init=False)

    @property
    def calling_ae(self) -> str:
        """The AE title under which studies are sent: one that radplug knows."""
        return self.pacs.ae_title

    def study(self, views: int = 1) -> SyntheticStudy:
        """A new chest radiograph, under an accession number of its own."""
        self._studies += 1
        folder = self.folder / f"study-{self._studies}"
        return synthetic_study.write(folder, SEED + self._studies, datetime.now().astimezone(), views, 256)

    def send(self, sources: Sequence[Source]) -> list[str]:
        """C-STORE them on one association; what was said to each, empty for success."""
        files = [source for source in sources if isinstance(source, Path)]
        if self.storescu and len(files) == len(sources):
            return self._by_dcmtk(files)
        outcomes = send_each(sources, self.radplug, calling_ae=self.calling_ae, timeout=60)
        return [str(outcome) if isinstance(outcome, DicomError) else "" for outcome in outcomes]

    def _by_dcmtk(self, files: Sequence[Path]) -> list[str]:
        """One outcome for all: storescu stops at the first that is refused."""
        to = self.radplug
        ends = ["-aet", self.calling_ae, "-aec", to.ae_title, to.host, str(to.port)]
        without_nagle = ["env", "TCP_NODELAY=1", self.storescu]  # else it waits for delayed acknowledgements
        command = [*without_nagle, *ends, *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [done.stderr.strip() or f"storescu ended with {done.returncode}" if done.returncode else ""] * len(files)

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
        until = time.monotonic() + self.patience
        while True:
            case = self.api.case(accession)
            if case and so(case):
                return case
            if time.monotonic() > until:
                there = f"it is {case['state']} with draft {case['version']}" if case else "there is no such case"
                raise TooLate(f"{what} did not come within {self.patience:.0f} s; {there}")
            time.sleep(LOOK_EVERY)

    def srs(self, study: SyntheticStudy) -> list[ReturnedSr]:
        """What the PACS has received for a study, in the order in which it came."""
        return [sr for sr in map(ReturnedSr.read, self.pacs.received) if sr.study_uid == study.study_uid]

    def orus(self, study: SyntheticStudy) -> list[ReturnedOru]:
        """What the reporting system has received for a study, in the order in which it came."""
        return [oru for oru in map(ReturnedOru.read, self.ris.received) if oru.study_uid == study.study_uid]
