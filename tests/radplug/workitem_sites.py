"""A house that does the workitems of a simulated server: one that is asked over the web, and one by DIMSE."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from image_samples import item

from dicom_io.workitems import Code
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.acceptance.held_workitems import HeldWorkitems
from radplug.acceptance.simulated_image_archive import SimulatedImageArchive
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ups import SimulatedUps
from radplug.acceptance.simulated_ups_scp import SimulatedUpsScp
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.asking.performer import Performer
from radplug.records.schema import audit, workitems
from radplug.records.workitems import Claim
from radplug.wiring import House

Make = Callable[..., "Site"]  # with settings of [workitems] other than the usual ones, and `drafting`
AT_PACS = {"DICOMRetrievalSequence": [item(RetrieveAETitle="PACS")]}
SETTINGS = {"station": "RADPLUG^99HOSPITAL^AI drafts", "code": "DRAFT^99HOSPITAL^Draft", "timeout_seconds": 2}
US = Code("RADPLUG", "99HOSPITAL", "AI drafts")
DRAFT = Code("DRAFT", "99HOSPITAL", "Draft a report")
REQUEST = {
    "AccessionNumber": "",
    "ReasonForTheRequestedProcedure": "cough",
    "PlacerOrderNumberImagingServiceRequest": "P1",
}


@dataclass
class Site:
    """A house in this process that does the workitems of a simulated server."""

    house: House
    ups: HeldWorkitems
    pacs: SimulatedPacs | SimulatedImageArchive
    root: Path

    @property
    def performer(self) -> Performer:
        """A new one each time, which knows the rows alone."""
        assert self.house.settings.workitems
        return Performer(self.house, self.house.settings.workitems)

    def study(self, name: str = "study") -> SyntheticStudy:
        return synthetic_study.write(self.root / name, 1_000_000_001, datetime.now(UTC), 2, 128)

    def schedule(self, study: SyntheticStudy, **elements: Any) -> str:
        asked = {**REQUEST, "AccessionNumber": study.order.accession_number, "StudyInstanceUID": study.study_uid}
        request = {"ReferencedRequestSequence": [item(**asked)]} | elements
        return self.ups.schedule(study.files, US, DRAFT, **request)

    def step(self) -> None:
        """All that is due now, and then is."""
        for _ in range(4):
            self.performer.go_on()

    def draft(self, study: SyntheticStudy) -> None:
        """What clock and workers do."""
        case = self.house.viewing.case_of_study(study.study_uid)
        assert case is not None
        pipeline.close(self.house, case.id)
        pipeline.draft(self.house, case.id, "worker")
        pipeline.deliver(self.house, case.id)

    def pause_is_over(self) -> None:
        now = self.house.now()
        open_ones = workitems.c.ring_at.is_not(None)
        with self.house.database.writing() as connection:
            connection.execute(sa.update(workitems).where(open_ones).values(ring_at=now))

    def look_again(self) -> None:
        self.pause_is_over()
        self.step()

    def states(self) -> list[str]:
        with self.house.database.reading() as connection:
            return list(connection.scalars(sa.select(workitems.c.state)))

    def claims(self) -> list[Claim]:
        return self.house.claims.due(self.house.now() + timedelta(days=1))

    def noted(self, event: str) -> list[dict[str, Any]]:
        with self.house.database.reading() as connection:
            return list(connection.scalars(sa.select(audit.c.detail).where(audit.c.event == event)))


@contextmanager
def by_web(build: Callable[..., House], root: Path) -> Iterator[Make]:
    """Workitems and images over the web, with the token in `root`; drafts to a PACS."""
    token_file = root / "token"
    token_file.write_text("let us in\n")
    with SimulatedPacs("PACS", root / "pacs") as pacs, SimulatedUps("let us in") as ups:
        where = {"url": ups.url, "token_file": token_file}
        yield lambda **changed: _site(build, root, ups, pacs, where | changed)


@contextmanager
def by_dimse(build: Callable[..., House], root: Path) -> Iterator[Make]:
    """Workitems of a peer, images by C-GET from the PACS to which drafts go."""
    with SimulatedUpsScp("PACS") as ups, SimulatedImageArchive("PACS", root / "pacs", ups.files) as pacs:
        peer = {"ae_title": "WORKFLOW", "host": "127.0.0.1", "port": ups.port}
        where = {"peer": peer, "retrieve_by": "c-get"}
        yield lambda **changed: _site(build, root, ups, pacs, where | changed)


def _site(
    build: Callable[..., House],
    root: Path,
    ups: HeldWorkitems,
    pacs: SimulatedPacs | SimulatedImageArchive,
    settings: dict[str, Any],
) -> Site:
    to = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
    drafting = settings.pop("drafting", {"assume_body_part": "CHEST"})
    return Site(build(drafting=drafting, pacs=[to], workitems=SETTINGS | settings), ups, pacs, root)
