"""A server that is asked over HTTP, and in DICOM's words why it did not do what it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests
from dicomweb_client import DICOMwebClient
from pydicom.errors import InvalidDicomError

from dicom_io.elements import DAMAGE
from dicom_io.errors import DicomError, Rejected, Unavailable, Unreadable

# It may do so later: it waits for a request, is too early or too busy; or does not let us in until somebody mends that.
PASSING: Final = frozenset({401, 403, 408, 425, 429})
_NONSENSE: Final = (requests.JSONDecodeError, InvalidDicomError, *(kind for kind in DAMAGE if kind is not OSError))


@dataclass(frozen=True, slots=True)
class Server:
    url: str  # without a slash at its end
    timeout: float  # seconds for the connection, and then for each answer
    authorization: str = field(default="", repr=False)  # what it is shown, as in the header; empty: nothing
    ca: Path | None = None  # PEM file; None: the public authorities

    def __str__(self) -> str:
        return self.url

    def session(self) -> requests.Session:
        """One that follows no redirection, which could take patients' data elsewhere, and asks no environment."""
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        session.verify = str(self.ca) if self.ca else True
        if self.authorization:
            session.headers["Authorization"] = self.authorization
        return session


@contextmanager
def asking(server: Server) -> Iterator[DICOMwebClient]:
    """What asks it. What goes wrong is said without the request's URL, which may name a patient.

    Raises:
        Rejected: the server refuses for good, or does not have what is asked for.
        Unavailable: the server cannot be reached, breaks off, or may answer later.
        Unreadable: its answer makes no sense.
    """
    with server.session() as session:
        client = DICOMwebClient(server.url, session, timeout=server.timeout, permissive_uid=True)
        client.set_http_retry_params(retry=False)  # when to try again is for the caller to say
        try:
            yield client
        except requests.HTTPError as error:
            raise refusal(server, error.response.status_code if error.response is not None else 500) from None
        except _NONSENSE as error:
            raise Unreadable(f"{server} gave an answer that makes no sense ({type(error).__name__})") from None
        except OSError as error:  # of which all errors of requests are
            raise unreached(server, error) from None


def unreached(server: Server, error: OSError) -> Unavailable:
    """Of a request that had no answer."""
    if isinstance(error, requests.exceptions.SSLError):
        return Unavailable(f"{server}: no TLS with it; is its certificate signed by the authorities in `ca`?")
    if isinstance(error, requests.Timeout):
        return Unavailable(f"{server} did not answer in {server.timeout:g} s")
    if isinstance(error, requests.RequestException):
        return Unavailable(f"{server}: no connection ({type(error).__name__}); is it running, and its address right?")
    return Unavailable(f"{server}: {error.strerror or error}")


def refusal(server: Server, status: int) -> DicomError:
    """What a status means that is none of success."""
    if status in (401, 403):
        return Unavailable(f"{server} answered {status} and does not let us in; renew the token or password")
    if 300 <= status < 400:
        return Rejected(f"{server} answered {status}: it is elsewhere now; name its new address")
    kind = Unavailable if status in PASSING or status >= 500 else Rejected
    return kind(f"{server} answered {status}")
