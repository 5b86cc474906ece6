"""Several cases in one batch: together at the model, each by itself in everything else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import tiny_checkpoint
from houses import house_at, send_study
from peers import wait_until
from received_images import image, receive

from model_runtime.errors import UnusableCheckpoint
from radplug import clock, pipeline
from radplug.domain import Case, CaseState, Dictation
from radplug.embedded_redis import EmbeddedRedis
from radplug.lease_keeper import LeaseKeeper
from radplug.records.moves import move
from radplug.records.schema import cases
from radplug.wiring import House
from radplug.worker import CeleryDoorbell

SLOW = 60  # denoising steps: long enough for what happens meanwhile


def three(house: House, folder: Path) -> list[Case]:
    """Complete cases that wait, the first since longest."""
    return [send_study(house, folder / f"study-{number}", 1_000_000_000 + number) for number in range(3)]


def state_of(house: House, *of: Case) -> list[CaseState]:
    return [house.viewing.case(case.id).state for case in of]


def batches(house: House, *of: Case) -> list[int]:
    """With how many cases each was drafted, over all its drafts."""
    events = [event for case in of for event in house.viewing.events(case.id)]
    return [int(str(event.detail["batch"])) for event in events if event.event == "drafted"]


def dictate(house: House, case: Case, section: str = "FINDINGS", text: str = "clear") -> None:
    house.receiving.add_dictation(Dictation(section, text, "test", house.now(), case.accession_number))


# ── who is drafted together ──


def test_what_waits_is_drafted_in_one_batch_and_rung_for_in_vain_after_that(
    build: Callable[..., House], tmp_path: Path
) -> None:
    house = build()
    waiting = three(house, tmp_path)
    for case in waiting:
        pipeline.draft(house, case.id, "worker")
    assert batches(house, *waiting) == [3, 3, 3]
    assert len({house.viewing.drafts(case.id)[0].images[0].file for case in waiting}) == 3


def test_a_batch_is_no_larger_than_the_site_wants(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(drafting={"batch": 2})
    first, second, third = three(house, tmp_path)
    pipeline.draft(house, second.id, "worker")
    assert state_of(house, first, second, third) == [CaseState.DELIVERED, CaseState.DELIVERED, CaseState.COMPLETE]


def test_a_case_that_a_radiologist_waits_for_is_drafted_at_once_and_alone(
    build: Callable[..., House], tmp_path: Path
) -> None:
    house = build()
    waiting = three(house, tmp_path)
    pipeline.draft_at_once(house, waiting[2].id, "worker")
    assert batches(house, *waiting) == [1]
    assert state_of(house, *waiting)[2] is CaseState.DELIVERED


@pytest.fixture
def quiet(house: House) -> list[Case]:
    """Three cases whose studies are complete, on a database of each kind; the last one's phrases were dictated."""
    for number in range(3):
        receive(house, image(study_uid=f"1.2.{number}", accession_number=f"A{number}"))
        at = house.now() + timedelta(seconds=20 + number)
        (case,) = (case for case in house.viewing.cases() if case.study_uid == f"1.2.{number}")
        house.drafting.close(case.id, at)
    house.__dict__["now"] = lambda at=at: at
    found = sorted(house.viewing.cases(), key=lambda case: case.study_uid)
    dictate(house, found[2])
    return found


def test_dictated_cases_come_first_then_who_waits_longest(house: House, quiet: list[Case]) -> None:
    first, second, awaited = (case.id for case in quiet)
    assert house.drafting.waiting(house.now(), 2) == [awaited, first]
    assert house.drafting.waiting(house.now(), 9) == [awaited, first, second]


def test_cases_that_are_taken_or_were_tried_before_join_no_batch(house: House, quiet: list[Case]) -> None:
    first, second, awaited = (case.id for case in quiet)
    house.drafting.lease(first, "other", house.now(), house.now() + timedelta(seconds=5))
    failed = house.drafting.lease(second, "other", house.now(), house.now() + timedelta(seconds=5))
    assert failed
    house.drafting.release(failed, house.now(), "something went wrong")
    assert house.drafting.waiting(house.now(), 9) == [awaited]


