"""Studies that come by STOW-RS: kept as by C-STORE, answered for one by one, and nobody comes in without a token."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import sqlalchemy as sa
from dicomweb_client import DICOMwebClient
from peers import wait_until
from pydicom import dcmread
from pydicom.uid import MPEG2MPML, RTPlanStorage

from radplug.acceptance import synthetic_study
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.domain import CaseState
from radplug.records.schema import audit, cases, deliveries, instances
from radplug.texts.reading import UnusableText
from radplug.web import stow
from radplug.web.serving import serving
from radplug.wiring import House

BOUNDARY = "a boundary"
MULTIPART = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'


def body(*parts: bytes, media_type: str = "application/dicom", end: bool = True) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: {media_type}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + (f"--{BOUNDARY}--".encode() if end else b"")


class Sender:
    """A program that sends to a site's pages."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self.token = address, token

    def post(self, sent: Any, path: str = "/studies", **headers: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": MULTIPART} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return requests.post(f"{self.address}/dicom-web{path}", sent, headers=headers, timeout=30)


def told(answer: requests.Response) -> dict[str, list[Any]]:
    """Of each sequence of an answer: the UIDs that it names, or reasons where it names none."""
    names = {"00081199": "stored", "00081198": "failed", "0008119A": "nameless"}
    found: dict[str, list[Any]] = {}
    for tag, element in answer.json().items():
        if tag in names:
            found[names[tag]] = [
                (
                    item.get("00081155", {}).get("Value", [""])[0],
                    *(item["00081197"]["Value"] if "00081197" in item else ()),
                )
                for item in element["Value"]
            ]
    return found


@pytest.fixture
def site(build: Callable[..., House]) -> House:
    return build(web={"port": 0})


@pytest.fixture
def study(tmp_path: Path) -> SyntheticStudy:
    return synthetic_study.write(tmp_path / "study", 1_000_000_001, datetime.now(UTC), views=2, size=64)


@pytest.fixture
def token(site: House) -> Callable[..., str]:
    return lambda name, *scopes: site.tokens.make(name, scopes, site.now(), site.now() + timedelta(days=1))


@pytest.fixture
def sender(address: str, token: Callable[..., str]) -> Sender:
    return Sender(address, token("ct-one", "store"))


def uids(study: SyntheticStudy) -> list[tuple[str]]:
    return [(str(dcmread(file).SOPInstanceUID),) for file in study.files]


def noted(house: House, event: str = "received by STOW-RS") -> list[tuple[str, dict[str, Any]]]:
    with house.database.reading() as connection:
        found = connection.execute(sa.select(audit.c.actor, audit.c.detail).where(audit.c.event == event))
        return [(row.actor, row.detail) for row in found]


def kept(house: House) -> list[sa.Row[Any]]:
    with house.database.reading() as connection:
        return list(connection.execute(sa.select(instances).order_by(instances.c.received_at)))


# ── what comes ──


def test_dicomweb_client_sends_a_study_and_it_is_kept_to_the_last_byte(
    site: House, sender: Sender, study: SyntheticStudy
) -> None:
    client = DICOMwebClient(
        f"{sender.address}/dicom-web", headers={"Authorization": f"Bearer {sender.token}"}, chunk_size=1000
    )
    answer = client.store_instances([dcmread(file) for file in study.files], study.study_uid)
    assert [(item.ReferencedSOPInstanceUID,) for item in answer.ReferencedSOPSequence] == uids(study)
    case = site.viewing.case_of_study(study.study_uid)
    assert case is not None
    assert (case.state, case.instances) == (CaseState.RECEIVING, 2)
    rows = kept(site)
    assert [row.calling_ae for row in rows] == ["ct-one", "ct-one"]
    for row, file in zip(rows, study.files, strict=True):
        assert site.store.holds(row.file, row.sha256)
        assert dcmread(site.store.path(row.file)) == dcmread(file)
    assert noted(site) == [
        ("token:ct-one", {"new": 2, "duplicate": 0, "ours": 0, "mended": 0, "prior": 0, "refused": 0})
    ]


def test_sent_again_nothing_is_doubled(site: House, sender: Sender, study: SyntheticStudy) -> None:
    files = body(*(file.read_bytes() for file in study.files))
    first, second = sender.post(files), sender.post(files)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.headers["Content-Type"] == "application/dicom+json"
    assert told(first) == told(second) == {"stored": uids(study)}
    assert len(kept(site)) == 2
    assert noted(site)[1][1] == {"new": 0, "duplicate": 2, "ours": 0, "mended": 0, "prior": 0, "refused": 0}


def test_of_a_body_in_which_some_is_damaged_the_rest_is_kept(
    site: House, sender: Sender, study: SyntheticStudy
) -> None:
    good, other = (file.read_bytes() for file in study.files)
    answer = sender.post(body(good, b"no DICOM", other[: 140 + 60]))
    assert answer.status_code == 202
    assert told(answer) == {"stored": uids(study)[:1], "nameless": [("", 0xC000), ("", 0xC000)]}
    assert len(kept(site)) == 1
    none = sender.post(body(b"no DICOM"))
    assert (none.status_code, told(none)) == (409, {"nameless": [("", 0xC000)]})


def test_a_part_of_another_kind_is_refused(sender: Sender, study: SyntheticStudy) -> None:
    answer = sender.post(body(study.files[0].read_bytes(), media_type="application/dicom+json"))
    assert (answer.status_code, told(answer)) == (409, {"nameless": [("", 0xC000)]})


def test_an_instance_of_another_study_than_the_addressed_one_is_refused(
    site: House, sender: Sender, study: SyntheticStudy
) -> None:
    files = [file.read_bytes() for file in study.files]
    answer = sender.post(body(*files), "/studies/1.2.3")
    assert (answer.status_code, told(answer)) == (409, {"failed": [(uid, 0xA900) for (uid,) in uids(study)]})
    assert kept(site) == []
    assert sender.post(body(*files), f"/studies/{study.study_uid}").status_code == 200
    assert sender.post(body(*files), "/studies/no-uid").status_code == 422


@pytest.mark.parametrize(("change", "reason"), [("class", 0x0122), ("syntax", 0xC122)])
def test_what_c_store_would_not_take_is_not_taken_here(
    sender: Sender, study: SyntheticStudy, change: str, reason: int
) -> None:
    image = dcmread(study.files[0])
    if change == "class":
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = RTPlanStorage
        image.save_as(study.files[0], enforce_file_format=True)
        file = study.files[0].read_bytes()
    else:
        known, asked = (uid.encode().ljust(22, b"\0") for uid in (image.file_meta.TransferSyntaxUID, MPEG2MPML))
        file = _with_syntax(study.files[0].read_bytes(), known, asked)
    answer = sender.post(body(file))
    assert (answer.status_code, told(answer)) == (409, {"failed": [(*uids(study)[0], reason)]})


def _with_syntax(file: bytes, known: bytes, asked: bytes) -> bytes:
    """The file, whose meta information names another transfer syntax."""
    at = file.index(b"\x02\x00\x10\x00UI")
    length = int.from_bytes(file[at + 6 : at + 8], "little")
    group = int.from_bytes(file[140:144], "little") + len(asked) - length
    changed = file[:at] + b"\x02\x00\x10\x00UI" + len(asked).to_bytes(2, "little") + asked + file[at + 8 + length :]
    return changed[:140] + group.to_bytes(4, "little") + changed[144:]


def test_our_own_draft_that_comes_back_is_no_input(site: House, sender: Sender, study: SyntheticStudy) -> None:
    sender.post(body(study.files[0].read_bytes()))
    case = site.viewing.case_of_study(study.study_uid)
    assert case is not None
    row = {"case_id": case.id, "version": 1, "destination": "pacs", "kind": "sr", "document_id": uids(study)[1][0]}
    with site.database.writing() as connection:
        connection.execute(sa.insert(deliveries).values(row | {"file": "", "state": "delivered"}))
    assert sender.post(body(study.files[1].read_bytes())).status_code == 200
    with site.database.reading() as connection:
        assert connection.scalar(sa.select(cases.c.instances)) == 1
    assert noted(site)[1][1]["ours"] == 1


def test_rules_may_name_who_sends(build: Callable[..., House], tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    when = 'when.calling_ae_titles = ["ct-gateway-in-th"]'
    rules.write_text(f'[[rule]]\nname = "gateway"\n{when}\ndraft = false\nreason = "no"')
    house = build(drafting={"rules": rules}, listener={"calling_ae_titles": ["PACS"]})
    now = house.now()
    house.tokens.make("ct-gateway-in-the-cellar", ["cases"], now, now + timedelta(days=1))
    with pytest.raises(UnusableText, match="nothing could come from it"):
        _ = house.rules
    house.tokens.make("ct-gateway-in-the-attic", ["store"], now, now + timedelta(days=1))
    assert [rule.name for rule in house.rules] == ["gateway"]


# ── what is no such body ──


def test_another_media_type_is_refused(sender: Sender) -> None:
    expected = {
        "application/dicom": 415,
        "multipart/form-data; boundary=x": 415,
        f'multipart/related; type="application/dicom+json"; boundary="{BOUNDARY}"': 415,
        'multipart/related; type="application/dicom"': 415,
        "": 415,
        'multipart/related; type="application/dicom"; boundary="' + "x" * 5000 + '"': 400,
    }
    for content_type, status in expected.items():
        answer = sender.post(body(b"x"), Content_Type=content_type)
        assert (answer.status_code, list(answer.json())) == (status, ["detail"])


def test_only_dicoms_json_can_be_had(sender: Sender, study: SyntheticStudy) -> None:
    assert sender.post(body(study.files[0].read_bytes()), Accept="application/dicom+xml").status_code == 406


def test_a_body_without_parts_is_refused(site: House, sender: Sender) -> None:
    for sent in (b"", b"not divided", f"--{BOUNDARY}--".encode()):
        assert sender.post(sent).status_code == 400
    assert kept(site) == []


def test_what_came_whole_before_a_body_broke_off_is_kept(site: House, sender: Sender, study: SyntheticStudy) -> None:
    first, second = (file.read_bytes() for file in study.files)
    answer = sender.post(body(first, end=False) + body(second, end=False)[:-100])
    assert (answer.status_code, answer.json()["detail"]) == (400, "the body ends before its closing boundary")
    assert len(kept(site)) == 1
    assert noted(site)[0][1]["new"] == 1
    assert {file.suffix for file in site.store.root.rglob("*") if file.is_file()} <= {".dcm", ".sqlite", ""} | {
        ".sqlite-shm",
        ".sqlite-wal",
    }


def test_a_sender_that_hangs_up_disturbs_nobody(site: House, sender: Sender, study: SyntheticStudy) -> None:
    parts = urlsplit(sender.address)
    for _ in range(site.settings.stow.at_once + 1):
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
            head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sender.token}\r\n"
            connection.sendall(f"{head}Content-Type: {MULTIPART}\r\nContent-Length: 10000\r\n\r\n".encode())
            connection.sendall(body(b"x" * 100, end=False))
    whole = body(study.files[0].read_bytes())
    wait_until(lambda: sender.post(whole).status_code == 200, 10, "the places are free again")


def test_a_sender_that_falls_silent_is_told_so(
    address: str, sender: Sender, site: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stow, "PATIENCE", 0.2)
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 20) as connection:
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sender.token}\r\n"
        connection.sendall(f"{head}Content-Type: {MULTIPART}\r\nContent-Length: 1000\r\n\r\n--".encode())
        assert b" 408 " in connection.recv(1000)
    assert kept(site) == []


