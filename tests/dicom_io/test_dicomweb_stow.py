"""STOW-RS out: what a server's answer means for the object that it was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from image_samples import image, part10
from peers import free_port
from web_servers import DICOM_JSON, WebServer

from dicom_io.dicomweb.server import Server
from dicom_io.dicomweb.store_answer import Outcome, read_answer, status_of, write_answer
from dicom_io.dicomweb.stow import store
from dicom_io.errors import DicomError, Rejected, Unavailable, Unreadable

UID = "1.2.3.4"
FILE = part10(image(np.zeros((4, 4), np.uint16), SOPInstanceUID=UID))


@contextmanager
def serving(archive: WebServer) -> Iterator[Server]:
    with archive.running() as address:
        yield Server(f"{address}/archive", 5)


def said(failure: int | None = None, warning: int | None = None, uid: str = UID) -> bytes:
    return write_answer([Outcome("1.2", uid, failure, warning)])


@pytest.mark.parametrize(
    ("status", "body", "warning"),
    [
        (200, said(), ""),
        (200, b"", ""),
        (202, said(warning=0xB000), "0xB000"),
        (409, said(0x0111), ""),  # it has the very object: an earlier attempt arrived after all
    ],
)
def test_what_is_stored(status: int, body: bytes, warning: str) -> None:
    archive = WebServer(status, body)
    with serving(archive) as server:
        assert store(FILE, server).warning == warning
    ((_, path, headers, sent),) = archive.asked
    assert path == "/archive/studies"
    assert headers["content-type"].startswith('multipart/related; type="application/dicom"')
    assert FILE[132:] in sent
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (409, said(0xA900), Rejected, "answered 409, failure reason 0xA900"),
        (202, said(0x0122), Rejected, "answered 202, failure reason 0x0122"),
        (409, said(0xA700), Unavailable, "failure reason 0xA700"),
        (409, b"", Rejected, "answered 409"),
        (409, b'{"00081198": 7}', Rejected, "answered 409"),
        (202, said(uid="9.9"), Unavailable, "does not say what became"),
        (200, said(0x0110), Unavailable, "0x0110"),
        (400, b"", Rejected, "answered 400"),
        (415, b"<html>", Rejected, "answered 415"),
        (401, b"", Unavailable, "renew the token or password"),
        (403, b"", Unavailable, "renew the token or password"),
        (429, b"", Unavailable, "answered 429"),
        (503, b"", Unavailable, "answered 503"),
        (307, b"", Rejected, "name its new address"),
    ],
)
def test_what_is_not(status: int, body: bytes, kind: type[DicomError], text: str) -> None:
    headers = {**DICOM_JSON, "Location": "/elsewhere"}
    archive = WebServer(status, body, headers)
    with serving(archive) as server, pytest.raises(kind, match=text):
        store(FILE, server)
    assert len(archive.asked) == 1


def test_the_way_in() -> None:
    archive = WebServer()
    with serving(archive) as server:
        store(FILE, replace(server, authorization="Bearer secret"))
    (asked,) = archive.asked
    assert asked.headers["authorization"] == "Bearer secret"


def test_nobody_there_and_no_answer() -> None:
    with pytest.raises(Unavailable, match="no connection"):
        store(FILE, Server(f"http://127.0.0.1:{free_port()}", 1))
    with pytest.raises(Unavailable, match="did not answer in"), _deaf() as server:
        store(FILE, server)
    with pytest.raises(Unreadable):
        store(b"no DICOM", Server("http://127.0.0.1:1", 1))


@contextmanager
def _deaf() -> Iterator[Server]:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}", 0.2)


def test_an_unknown_certificate_is_not_trusted(tmp_path: Path) -> None:
    with serving(WebServer()) as server, pytest.raises(Unavailable, match="no TLS"):
        store(FILE, replace(server, url=server.url.replace("http:", "https:")))
    with pytest.raises(Unavailable, match="CA cert"):
        store(FILE, Server("https://127.0.0.1:1", 1, ca=tmp_path / "none.pem"))


def test_answers_are_written_as_they_are_read() -> None:
    outcomes = [Outcome("1.2", "1"), Outcome("1.2", "2", 0xA900), Outcome(failure=0xC000)]
    body = write_answer(outcomes)
    assert [read_answer(body, uid) for uid in ("1", "2", "3")] == [*outcomes[:2], None]
    assert set(json.loads(body)) == {"00081190", "00081198", "00081199", "0008119A"}
    assert [status_of(some) for some in (outcomes[:1], outcomes, outcomes[1:])] == [200, 202, 409]
    assert status_of([Outcome("1.2", "1", 0xA700)]) == 503
