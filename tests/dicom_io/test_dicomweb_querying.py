"""What a DICOMweb server may answer besides studies, and who it is told that we are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from image_samples import image, part10
from peers import free_port
from web_servers import Asked, WebServer

from dicom_io.dicomweb.fetching import fetch
from dicom_io.dicomweb.querying import find_studies
from dicom_io.dicomweb.server import Server
from dicom_io.errors import DicomError, Rejected, Unavailable, Unreadable


@contextmanager
def server(
    status: int, body: bytes = b"", kind: str = "application/dicom+json"
) -> Iterator[tuple[Server, list[Asked]]]:
    """One that answers everybody so, and what it was asked."""
    answering = WebServer(status, body, {"Content-Type": kind})
    with answering.running() as address:
        yield Server(f"{address}/dicom-web", timeout=5), answering.asked


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"", Unavailable),
        (404, b"", Rejected),
        (429, b"", Unavailable),
        (503, b"", Unavailable),
        (200, b"<html>sign in</html>", Unreadable),
        (200, b'[{"00080020": {"vr": "DA", "Value": 7}}]', Unreadable),
    ],
)
def test_what_goes_wrong_is_said_without_the_patients_id(status: int, body: bytes, kind: type[DicomError]) -> None:
    with server(status, body) as (web, _), pytest.raises(kind) as caught:
        find_studies("PATIENT-4711", web)
    assert "4711" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_nobody_there() -> None:
    with pytest.raises(Unavailable) as caught:
        find_studies("PATIENT-4711", Server(f"http://127.0.0.1:{free_port()}/dicom-web", timeout=5))
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize(("status", "body"), [(204, b""), (200, b"[]")])
def test_no_studies(status: int, body: bytes) -> None:
    with server(status, body) as (web, _):
        assert find_studies("4711", web) == []


def test_who_asks() -> None:
    with server(200, b"[]") as (web, asked):
        for each in (web, replace(web, authorization="Bearer t0k3n")):
            find_studies("4711", each)
    assert [one.headers.get("authorization") for one in asked] == [None, "Bearer t0k3n"]


def test_credentials_are_shown_to_nobody() -> None:
    assert "t0k3n" not in repr(Server("https://pacs.example", 5, "Bearer t0k3n"))


def test_nobody_else_is_asked_for() -> None:
    with server(200, b"[]") as (web, asked):
        with pytest.raises(Rejected):
            find_studies("47*", web)
        assert asked == []


def test_a_study_that_is_none() -> None:
    with server(200, b"not DICOM", "application/dicom") as (web, _), pytest.raises(Unreadable):
        next(fetch(web, "1.2.3"))


def test_a_study_that_takes_too_long() -> None:
    body = part10(image(np.zeros((8, 8), np.uint8)))
    with server(200, body, "application/dicom") as (web, _), pytest.raises(Unavailable, match="not done"):
        next(fetch(web, "1.2.3", seconds=-1))
