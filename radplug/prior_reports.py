"""What the reports of an earlier study say, and the images that stand for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dicom_io.errors import Unreadable
from dicom_io.offered import REPORTS
from dicom_io.report_text import reports_text
from dicom_io.selection import select
from dicom_io.study import Instance, Study
from radplug.domain import KeptInstance
from radplug.priors import WrittenReport
from radplug.study_store import StudyStore

MOST_IMAGES: Final = 4


class PriorReports:
    def __init__(self, store: StudyStore) -> None:
        self._store = store

    def read(self, instances: Sequence[KeptInstance]) -> WrittenReport | None:
        """What the radiologists' structured reports of a study say; None: there is none, or one does not decode."""
        files = [kept.file for kept in instances if kept.instance.sop_class_uid in REPORTS]
        try:
            said = reports_text([self._store.path(file).read_bytes() for file in files])
        except Unreadable:
            return None
        return WrittenReport(said.text, said.written_at) if said.text else None

    def images(self, instances: Sequence[KeptInstance]) -> tuple[Instance, ...]:
        """Those that stand for the study; none where it has no images that we know."""
        if not instances:
            return ()
        chosen = select(Study.of(kept.instance for kept in instances), MOST_IMAGES).chosen
        return tuple({choice.instance.sop_instance_uid: choice.instance for choice in chosen}.values())
