"""Tokens: made, used, ended; what one may do, and what a wrong one meets."""

from __future__ import annotations

import http.client
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from browsers import Client
from typer.testing import CliRunner

from radplug.cli import app
from radplug.people import SCOPES, Right
from radplug.records.schema import audit, tokens
from radplug.records.tokens import USE_IS_NOTED_EVERY, BadToken
from radplug.settings import load
from radplug.web import changes
from radplug.web.tries import FREE_TRIES
from radplug.wiring import House

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=30)


def make(house: House, *scopes: str, name: str = "ris") -> str:
    return house.tokens.make(name, scopes, house.now(), house.now() + timedelta(days=1))


def by(token: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "*/*", **headers}


# ── rows, on each database ──


def test_a_token_stands_for_itself_and_its_scopes(house: House) -> None:
    secret = house.tokens.make("ris", ["steer", "cases"], NOW, LATER)
    holder = house.tokens.whose(secret, NOW)
    assert holder is not None
    assert holder.name == "token:ris"
    assert [right for right in Right if holder.may(right)] == [Right.CASES, Right.STEER]
    assert house.tokens.whose(secret + "x", NOW) is None
    assert house.tokens.whose("", NOW) is None


def test_a_token_ends_in_time_or_when_it_is_revoked(house: House) -> None:
    secret = house.tokens.make("ris", ["cases"], NOW, LATER)
    assert house.tokens.whose(secret, LATER - timedelta(seconds=1)) is not None
    assert house.tokens.whose(secret, LATER) is None
    house.tokens.revoke("ris", NOW)
    assert house.tokens.whose(secret, NOW) is None
    with pytest.raises(BadToken, match="no token"):
        house.tokens.revoke("ris", NOW)


def test_a_name_is_free_again_when_its_token_has_ended(house: House) -> None:
    first = house.tokens.make("ris", ["cases"], NOW, LATER)
    with pytest.raises(BadToken, match="in use"):
        house.tokens.make("ris", ["cases"], NOW, LATER)
    house.tokens.revoke("ris", NOW)
    second = house.tokens.make("ris", ["cases"], NOW, LATER)
    assert house.tokens.whose(first, NOW) is None
    assert house.tokens.whose(second, NOW) is not None


def test_when_it_was_last_used_is_kept_to_a_minute(house: House) -> None:
    secret = house.tokens.make("ris", ["cases"], NOW, LATER)
    for at in (NOW, NOW + USE_IS_NOTED_EVERY / 2):
        house.tokens.whose(secret, at)
        assert house.tokens.all()[0].used_at == NOW
    house.tokens.whose(secret, NOW + USE_IS_NOTED_EVERY)
    assert house.tokens.all()[0].used_at == NOW + USE_IS_NOTED_EVERY


@pytest.mark.parametrize(("name", "scopes"), [("", ["cases"]), ("a b", ["cases"]), ("ris", []), ("ris", ["all"])])
def test_tokens_that_are_refused(house: House, name: str, scopes: list[str]) -> None:
    with pytest.raises(BadToken):
        house.tokens.make(name, scopes, NOW, LATER)
    assert house.tokens.all() == []


def test_the_database_holds_no_token(house: House) -> None:
    secret = house.tokens.make("ris", ["cases"], NOW, LATER)
    with house.database.reading() as connection:
        (row,) = connection.execute(sa.select(tokens))
    assert secret.removeprefix("radplug_") not in str(row)


# ── the command ──


def test_the_command_prints_a_token_once_lists_and_revokes(tmp_path: Path) -> None:
    config = tmp_path / "radplug.toml"
    config.write_text(f'[store]\ndata = "{tmp_path / "data"}"\n', encoding="utf-8")

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["--config", str(config), *words])
        return result.exit_code, result.stdout

    run("migrate")
    assert "no tokens" in run("token")[1]
    status, secret = run("token", "ris", "--scope", "steer", "--days", "7")
    house = House(load(config), "test")
    assert status == 0
    assert house.tokens.whose(secret.strip(), house.now()) is not None
    assert house.tokens.whose(secret.strip(), house.now() + timedelta(days=7)) is None
    status, listed = run("token")
    assert "ris" in listed
    assert "steer" in listed
    assert secret.strip() not in listed
    assert run("token", "ris", "--revoke")[0] == 0
    assert house.tokens.whose(secret.strip(), house.now()) is None
    assert run("token", "other", "--scope", "everything")[0] == 2


# ── requests ──


def test_a_token_without_the_scope_is_told_which(site: House, address: str) -> None:
    token = make(site, "cases")
    assert Client(address).get("/api/v1/cases", **by(token)).status == 200
    answer = Client(address).json("POST", "/api/v1/cases/A1/anchors", {"text": "x"}, **by(token))
    assert answer.status == 403
    assert "without the scope steer" in answer.text


def test_a_token_ends_while_it_is_in_use(site: House, address: str) -> None:
    token = make(site, "cases")
    site.tokens.revoke("ris", site.now())
    answer = Client(address).get("/api/v1/cases", **by(token))
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(site: House, address: str) -> None:
    wrong = [Client(address).get("/api/v1/cases", **by(f"radplug_{n}")) for n in range(FREE_TRIES + 2)]
    assert [answer.status for answer in wrong] == [401] * FREE_TRIES + [429] * 2
    assert int(wrong[-1].headers["retry-after"]) >= 1
    assert Client(address).get("/api/v1/cases", **by(make(site, "cases"))).status == 200
    assert Client(address).sign_in("it").status == 303  # people's own tries are counted apart
    refused = sa.select(sa.func.count()).where(audit.c.event == "token refused")
    with site.database.reading() as connection:
        assert connection.scalar(refused) == FREE_TRIES


def test_a_request_with_a_token_needs_no_page_of_ours(site: House, address: str) -> None:
    token = make(site, "steer")
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://viewer.example"}
    path, body = "/api/v1/cases/A1/anchors", {"text": "Normal heart."}
    assert Client(address).json("POST", path, body, **by(token, **elsewhere)).status == 202
    signed_in = Client(address)
    signed_in.sign_in("radiologist")
    assert signed_in.json("POST", path, body, **elsewhere).status == 403


def test_a_wrong_token_is_not_saved_by_a_session(address: str) -> None:
    signed_in = Client(address)
    signed_in.sign_in("radiologist")
    answer = signed_in.json("POST", "/api/v1/cases/A1/anchors", {"text": "x"}, **by("radplug_wrong"))
    assert answer.status == 401


def test_what_a_token_listens_to_ends_with_it(site: House, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "STILL_THERE_EVERY", 0.2)
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    connection.request("GET", "/api/v1/changes", headers=by(make(site, "cases")))
    answer = connection.getresponse()
    assert answer.readline() == b"event: change\n"
    site.tokens.revoke("ris", site.now())
    assert answer.read().endswith(b"event: over\ndata: 0\n\n")
    connection.close()


def test_every_right_is_a_scope() -> None:
    assert set(SCOPES.values()) == set(Right)