def test_the_clock_rings_at_the_radiologists_door_for_dictated_cases(house: House, quiet: list[Case]) -> None:
    rung: list[tuple[str, bool]] = []

    class Bell:
        def draft(self, case_id: str, *, awaited: bool) -> None:
            rung.append((case_id, awaited))

        def deliver(self, case_id: str) -> None:
            raise AssertionError("nothing is to be delivered")

    clock.tick(house, Bell())
    assert sorted(rung) == sorted(zip([case.id for case in quiet], [False, False, True], strict=True))


# ── each by itself ──


def test_what_is_wrong_with_one_case_costs_no_other_its_draft(build: Callable[..., House], tmp_path: Path) -> None:
    house = build()
    good, refused, broken = three(house, tmp_path)
    dictate(house, refused, section="LUNGS")
    folder = house.store.case_folder(broken.id, 1)
    folder.rmdir()
    folder.write_text("a file where the images are to go")
    pipeline.draft(house, good.id, "worker")
    assert state_of(house, good, refused, broken) == [CaseState.DELIVERED, CaseState.NOT_DRAFTED, CaseState.COMPLETE]
    assert "no section" in house.viewing.case(refused.id).reason
    assert "while drafting" in house.viewing.case(broken.id).reason
    folder.unlink()
    pipeline.draft(house, broken.id, "worker")  # it was given back at once, not after its lease
    assert batches(house, broken) == [1]


def test_of_a_batch_only_the_case_that_a_late_image_has_overtaken_is_thrown_away(
    build: Callable[..., House], tmp_path: Path
) -> None:
    house = build()
    waiting = three(house, tmp_path)
    compose = house.documents.compose

    def compose_slowly(case: Case, *arguments: Any) -> Any:
        if case.id == waiting[1].id:
            with house.database.writing() as connection:
                move(connection, case.id, CaseState.RECEIVING, fence=99)
        return compose(case, *arguments)

    house.documents.compose = compose_slowly  # type: ignore[method-assign]
    pipeline.draft(house, waiting[0].id, "worker")
    assert state_of(house, *waiting) == [CaseState.DELIVERED, CaseState.RECEIVING, CaseState.DELIVERED]
    assert house.viewing.drafts(waiting[1].id) == ()


def test_a_batch_that_fails_as_a_whole_is_given_back_and_tried_again_one_by_one(
    build: Callable[..., House], tmp_path: Path, model: Path
) -> None:
    weightless = tmp_path / "weightless"
    shutil.copytree(model, weightless, ignore=shutil.ignore_patterns("*.safetensors"))
    house = build(model={"checkpoint": weightless})
    waiting = three(house, tmp_path)
    with pytest.raises(UnusableCheckpoint):
        pipeline.draft(house, waiting[0].id, "worker")
    assert {house.viewing.case(case.id).reason.split()[0] for case in waiting} == {"UnusableCheckpoint"}
    mended = build()
    for case in waiting:
        pipeline.draft(mended, case.id, "worker")
    assert batches(mended, *waiting) == [1, 1, 1]


def test_a_case_that_is_tried_again_takes_nobody_along(build: Callable[..., House], tmp_path: Path) -> None:
    house = build()
    tried, *untried = three(house, tmp_path)
    lease = house.drafting.lease(tried.id, "other", house.now(), house.now() + timedelta(seconds=5))
    assert lease
    house.drafting.release(lease, house.now(), "something went wrong")
    pipeline.draft(house, tried.id, "worker")
    assert batches(house, tried) == [1]
    assert state_of(house, *untried) == [CaseState.COMPLETE, CaseState.COMPLETE]


