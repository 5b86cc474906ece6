"""STOW-RS as its user (PS3.18 10.5): an object to a server, and what that said of it."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread

from dicom_io.dicomweb.server import Server, refusal, unreached
from dicom_io.dicomweb.store_answer import Outcome, read_answer
from dicom_io.errors import Rejected, Unavailable
from dicom_io.reading import read_instance
from dicom_io.sending import PASSING, THERE_ALREADY, Stored


def store(data: bytes, server: Server) -> Stored:
    """Send the file in these bytes.

    Raises:
        Unreadable: it is no DICOM file.
        Rejected: the server refuses it for good.
        Unavailable: the server cannot be reached, or may take it later.
    """
    uid = read_instance(data).sop_instance_uid
    answers: list[requests.Response] = []
    with server.session() as session:
        client = DICOMwebClient(
            server.url,
            session,
            callback=lambda answer, *_, **__: answers.append(answer),
            chunk_size=len(data) + (1 << 20),  # as one piece: not every server takes a body of unknown length
            timeout=server.timeout,
        )
        client.set_http_retry_params(retry=False)  # when to try again is for the caller to say
        try:
            with suppress(ValueError, KeyError, TypeError, AttributeError):  # an answer that it cannot read, we may
                client.store_instances([dcmread(BytesIO(data))])
        except OSError as error:
            if not answers:
                raise unreached(server, error) from None
    if not answers:
        raise Rejected(f"{server} cannot be asked; is this its address?")
    answer = answers[-1]
    return _stored(server, answer.status_code, read_answer(answer.content, uid), uid)


def _stored(server: Server, status: int, said: Outcome | None, uid: str) -> Stored:
    if said and said.failure not in (None, THERE_ALREADY):
        kind = Unavailable if said.failure in PASSING else Rejected
        raise kind(f"{server} answered {status}, failure reason 0x{said.failure:04X}")
    if said:
        return Stored(uid, f"0x{said.warning:04X}" if said.warning else "", "")
    if status == 202:
        raise Unavailable(f"{server} answered 202 and does not say what became of the object")
    if not 200 <= status < 300:
        raise refusal(server, status)
    return Stored(uid, "", "")
