"""The images that a workitem is about: fetched from where the site has them, and kept as if they had been sent.

An address inside of a workitem is never followed. Its AE titles count only where they are those of a `[[pacs]]`.
"""

from __future__ import annotations

from dicom_io.arrival import Arrival
from dicom_io.dicomweb.fetching import fetch
from dicom_io.errors import DicomError, NoSpace, Unreadable
from dicom_io.offered import supports
from dicom_io.retrieving import get_study, move_study
from dicom_io.workitems import Input
from radplug import certificates, pipeline, web_services
from radplug.settings import PacsDestination, WorkitemsSettings
from radplug.wiring import SOURCE, House


class CannotBeDone(Exception):
    """The workitem asks for what is not to be had here; the text is the reason that its server is told."""


class Inputs:
    """Fetches them for a house."""

    def __init__(self, house: House, settings: WorkitemsSettings) -> None:
        self._house, self._settings = house, settings
        self._pacs = {pacs.ae_title: pacs for pacs in house.settings.pacs}
        self._peers = {pacs.name: certificates.calling(pacs) for pacs in house.settings.pacs}

    def fetch(self, wanted: Input) -> int:
        """Have an input here when this returns; how many instances of it came.

        Raises:
            CannotBeDone: it is nowhere that we may fetch from.
            DicomError: as retrieval does; NoSpace where there is no room for it now.
        """
        if url := self._settings.images_url:
            return self._by_web(url, wanted)
        pacs = next((self._pacs[title] for title in wanted.ae_titles if title in self._pacs), None)
        if pacs is None:
            raise CannotBeDone(
                f"the workitem's images are at {', '.join(wanted.ae_titles) or 'no AE title that it names'}, and that "
                "is none of the PACS from which we may fetch them"
            )
        return self._by_move(pacs, wanted) if self._settings.retrieve_by == "c-move" else self._by_get(pacs, wanted)

    def _by_web(self, url: str, wanted: Input) -> int:
        server, count = web_services.server_at(url, self._settings), 0
        for sent in fetch(server, wanted.study_uid, wanted.series_uid, source=SOURCE):
            one = sent.instance
            if wanted.instances and one.sop_instance_uid not in wanted.instances:
                continue
            if supports(one.sop_class_uid, one.transfer_syntax_uid):
                pipeline.receive(self._house, one, sent.header, sent.data_set, SOURCE)
                count += 1
        return count

    def _by_move(self, pacs: PacsDestination, wanted: Input) -> int:
        """What comes comes to our listener; a PACS need not tell how much it sent."""
        house = self._house
        sent = move_study(
            wanted.study_uid,
            house.settings.listener.ae_title,
            self._peers[pacs.name](),
            series_uid=wanted.series_uid,
            instance_uids=wanted.instances,
            calling_ae=house.settings.listener.ae_title,
            timeout=pacs.timeout_seconds,
            seconds=self._settings.retrieve_seconds,
        )
        case = house.viewing.case_of_study(wanted.study_uid)
        return sent or (case.instances if case else 0)

    def _by_get(self, pacs: PacsDestination, wanted: Input) -> int:
        count, full = 0, list[NoSpace]()

        def take(arrival: Arrival) -> None:
            nonlocal count
            one = arrival.instance
            if one.study_uid != wanted.study_uid:
                raise Unreadable(f"{pacs.name} gave an instance of another study than was asked for")
            if wanted.instances and one.sop_instance_uid not in wanted.instances:
                return
            try:
                pipeline.receive(self._house, one, arrival.header, arrival.data_set, pacs.ae_title)
            except NoSpace as error:  # to the PACS it is a failure like any other
                full.append(error)
                raise
            count += 1

        try:
            get_study(
                wanted.study_uid,
                take,
                self._peers[pacs.name](),
                series_uid=wanted.series_uid,
                instance_uids=wanted.instances,
                calling_ae=self._house.settings.listener.ae_title,
                timeout=pacs.timeout_seconds,
                seconds=self._settings.retrieve_seconds,
            )
        except DicomError:
            if full:
                raise full[0] from None
            raise
        return count
