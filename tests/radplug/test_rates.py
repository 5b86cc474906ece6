"""How often one may ask: who changes much waits, who looks much does not, and nobody waits for somebody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from browsers import Answer, Client, with_accounts
from houses import add_slices, send_study

from radplug.people import Role
from radplug.web import rates
from radplug.web.rates import Rate
from radplug.web.serving import serving
from radplug.wiring import House

MOST = 10


@pytest.fixture
def site(build: Callable[..., House]) -> House:
    return with_accounts(build(web={"port": 0, "changes_per_minute": MOST, "strangers_per_minute": MOST}))


@pytest.fixture
def address(site: House) -> Iterator[str]:
    with serving(site) as address:
        yield address


def signed_in(address: str, role: Role) -> Client:
    client = Client(address)
    assert client.sign_in(role).status == 303
    return client


def told_to_wait(answer: Answer) -> bool:
    waits = answer.status == 429
    assert waits == ("retry-after" in answer.headers)
    if waits:
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert f"{MOST} a minute are allowed; try again in" in answer.text
    return waits


# ── counting ──


def test_a_minutes_number_comes_back_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rate = Rate(60)
    assert [rate.take("a") for _ in range(61)] == [0.0] * 60 + [1.0]
    assert rate.take("b") == 0
    now += 2
    assert [rate.take("a") for _ in range(3)] == [0.0, 0.0, 1.0]
    now += 3600
    assert [rate.take("a") > 0 for _ in range(61)] == [False] * 60 + [True]


def test_names_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_NAMES", 3)
    rate = Rate(1)
    for name in "abcd":
        assert rate.take(name) == 0
    assert rate.take("d") > 0
    assert rate.take("a") == 0  # it was forgotten


# ── requests ──


def test_a_person_who_changes_too_much_waits_and_nobody_else(address: str) -> None:
    one, other = signed_in(address, Role.RADIOLOGIST), signed_in(address, Role.IT)
    path = "/api/v1/cases/0/undo"
    answers = [one.json("POST", path, {}) for _ in range(MOST + 1)]
    assert [told_to_wait(answer) for answer in answers] == [False] * MOST + [True]
    assert told_to_wait(one.json("DELETE", "/api/v1/cases/0/anchors/x"))
    assert one.get("/").status == 200
    assert other.post("/dead-letters/0").status == 404


def test_a_tokens_changes_are_counted_for_itself(site: House, address: str) -> None:
    now = site.now()
    by = [
        {"Authorization": f"Bearer {site.tokens.make(name, ['steer'], now, now + timedelta(days=1))}"}
        for name in ("ris", "speech")
    ]

    def waits(token: dict[str, str], number: int) -> bool:
        sent = Client(address).json("POST", "/api/v1/cases/A1/anchors", {"text": f"Word {number}."}, **token)
        return told_to_wait(sent)

    assert [waits(by[0], number) for number in range(MOST + 1)] == [False] * MOST + [True]
    assert not waits(by[1], 0)


def test_who_scrolls_a_long_stack_waits_for_nothing(site: House, address: str, tmp_path: Path) -> None:
    case = send_study(site, tmp_path / "study")
    add_slices(site, case, 5)
    one = signed_in(address, Role.TECHNOLOGIST)
    for number in range(10 * MOST):
        assert one.get(f"/cases/{case.id}/frames/1.2.3.{number % 5 + 1}/1").status == 200


def test_an_address_where_nobody_is_signed_in_waits_and_who_is_does_not(address: str) -> None:
    one = signed_in(address, Role.IT)
    stranger = Client(address)
    answers = [stranger.get(path) for path in ("/", "/sign-in", "/api/v1/docs", "/rows") * MOST]
    assert [told_to_wait(answer) for answer in answers[-MOST:]] == [True] * MOST
    assert told_to_wait(stranger.sign_in(Role.RADIOLOGIST))
    assert one.get("/").status == 200
    assert stranger.get("/static/style.css").status == 200
