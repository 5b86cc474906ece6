"""WADO-RS as its user (PS3.18 10.4): instances of a study, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import BytesIO
from math import inf
from typing import Final

from pydicom import Dataset

from dicom_io.dicomweb.sent import Sent, sent_as
from dicom_io.dicomweb.server import Server, asking
from dicom_io.errors import Unavailable, Unreadable

AS_STORED: Final = (("application/dicom", "*"),)  # in whatever transfer syntax the server has it


def fetch(
    server: Server, study_uid: str, series_uid: str = "", *, source: str = "", seconds: float = inf
) -> Iterator[Sent]:
    """The instances of a study, or of one series of it, as they come.

    `source` stands where an AE title does in their files; `seconds` are for all of them.

    Raises:
        Rejected: the server refuses for good, or does not have them.
        Unavailable: the server cannot be reached, breaks off, or takes too long.
        Unreadable: what came is damaged, or of another study.
    """
    deadline = time.monotonic() + seconds
    with asking(server) as client:
        coming = (
            client.iter_series(study_uid, series_uid, media_types=AS_STORED)
            if series_uid
            else client.iter_study(study_uid, media_types=AS_STORED)
        )
        for data_set in coming:
            if time.monotonic() > deadline:
                raise Unavailable(f"{server} was not done with the study in the time that there was for it")
            sent = _sent(data_set, source)
            if sent.instance.study_uid != study_uid:
                raise Unreadable(f"{server} gave an instance of another study than was asked for")
            yield sent


def _sent(data_set: Dataset, source: str) -> Sent:
    file = BytesIO()
    data_set.save_as(file, enforce_file_format=True)
    file.seek(0)
    return sent_as(file, source)
