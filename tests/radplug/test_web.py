"""The pages without a browser: who may see what, what every answer carries, what is refused."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from browsers import PASSWORD, Client
from houses import SIZE, send_study
from peers import free_port

from radplug import pipeline
from radplug.domain import Case
from radplug.people import Role
from radplug.records.schema import cases, deliveries
from radplug.web import api, changes
from radplug.web.serving import CannotServe, serving
from radplug.web.shield import HEADERS
from radplug.web.tries import FREE_TRIES
from radplug.wiring import House


@pytest.fixture
def case(site: House, tmp_path: Path) -> Case:
    case = send_study(site, tmp_path / "study")
    pipeline.draft(site, case.id, "worker")
    return site.viewing.case(case.id)


def client(address: str, role: Role | None = None) -> Client:
    made = Client(address)
    if role:
        assert made.sign_in(role).status == 303
    return made


# ── signing in ──


def test_whoever_is_not_signed_in_is_asked_to_and_comes_back(address: str) -> None:
    one = client(address)
    asked = one.get("/?q=abc")
    assert (asked.status, asked.headers["location"]) == (303, "/sign-in?to=/%3Fq%3Dabc")
    signed = one.post("/sign-in", {"name": "radiologist", "password": PASSWORD, "to": "/?q=abc"})
    assert (signed.status, signed.headers["location"]) == (303, "/?q=abc")
    assert one.get("/?q=abc").status == 200
    assert one.post("/sign-out").status == 303
    assert one.get("/").status == 303


@pytest.mark.parametrize("path", ["/rows", "/changes", "/cases/0", "/cases/0/version", "/cases/0/images/1/1.png"])
def test_nothing_is_told_to_a_script_of_nobody(address: str, path: str) -> None:
    assert client(address).get(path, Accept="*/*").status == 401


@pytest.mark.parametrize("to", ["//evil.example", "/\\evil.example", "https://evil.example", "evil"])
def test_signing_in_leads_to_no_other_site(address: str, to: str) -> None:
    answer = client(address).post("/sign-in", {"name": "it", "password": PASSWORD, "to": to})
    assert answer.headers["location"] == "/"


def test_guessing_passwords_is_slow(address: str) -> None:
    one = client(address)
    statuses = [one.sign_in("radiologist", f"guess number {number}").status for number in range(FREE_TRIES + 2)]
    assert statuses == [401] * FREE_TRIES + [429] * 2
    assert one.sign_in("radiologist").status == 429  # even with the right one


def test_a_link_signs_in_once(site: House, address: str) -> None:
    link = "/sign-in/" + site.people.link("it", site.now().replace(year=9999))
    one, other = client(address), client(address)
    assert (one.get(link).status, one.get("/").status) == (303, 200)
    assert (other.get(link).status, other.get("/").status) == (401, 303)


def test_the_cookie_is_for_us_alone(site: House, address: str, build: Callable[..., House]) -> None:
    cookie = client(address).sign_in("it").headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    with serving(build(web={"port": 0, "behind_https": True})) as secure:
        answer = client(secure).sign_in("it")
        assert "; Secure" in answer.headers["set-cookie"]
        assert "strict-transport-security" in answer.headers


def test_a_new_password_ends_what_is_open(site: House, address: str) -> None:
    one = client(address, Role.IT)
    site.people.add("it", Role.IT, "another good password", site.now())
    assert one.get("/").status == 303


def test_what_listens_ends_with_the_session(
    site: House, address: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "STILL_THERE_EVERY", 0.2)
    monkeypatch.setattr(api, "STILL_THERE_EVERY", 0.2)
    for path in ("/changes", f"/api/v1/cases/{case.id}/events"):
        secret = client(address, Role.RADIOLOGIST).cookies["radplug"].value
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
        connection.request("GET", path, headers={"Cookie": f"radplug={secret}"})
        answer = connection.getresponse()
        assert answer.readline().startswith(b"event: ")
        site.people.end(secret)
        assert answer.read().endswith(b"event: over\ndata: 0\n\n")
        connection.close()


# ── what every answer carries ──


@pytest.mark.parametrize("path", ["/sign-in", "/", "/nothing", "/static/style.css", "/static/../../../etc/passwd"])
def test_security_headers(address: str, path: str) -> None:
    answer = client(address, Role.IT).get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name.lower()] == value
    assert "server" not in answer.headers


def test_pages_hold_no_inline_script_or_style(address: str, case: Case) -> None:
    one = client(address, Role.RADIOLOGIST)
    for path in ("/sign-in", "/", f"/cases/{case.id}", "/nothing"):
        page = one.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page), path


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}]
)
def test_another_site_cannot_post(address: str, headers: dict[str, str]) -> None:
    one = client(address, Role.IT)
    assert one.post("/sign-out", **headers).status == 403
    assert one.get("/").status == 200
    assert one.post("/sign-out", **{"Sec-Fetch-Site": "same-origin"}).status == 303


# ── who sees what ──


def test_a_radiologist_reads_the_draft_and_that_is_noted(site: House, address: str, case: Case) -> None:
    one = client(address, Role.RADIOLOGIST)
    assert "Phantom, Demo" in one.get("/").text
    page = one.get(f"/cases/{case.id}").text
    (draft,) = site.viewing.drafts(case.id)
    assert "AI draft, not reviewed" in page
    for section in draft.text.sections:
        assert section.heading in page
    assert one.get(f"/cases/{case.id}/images/1/1.png").headers["content-type"] == "image/png"
    assert one.get(f"/cases/{case.id}/version").text == "1"
    viewed = [event for event in site.viewing.events(case.id) if event.event == "viewed"]
    assert [(event.actor, event.detail) for event in viewed] == [("radiologist", {"version": 1})]


def test_a_technologist_sees_the_patient_and_no_report(address: str, case: Case) -> None:
    one = client(address, Role.TECHNOLOGIST)
    page = one.get(f"/cases/{case.id}").text
    assert "Phantom, Demo" in page
    assert "FINDINGS" not in page
    assert "AI draft" not in page
    assert one.get(f"/cases/{case.id}/images/1/1.png").status == 200


def test_it_sees_no_patient(address: str, case: Case) -> None:
    one = client(address, Role.IT)
    for path in ("/", "/rows", "/rows?q=Phantom", f"/cases/{case.id}"):
        answer = one.get(path)
        assert answer.status == 200
        for told in ("Phantom, Demo", "PHANTOM-1", "1960", "FINDINGS"):
            assert told not in answer.text, path
    assert one.get(f"/cases/{case.id}/images/1/1.png").status == 403


def test_every_frame_of_the_study_can_be_looked_at(site: House, address: str, case: Case) -> None:
    one = client(address, Role.TECHNOLOGIST)
    (series,) = json.loads(one.get(f"/cases/{case.id}/stack").text)["series"]
    ((uid, frame),) = series["frames"]
    answer = one.get(f"/cases/{case.id}/frames/{uid}/{frame}")
    about = json.loads(answer.headers["x-frame"])
    assert (about["rows"], about["columns"], about["colour"]) == (SIZE, SIZE, False)
    assert int(answer.headers["content-length"]) == 2 * SIZE * SIZE
    assert answer.headers["cache-control"].startswith("private")
    assert client(address, Role.IT).get(f"/cases/{case.id}/stack").status == 403
    assert client(address, Role.IT).get(f"/cases/{case.id}/frames/{uid}/{frame}").status == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/cases/0/stack", 404),
        ("/cases/{case}/frames/1.2.3/1", 404),
        ("/cases/{case}/frames/1.2.3/0", 422),
        ("/cases/{case}/frames/..%2f..%2f1/1", 404),
        ("/cases/0", 404),
        ("/cases/0/version", 404),
        ("/cases/..%2f..%2fradplug.sqlite", 404),
        ("/cases/xyz", 422),
        ("/cases/{case}?version=7", 404),
        ("/cases/{case}?version=x", 422),
        ("/cases/{case}/images/1/9.png", 404),
        ("/cases/{case}/images/9/1.png", 404),
        ("/rows?state=lost", 422),
        ("/rows?page=0", 422),
        ("/rows?sort=name", 422),
    ],
)
def test_what_is_not_there(address: str, case: Case, path: str, status: int) -> None:
    assert client(address, Role.RADIOLOGIST).get(path.format(case=case.id)).status == status


def test_what_comes_from_outside_is_shown_as_text(site: House, address: str, case: Case) -> None:
    attack = "<img src=x onerror=alert(1)>'\""
    with site.database.writing() as connection:
        connection.execute(sa.update(cases).values(patient_name=attack, study_description=attack, reason=attack))
    one = client(address, Role.RADIOLOGIST)
    for path in ("/", f"/cases/{case.id}", "/?q=%3Cimg%20src%3Dx%3E"):
        page = one.get(path).text
        assert "<img src=x" not in page
        assert "&lt;img src=x" in page


# ── dead letters ──


def test_it_sends_dead_letters_again_and_a_radiologist_cannot(site: House, address: str, case: Case) -> None:
    letter = {"case_id": case.id, "version": 1, "destination": "archive", "kind": "sr", "state": "dead"}
    with site.database.writing() as connection:
        rest = {"document_id": "1.2.3", "file": "f", "attempts": 3, "outcome": "refused: <no>"}
        connection.execute(sa.insert(deliveries).values(letter | rest))
    one, other = client(address, Role.IT), client(address, Role.RADIOLOGIST)
    assert "1 dead letter<" in one.get("/").text
    assert "refused: &lt;no&gt;" in one.get("/dead-letters").text
    assert "Send this case" not in other.get("/dead-letters").text
    assert other.post(f"/dead-letters/{case.id}").status == 403
    assert [delivery.state for delivery in site.viewing.deliveries(case.id)] == ["dead"]
    assert one.post(f"/dead-letters/{case.id}").status == 303
    assert [delivery.state for delivery in site.viewing.deliveries(case.id)] == ["waiting"]
    assert "Every document has arrived" in one.get("/dead-letters").text
    assert one.post("/dead-letters/0").status == 404


# ── serving ──


def test_a_taken_port_and_a_missing_certificate_are_told(address: str, build: Callable[..., House]) -> None:
    with pytest.raises(CannotServe, match="is it taken"), serving(build(web={"port": urlsplit(address).port})):
        pass
    wrong = {"port": free_port(), "certificate": "/nowhere.pem", "key": "/nowhere.pem"}
    with pytest.raises(CannotServe, match=r"web\.certificate or web\.key"), serving(build(web=wrong)):
        pass


def test_https(build: Callable[..., House], tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *made, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with serving(build(web={"port": 0, "certificate": certificate, "key": key})) as address:
        assert address.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection(urlsplit(address).netloc, context=trusting, timeout=20)
        connection.request("GET", "/sign-in")
        assert connection.getresponse().status == 200
        connection.close()
