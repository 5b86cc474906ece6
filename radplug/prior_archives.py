"""Where a patient's earlier studies are: the PACS that the settings name for it, each asked in its own way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from dicom_io import retrieving
from dicom_io.arrival import Arrival
from dicom_io.dicomweb import querying
from dicom_io.dicomweb.fetching import fetch
from dicom_io.dicomweb.server import Server
from dicom_io.errors import DicomError, NoSpace
from dicom_io.retrieving import FoundStudy
from dicom_io.study import Instance, Patient, date_of
from radplug import certificates, web_services
from radplug.body_part import body_part
from radplug.domain import ArchiveFailed
from radplug.priors import Candidate
from radplug.settings import PacsDestination

_CODE: Final = re.compile(r"[A-Z0-9_ ]{1,16}")  # VR CS


class PriorArchives:
    """The site's PACS that may be asked, by name; `ae_title` is ours."""

    def __init__(self, ae_title: str, pacs: Sequence[PacsDestination]) -> None:
        self._ae_title = ae_title
        self._pacs = {each.name: (each, certificates.calling(each)) for each in pacs if each.priors != "off"}

    @property
    def names(self) -> Sequence[str]:
        return list(self._pacs)

    def patient(self, archive: str, patient: Patient) -> Patient:
        """The patient as that archive knows them: with the issuer that it has for IDs without one."""
        return replace(patient, issuer=patient.issuer or self._pacs[archive][0].priors_issuer)

    def find(self, archive: str, patient: Patient, seconds: float) -> list[Candidate]:
        """The studies under the patient's ID, whoever's they are. Raises ArchiveFailed."""
        pacs, peer = self._pacs[archive]
        timeout = min(seconds, pacs.timeout_seconds)
        with _in_our_words():
            if pacs.priors == "dicomweb":
                found = querying.find_studies(patient.id, _web_server(pacs, seconds))
            else:
                found = retrieving.find_studies(patient.id, peer(), calling_ae=self._ae_title, timeout=timeout)
        return [self._candidate(archive, study) for study in found]

    def describe(self, candidate: Candidate, seconds: float) -> Candidate:
        """With the modalities and the body part that are told of its series. Raises ArchiveFailed."""
        pacs, peer = self._pacs[candidate.archive]
        uid, timeout = candidate.study_uid, min(seconds, pacs.timeout_seconds)
        with _in_our_words():
            if pacs.priors == "dicomweb":
                series = querying.find_series(uid, _web_server(pacs, seconds))
            else:
                series = retrieving.find_series(uid, peer(), calling_ae=self._ae_title, timeout=timeout)
        parts = {each.body_part for each in series if each.body_part}
        return replace(
            candidate,
            modalities=frozenset(each.modality for each in series if _CODE.fullmatch(each.modality)),
            body_part=candidate.body_part or (parts.pop() if len(parts) == 1 else ""),
        )

    def fetch(
        self, archive: str, study_uid: str, keep: Callable[[Instance, bytes, bytes], None], seconds: float
    ) -> None:
        """Have a study here when this returns: what C-MOVE brings comes to our listener, the rest is handed to `keep`.

        Raises ArchiveFailed.
        """
        pacs, peer = self._pacs[archive]
        timeout = min(seconds, pacs.timeout_seconds)

        def take(arrival: Arrival) -> None:
            keep(arrival.instance, arrival.header, arrival.data_set)

        with _in_our_words():
            if pacs.priors == "dicomweb":
                for sent in fetch(_web_server(pacs, seconds), study_uid, seconds=seconds):
                    keep(sent.instance, sent.header, sent.data_set)
            elif pacs.priors == "c-get":
                retrieving.get_study(
                    study_uid, take, peer(), calling_ae=self._ae_title, timeout=timeout, seconds=seconds
                )
            else:
                retrieving.move_study(
                    study_uid, self._ae_title, peer(), calling_ae=self._ae_title, timeout=timeout, seconds=seconds
                )

    def _candidate(self, archive: str, study: FoundStudy) -> Candidate:
        return Candidate(
            study.uid,
            study.patient,  # an issuer that is not named here may be in the images
            date_of(study.date),
            frozenset(filter(_CODE.fullmatch, study.modalities)),
            body_part("", [study.description]),
            "".join(character if character.isprintable() else " " for character in study.description),
            archive,
            study.accession_number.strip(),
        )


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except NoSpace:
        raise
    except DicomError as error:
        raise ArchiveFailed(str(error)) from error


def _web_server(pacs: PacsDestination, seconds: float) -> Server:
    """With its secret as it stands in its file now. Raises Unavailable."""
    assert pacs.dicomweb  # the settings have seen to it
    server = web_services.server(pacs.dicomweb)
    return replace(server, timeout=min(seconds, server.timeout))