def test_leases_are_extended_side_by_side_until_given_back(house: House, quiet: list[Case]) -> None:
    length = timedelta(seconds=0.2)
    del house.__dict__["now"]

    def held_until(case: Case) -> datetime | None:
        with house.database.reading() as connection:
            found: datetime | None = connection.scalar(sa.select(cases.c.lease_until).where(cases.c.id == case.id))
        return found

    first, second = (house.drafting.lease(c.id, "w", house.now(), house.now() + length) for c in quiet[:2])
    assert first
    assert second
    begin = house.now()
    with LeaseKeeper(house.drafting, [first, second], length, timedelta(seconds=5), house.now) as keeper:
        for case in quiet[:2]:
            wait_until(lambda case=case: (held_until(case) or begin) > begin + 2 * length, 10, "the lease is extended")
        with keeper.by_itself(first):
            raise OSError("the disk is full")
        given_back = house.now()
        wait_until(lambda: (held_until(quiet[1]) or begin) > given_back + 2 * length, 10, "the other is extended")
        assert held_until(quiet[0]) is None
    assert "OSError" in house.viewing.case(quiet[0].id).reason


# ── the worker's process ──


@dataclass(frozen=True)
class Site:
    """A draft worker with a slow model and a real Redis; the clock is the test's."""

    house: House
    bell: CeleryDoorbell


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("site")
    checkpoint = tiny_checkpoint.write(root / "slow", canvas_length=256, steps=SLOW)
    with EmbeddedRedis() as redis:
        house = house_at(root, checkpoint)
        config = root / "radplug.toml"
        config.write_text(
            f'[store]\ndata = "{house.settings.store.data}"\nkeep_free_mib = 1\n[broker]\nurl = "{redis.url}"\n'
            f'[model]\ncheckpoint = "{checkpoint}"\nthreads = 1\n'
            "[drafting]\nbatch = 3\ngather_milliseconds = 0\nlease_seconds = 1.5\n"
        )
        process = subprocess.Popen([sys.executable, "-m", "radplug.cli", "--config", str(config), "work", "draft"])
        yield Site(house, CeleryDoorbell(redis.url))
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        house.database.close()


def owners(house: House, of: Sequence[Case]) -> set[str]:
    """Who drafts the cases now; nobody where not all of them are taken."""
    with house.database.reading() as connection:
        held = sa.select(cases.c.lease_owner).where(
            cases.c.id.in_([case.id for case in of]), cases.c.lease_until.is_not(None)
        )
        found = connection.scalars(held).all()
    return set(found) if len(found) == len(of) else set()


def test_who_waits_at_a_screen_goes_before_all_that_waited_longer(site: Site, tmp_path: Path) -> None:
    house, bell = site.house, site.bell
    present = send_study(house, tmp_path / "present", 1_000_000_010)
    waiting, awaited = three(house, tmp_path), send_study(house, tmp_path / "awaited", 1_000_000_011)
    bell.draft(present.id, awaited=True)  # else the worker would take waiting ones along
    wait_until(lambda: owners(house, [present]), 60, "the worker is busy")
    for case in waiting:
        bell.draft(case.id, awaited=False)
    bell.draft(awaited.id, awaited=True)
    assert state_of(house, present) == [CaseState.COMPLETE]  # still
    wait_until(lambda: len(batches(house, present, awaited, *waiting)) == 5, 60, "all are drafted")
    drafted_at = {case.id: house.viewing.drafts(case.id)[0].drafted_at for case in (present, awaited, *waiting)}
    assert sorted(drafted_at, key=drafted_at.__getitem__)[:2] == [present.id, awaited.id]
    assert batches(house, present, awaited, *waiting) == [1, 1, 3, 3, 3]


def test_a_worker_killed_in_the_middle_of_a_batch_loses_none_of_it_and_drafts_each_once(
    site: Site, tmp_path: Path
) -> None:
    house, bell = site.house, site.bell
    waiting = three(house, tmp_path)
    bell.draft(waiting[0].id, awaited=False)
    wait_until(lambda: owners(house, waiting), 60, "the worker has taken all of them")
    (owner,) = owners(house, waiting)
    os.kill(int(owner.split(":")[1]), signal.SIGKILL)

    def all_drafted() -> bool:
        clock.tick(house, bell)
        return len(batches(house, *waiting)) == 3

    wait_until(all_drafted, 60, "another worker has drafted them")
    assert [house.viewing.case(case.id).attempts for case in waiting] == [2, 2, 2]
    assert [len(house.viewing.drafts(case.id)) for case in waiting] == [1, 1, 1]
    assert batches(house, *waiting) == [1, 1, 1]  # any of them may have been what killed the worker
