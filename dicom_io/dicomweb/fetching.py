"""WADO-RS as its user (PS3.18 10.4): instances of a study, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Final

import requests
from dicomweb_client import DICOMwebClient
from pydicom import Dataset

from dicom_io.dicomweb.sent import Sent, sent_as
from dicom_io.dicomweb.server import Server, refusal, unreached
from dicom_io.elements import DAMAGE
from dicom_io.errors import Unreadable

AS_STORED: Final = (("application/dicom", "*"),)  # in whatever transfer syntax the server has it


def fetch(server: Server, study_uid: str, series_uid: str = "", *, source: str) -> Iterator[Sent]:
    """The instances of a study, or of one series of it, as they come; `source` stands where an AE title does.

    Raises:
        Rejected: the server refuses for good, or does not have them.
        Unavailable: the server cannot be reached, or breaks off.
        Unreadable: what came is damaged, or of another study.
    """
    with server.session() as session:
        client = DICOMwebClient(server.url, session, timeout=server.timeout, permissive_uid=True)
        client.set_http_retry_params(retry=False)
        try:
            for data_set in _asked(client, study_uid, series_uid)():
                sent = _sent(data_set, source)
                if sent.instance.study_uid != study_uid:
                    raise Unreadable(f"{server} gave an instance of another study than was asked for")
                yield sent
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 500
            raise refusal(server, status) from None
        except OSError as error:
            raise unreached(server, error) from None
        except DAMAGE as damage:
            raise Unreadable(f"{server} gave what is no instance ({type(damage).__name__})") from None


def _asked(client: DICOMwebClient, study_uid: str, series_uid: str) -> Callable[[], Iterator[Dataset]]:
    if series_uid:
        return lambda: client.iter_series(study_uid, series_uid, media_types=AS_STORED)
    return lambda: client.iter_study(study_uid, media_types=AS_STORED)


def _sent(data_set: Dataset, source: str) -> Sent:
    file = BytesIO()
    data_set.save_as(file, enforce_file_format=True)
    file.seek(0)
    return sent_as(file, source)
