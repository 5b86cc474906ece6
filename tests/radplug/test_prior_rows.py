"""Rows of earlier studies, in each kind of database: what a draft waits for, and what it is supplied with."""

from __future__ import annotations

from datetime import date, timedelta

from houses import add_cases
from received_images import IMAGE

from radplug.domain import StoredFile
from radplug.priors import Prior, PriorState
from radplug.records.comparing import search_anew
from radplug.wiring import House

CASE = "0" * 12
SOON = timedelta(seconds=20)


def searching(house: House) -> House:
    add_cases(house, 1)
    with house.database.writing() as connection:
        search_anew(connection, CASE, house.now(), house.now() + SOON)
    assert house.comparing.begin(CASE, house.now()) is not None
    return house


def prior(uid: str, state: PriorState, taken_on: date | None = date(2026, 3, 4)) -> Prior:
    return Prior(uid, "pacs", state, "", taken_on, "DX", "Chest", "No nodule.", (IMAGE,))


def put(house: House, *priors: Prior) -> None:
    for each in priors:
        house.comparing.put(CASE, each, house.now())


def test_one_looks_for_them_and_no_other(house: House) -> None:
    searching(house)
    assert house.comparing.begin(CASE, house.now()) is None
    assert house.comparing.due(house.now() + timedelta(seconds=1)) == []


def test_a_draft_takes_what_is_here_and_what_comes_later_is_late(house: House) -> None:
    searching(house)
    put(house, prior("1.1", PriorState.COMING), prior("1.2", PriorState.HERE, date(2025, 3, 4)))
    put(house, prior("1.3", PriorState.HERE), prior("", PriorState.LEFT_OUT, None))
    (taken,) = house.comparing.take(CASE, 1)
    assert taken == prior("1.3", PriorState.SUPPLIED)
    put(house, prior("1.1", PriorState.HERE))
    assert [(each.study_uid, each.state, each.why) for each in house.viewing.priors(CASE)] == [
        ("1.1", PriorState.LEFT_OUT, "it did not come in time"),
        ("1.3", PriorState.SUPPLIED, ""),
        ("1.2", PriorState.LEFT_OUT, "the model reads no more than 1 earlier report"),
        ("", PriorState.LEFT_OUT, ""),
    ]
    assert house.comparing.take(CASE, 1) == (taken,)


def test_an_instance_is_kept_once(house: House) -> None:
    stored = StoredFile("a", "studies/a.dcm", "", 1)
    assert house.comparing.add(IMAGE, stored, house.now())
    assert not house.comparing.add(IMAGE, stored, house.now())
    assert [kept.instance for kept in house.comparing.instances(IMAGE.study_uid)] == [IMAGE]
