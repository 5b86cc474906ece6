"""Whole sites for tests: stations as processes, a simulated PACS and reporting system, a model that writes nonsense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from peers import wait_until

from dicom_io.sending import Peer
from radplug.acceptance import synthetic_study
from radplug.acceptance.running_site import RunningSite, destinations_toml, settings_toml
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.domain import Case, CaseState

PACS_AE = "TESTPACS"


@dataclass(frozen=True)
class Hospital:
    """A running site with its peers."""

    running: RunningSite
    pacs: SimulatedPacs
    ris: SimulatedRis
    root: Path

    @property
    def listener(self) -> Peer:
        settings = self.running.settings.listener
        return Peer(settings.ae_title, "127.0.0.1", settings.port)

    def study(self, name: str, views: int = 1) -> SyntheticStudy:
        return synthetic_study.write(self.root / name, 1_000_000_001, datetime.now().astimezone(), views)

    def send(self, *files: Path) -> None:
        refused = self.pacs.send_study(files, self.listener, lambda done: None)
        assert not refused

    def case(self, study: SyntheticStudy) -> Case | None:
        return self.running.house.viewing.case_of_study(study.study_uid)

    def wait_for(self, study: SyntheticStudy, state: CaseState, version: int, seconds: float = 60) -> Case:
        def there() -> bool:
            case = self.case(study)
            return case is not None and (case.state, case.version) == (state, version)

        wait_until(there, seconds, lambda: f"case {state} with draft {version}; it is {self.case(study)}")
        case = self.case(study)
        assert case is not None
        return case


@contextmanager
def hospital(
    root: Path, checkpoint: Path, extra: str = "", destinations: str | None = None, quiet_seconds: float = 0.5
) -> Iterator[Hospital]:
    """A site with a short quiet time; `destinations` in TOML instead of the simulated peers."""
    with ExitStack() as stack:
        pacs = stack.enter_context(SimulatedPacs(PACS_AE, root / "pacs"))
        ris = stack.enter_context(SimulatedRis(root / "ris"))
        toml = settings_toml(
            root,
            destinations_toml(pacs, ris) if destinations is None else destinations,
            callers={PACS_AE, "STORESCU", "ORTHANC"},
            quiet_seconds=quiet_seconds,
            sections=f"""
[model]
checkpoint = {json.dumps(str(checkpoint))}
threads = 1
[delivery]
first_retry_seconds = 0.2
{extra}
""",
        )
        running = stack.enter_context(RunningSite(root, toml))
        yield Hospital(running, pacs, ris, root)