# ── who comes in, and how much ──


def test_nobody_sends_without_a_token_of_the_scope(
    site: House, address: str, token: Callable[..., str], study: SyntheticStudy
) -> None:
    whole = body(study.files[0].read_bytes())
    answers = [Sender(address, secret).post(whole) for secret in ("radplug_wrong", token("ris", "steer", "cases"))]
    assert [answer.status_code for answer in answers] == [401, 403]
    assert "without the scope store may not send in studies" in answers[1].json()["detail"]
    assert requests.post(f"{address}/dicom-web/studies", whole, headers={"Content-Type": MULTIPART}).status_code == 401
    assert kept(site) == []
    assert [actor for actor, _ in noted(site, "token refused")] == ["unknown"]


def test_a_token_that_sends_may_do_nothing_else(sender: Sender) -> None:
    by = {"Authorization": f"Bearer {sender.token}"}
    for path in ("/api/v1/cases", "/api/v1/dead-letters"):
        assert requests.get(sender.address + path, headers=by, timeout=30).status_code == 403


@pytest.fixture
def narrow(build: Callable[..., House]) -> Iterator[tuple[House, Sender]]:
    """A house that takes a MiB at most, one request at a time."""
    limits = {"largest_instance_mib": 1, "largest_request_mib": 2, "at_once": 1}
    house = build(web={"port": 0, "changes_per_minute": 1}, stow=limits)
    secret = house.tokens.make("ct", ["store"], house.now(), house.now() + timedelta(days=1))
    with serving(house) as address:
        yield house, Sender(address, secret)


