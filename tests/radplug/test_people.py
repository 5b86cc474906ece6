"""Who may sign in: passwords, sessions that end, links that work once; on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from radplug.people import RIGHTS, Person, Right, Role, SessionLife
from radplug.records.people import BadAccount
from radplug.records.schema import accounts, links, sessions
from radplug.wiring import House

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LIFE = SessionLife(timedelta(minutes=20), timedelta(hours=10))
MARIA = Person("maria", Role.RADIOLOGIST)
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def maria(house: House) -> None:
    house.people.add("maria", Role.RADIOLOGIST, PASSWORD, NOW)


def test_who_knows_the_password_is_known(house: House) -> None:
    assert house.people.known("maria", PASSWORD) == MARIA
    assert house.people.known("maria", PASSWORD + " ") is None
    assert house.people.known("mario", PASSWORD) is None
    assert house.people.known("maria", "") is None


def test_nobody_knows_the_password_of_an_account_without_one(house: House) -> None:
    house.people.add_without_password("demo", Role.RADIOLOGIST, NOW)
    assert house.people.known("demo", "") is None


@pytest.mark.parametrize(
    ("name", "password"),
    [("", PASSWORD), ("x" * 65, PASSWORD), ("a\nb", PASSWORD), ("max", "short"), ("max", "x" * 1025)],
)
def test_accounts_that_are_refused(house: House, name: str, password: str) -> None:
    with pytest.raises(BadAccount, match="characters"):
        house.people.add(name, Role.IT, password, NOW)
    assert house.people.all() == [MARIA]


def test_a_session_lives_while_its_person_does_something(house: House) -> None:
    secret = house.people.begin(MARIA, NOW)
    at = NOW
    for _ in range(29):
        at += timedelta(minutes=20, seconds=-1)
        assert house.people.whose(secret, at, LIFE) == MARIA
        house.people.seen(secret, at)
    assert house.people.whose(secret, at + LIFE.idle, LIFE) is None  # nothing was done
    house.people.seen(secret, NOW + LIFE.at_most)
    assert house.people.whose(secret, NOW + LIFE.at_most, LIFE) is None  # whatever was done


def test_a_session_ends_by_signing_out_and_by_a_new_password(house: House) -> None:
    first, second = house.people.begin(MARIA, NOW), house.people.begin(MARIA, NOW)
    house.people.end(first)
    assert house.people.whose(first, NOW, LIFE) is None
    assert house.people.whose(second, NOW, LIFE) == MARIA
    house.people.add("maria", Role.TECHNOLOGIST, "another good password", NOW)
    assert house.people.whose(second, NOW, LIFE) is None
    assert house.people.known("maria", "another good password") == Person("maria", Role.TECHNOLOGIST)


def test_what_has_ended_is_deleted(house: House) -> None:
    old, fresh = house.people.begin(MARIA, NOW - LIFE.idle), house.people.begin(MARIA, NOW)
    house.people.link("maria", NOW)
    house.people.end_old(NOW, LIFE)
    assert house.people.whose(fresh, NOW, LIFE) == MARIA
    assert house.people.whose(old, NOW - LIFE.idle, LIFE) is None
    with house.database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(links)) == 0


def test_a_link_signs_in_once_and_in_time(house: House) -> None:
    secret, late = (house.people.link("maria", NOW + timedelta(minutes=10)) for _ in range(2))
    assert house.people.redeem(secret, NOW) == MARIA
    assert house.people.redeem(secret, NOW) is None
    assert house.people.redeem(late, NOW + timedelta(minutes=10)) is None


def test_the_database_holds_no_secret(house: House) -> None:
    secrets = [house.people.begin(MARIA, NOW), house.people.link("maria", NOW + timedelta(minutes=10)), PASSWORD]
    with house.database.reading() as connection:
        rows = [str(row) for table in (accounts, sessions, links) for row in connection.execute(sa.select(table))]
    assert len(rows) == 3
    assert not any(secret in row for secret in secrets for row in rows)


def test_every_role_has_its_rights() -> None:
    assert set(RIGHTS) == set(Role)
    assert Right.REPORTS not in RIGHTS[Role.TECHNOLOGIST]
    assert Right.PATIENTS not in RIGHTS[Role.IT]
    assert [role for role in Role if Right.STEER in RIGHTS[role]] == [Role.RADIOLOGIST]
