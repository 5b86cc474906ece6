"""When a study counts as complete: quiet time, hard cap, expected series; deadlines are rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from received_images import image, receive

from radplug import clock, pipeline
from radplug.completeness import Because
from radplug.domain import CaseState, StaleWork
from radplug.records.database import Database
from radplug.wiring import House

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Bell:
    """Notes for whom it rang."""

    def __init__(self) -> None:
        self.drafts: list[str] = []
        self.deliveries: list[str] = []
        self.broken = False

    def draft(self, case_id: str, *, awaited: bool) -> None:
        if self.broken:
            raise clock.BellBroken("no broker")
        self.drafts.append(case_id)

    def deliver(self, case_id: str) -> None:
        self.deliveries.append(case_id)


@pytest.fixture
def at(house: House) -> object:
    """Sets the house's clock, in seconds after START."""

    def set_clock(seconds: float) -> None:
        house.__dict__["now"] = lambda: START + timedelta(seconds=seconds)

    set_clock(0)
    return set_clock


def state(house: House) -> CaseState:
    (case,) = house.viewing.cases()
    return case.state


def test_a_study_closes_after_the_quiet_time_and_each_image_starts_it_anew(house: House, at: object) -> None:
    bell = Bell()
    receive(house, image())
    at(9)
    receive(house, image())
    at(18)
    clock.tick(house, bell)
    assert state(house) is CaseState.RECEIVING
    at(19)
    clock.tick(house, bell)
    assert state(house) is CaseState.COMPLETE
    assert bell.drafts == [house.viewing.cases()[0].id]


def test_a_study_that_never_pauses_closes_at_its_hard_cap(house: House, at: object) -> None:
    for second in range(0, 100, 5):
        at(second)
        receive(house, image())
        clock.tick(house, Bell())
        assert state(house) is CaseState.RECEIVING
    at(100)
    receive(house, image())
    clock.tick(house, Bell())
    assert state(house) is CaseState.COMPLETE
    assert house.viewing.cases()[0].complete_because is Because.TIME_OUT


@pytest.mark.parametrize(("series", "closes_at"), [(2, 10), (1, 100)])
def test_expected_series_are_waited_for_until_the_hard_cap(
    house: House, at: object, series: int, closes_at: int
) -> None:
    house.__dict__["policy"] = replace(house.policy, expected_series={"DX": 2})
    for number in range(series):
        receive(house, image(series_uid=f"1.2.3.{number}"))
    at(closes_at - 0.1)
    clock.tick(house, Bell())
    assert state(house) is CaseState.RECEIVING
    at(closes_at)
    clock.tick(house, Bell())
    assert state(house) is CaseState.COMPLETE


def test_a_restart_forgets_no_deadline(house: House, at: object) -> None:
    receive(house, image())
    house.database.close()
    after = House(house.settings, "after")
    after.__dict__["now"] = lambda: START + timedelta(seconds=10)
    clock.tick(after, Bell())
    assert state(after) is CaseState.COMPLETE
    after.database.close()


def test_the_clock_rings_once_and_again_only_if_nobody_comes(house: House, at: object) -> None:
    bell = Bell()
    receive(house, image())
    for second in (10, 11, 60):
        at(second)
        clock.tick(house, bell)
    assert len(bell.drafts) == 1
    at(70.1)
    clock.tick(house, bell)
    assert len(bell.drafts) == 2


def test_a_worker_that_fails_faster_than_the_clock_notes_its_ringing_is_followed_by_another(
    house: House, at: object
) -> None:
    again = START + timedelta(seconds=15)

    class Door(Bell):
        def draft(self, case_id: str, *, awaited: bool) -> None:
            lease = house.drafting.lease(case_id, "quick", house.now(), house.now() + timedelta(seconds=5))
            assert lease
            house.drafting.release(lease, again, "something went wrong")

    receive(house, image())
    at(10)
    clock.tick(house, Door())
    (due,) = house.drafting.due_to_draft(again)
    assert house.viewing.case(due.case_id).attempts == 1


def test_while_the_queue_is_away_nothing_is_forgotten(house: House, at: object) -> None:
    bell = Bell()
    bell.broken = True
    receive(house, image())
    at(10)
    with pytest.raises(clock.BellBroken):
        clock.tick(house, bell)
    assert state(house) is CaseState.COMPLETE
    bell.broken = False
    clock.tick(house, bell)
    assert len(bell.drafts) == 1


def test_an_image_that_comes_while_closing_keeps_the_study_open(house: House, at: object) -> None:
    receive(house, image())
    (case,) = house.viewing.cases()
    at(10)
    receive(house, image())
    with pytest.raises(StaleWork):
        house.drafting.close(case.id, house.now())
    pipeline.close(house, case.id)  # the stage itself lets it be
    assert state(house) is CaseState.RECEIVING


def test_a_lease_keeps_others_away_until_it_runs_out(house: House, at: object) -> None:
    receive(house, image())
    at(10)
    clock.tick(house, Bell())
    (case,) = house.viewing.cases()
    first = house.drafting.lease(case.id, "a", house.now(), house.now() + timedelta(seconds=5))
    assert first
    at(14)
    assert house.drafting.lease(case.id, "b", house.now(), house.now() + timedelta(seconds=5)) is None
    bell = Bell()
    clock.tick(house, bell)
    assert not bell.drafts
    at(15)
    clock.tick(house, bell)
    assert bell.drafts == [case.id]
    second = house.drafting.lease(case.id, "b", house.now(), house.now() + timedelta(seconds=5))
    assert second
    assert second.fence > first.fence
    assert not house.drafting.extend(first, house.now() + timedelta(seconds=5))
    with pytest.raises(StaleWork):
        house.drafting.set_aside(first, CaseState.FAILED, "too late")


def test_a_newer_database_is_told_apart(database_url: str) -> None:
    database = Database(database_url)
    assert not database.is_current()
    database.migrate()
    assert database.is_current()
    database.migrate()  # again: nothing to do
    database.close()