def in_pieces(parts: Sequence[bytes]) -> Iterator[bytes]:
    yield from parts


def test_what_is_too_long_is_refused_before_all_of_it_has_come(narrow: tuple[House, Sender]) -> None:
    _, sender = narrow
    piece = bytes(1 << 16)
    one = sender.post(in_pieces([body(b"", end=False)[:-2], *[piece] * 17]))
    assert (one.status_code, one.json()["detail"]) == (413, "a part is longer than 1 MiB, the most that is taken")
    small = body(bytes(1 << 16), end=False)
    assert sender.post(in_pieces([small] * 40)).status_code == 413


def test_sending_is_no_change_of_a_page_but_so_many_come_at_a_time(
    narrow: tuple[House, Sender], study: SyntheticStudy
) -> None:
    _, sender = narrow
    whole = body(study.files[0].read_bytes())
    assert [sender.post(whole).status_code for _ in range(3)] == [200, 200, 200]
    parts = urlsplit(sender.address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 20) as connection:
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sender.token}\r\n"
        head += f"Content-Type: {MULTIPART}\r\nContent-Length: {len(whole)}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert b"100 Continue" in connection.recv(1000)  # it is let in: the only place is taken
        refused = sender.post(whole)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
        connection.sendall(whole)
        assert b" 200 OK" in connection.recv(1000)


def test_without_room_the_sender_is_told_to_come_again(build: Callable[..., House], study: SyntheticStudy) -> None:
    house = build(web={"port": 0})
    store = house.settings.store.model_copy(update={"keep_free_mib": 1 << 30})
    full = House(house.settings.model_copy(update={"store": store}), "test")
    secret = house.tokens.make("ct", ["store"], house.now(), house.now() + timedelta(days=1))
    with serving(full) as address:
        answer = Sender(address, secret).post(body(study.files[0].read_bytes()))
    full.database.close()
    assert (answer.status_code, "make room" in answer.json()["detail"]) == (503, True)
    assert answer.headers["Retry-After"]
