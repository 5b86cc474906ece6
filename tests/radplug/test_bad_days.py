"""Processes killed outright, destinations away: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa
import tiny_checkpoint
from peers import free_port, tool, wait_until
from sites import hospital

from radplug.acceptance.returned import ReturnedSr
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.clock import BellBroken
from radplug.domain import CaseState, DeliveryState
from radplug.embedded_redis import EmbeddedRedis
from radplug.records.schema import cases, instances
from radplug.worker import CeleryDoorbell

SLOW = 400  # denoising steps: long enough to be killed in the middle


@pytest.fixture(scope="module")
def quick_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint.write(tmp_path_factory.mktemp("quick"), canvas_length=256, steps=2)


def test_a_worker_killed_in_the_middle_of_a_draft_is_replaced_and_the_draft_arrives_once(
    tmp_path: Path,
) -> None:
    slow_model = tiny_checkpoint.write(tmp_path / "slow", canvas_length=256, steps=SLOW)
    with hospital(tmp_path, slow_model) as site:
        study, house = site.study("killed"), site.running.house

        def owner() -> str:
            with house.database.reading() as connection:
                held = sa.select(cases.c.lease_owner).where(cases.c.lease_until.is_not(None))
                return connection.scalar(held) or ""

        site.send(*study.files)
        wait_until(owner, 30, "a worker has taken the case")
        first = owner()
        os.kill(int(first.split(":")[1]), signal.SIGKILL)
        wait_until(lambda: owner() not in ("", first), 60, "another worker has taken the case")
        case = site.wait_for(study, CaseState.DELIVERED, 1, 120)
        assert case.attempts == 2
        assert len(site.pacs.received) == len(site.ris.received) == 1


def test_the_listener_killed_in_the_middle_of_a_study_is_known_to_the_sender_and_the_resend_completes_the_case(
    tmp_path: Path, quick_model: Path
) -> None:
    storescu = tool("storescu")
    with hospital(tmp_path, quick_model) as site:
        study, house = site.study("interrupted", views=12), site.running.house
        command = [storescu, "-aet", "STORESCU", "-aec", "RADPLUG", "127.0.0.1", str(site.listener.port)]

        def received() -> int:
            with house.database.reading() as connection:
                return connection.scalar(sa.select(sa.func.count()).select_from(instances)) or 0

        environment = {**os.environ, "TCP_NODELAY": "1"}
        sender = subprocess.Popen([*command, *map(str, study.files)], env=environment, stderr=subprocess.PIPE)
        wait_until(received, 30, "the first instance")
        os.kill(site.running.pid("listener"), signal.SIGKILL)
        sender.communicate(timeout=60)
        assert sender.returncode != 0
        assert 0 < received() < 12
        wait_until(lambda: _answers(site.listener.port), 60, "the listener is back")
        subprocess.run([*command, *map(str, study.files)], check=True, env=environment)
        assert received() == 12
        wait_until(lambda: (case := site.case(study)) and case.state is CaseState.DELIVERED, 60, "delivered")
        case = site.case(study)
        assert case is not None
        assert case.instances == 12
        assert not list(house.store.root.rglob("*.part"))


def _answers(port: int) -> bool:
    return subprocess.run(["echoscu", "-aet", "STORESCU", "-aec", "RADPLUG", "127.0.0.1", str(port)]).returncode == 0


def pacs_toml(name: str, ae_title: str, port: int) -> str:
    return f'[[pacs]]\nname = "{name}"\nae_title = "{ae_title}"\nhost = "127.0.0.1"\nport = {port}\n'


def test_a_destination_that_is_away_holds_up_no_other_and_gets_the_same_document_later(
    tmp_path: Path, quick_model: Path
) -> None:
    port = free_port()
    with SimulatedPacs("GOOD", tmp_path / "good") as good:
        destinations = pacs_toml("away", "AWAY", port) + pacs_toml("good", "GOOD", good.port)
        with hospital(tmp_path, quick_model, "longest_retry_seconds = 1", destinations) as site:
            study, house = site.study("away"), site.running.house
            site.send(*study.files)
            assert good.wait_for(1, 60)
            case = site.wait_for(study, CaseState.DRAFTED, 1)
            with SimulatedPacs("AWAY", tmp_path / "back", port) as back:
                assert back.wait_for(1, 60)
                site.wait_for(study, CaseState.DELIVERED, 1)
            sent, late = (ReturnedSr.read(pacs.received[0]) for pacs in (good, back))
            assert sent.sop_instance_uid == late.sop_instance_uid
            assert len(good.received) == len(back.received) == 1
            assert {d.destination: d.state for d in house.viewing.deliveries(case.id)} == {
                "away": DeliveryState.DELIVERED,
                "good": DeliveryState.DELIVERED,
            }


def test_a_refused_document_becomes_a_dead_letter_that_can_be_resent(tmp_path: Path, quick_model: Path) -> None:
    port = free_port()
    with hospital(tmp_path, quick_model, destinations=pacs_toml("strict", "EXPECTED", port)) as site:
        study, house = site.study("refused"), site.running.house
        with SimulatedPacs("SOMEBODY", tmp_path / "wrong", port):
            site.send(*study.files)
            wait_until(house.viewing.dead_letters, 60, "a dead letter")
        (letter,) = house.viewing.dead_letters()
        assert "EXPECTED" in letter.outcome
        command = [sys.executable, "-m", "radplug.cli", "--config", str(tmp_path / "radplug.toml"), "resend"]
        with SimulatedPacs("EXPECTED", tmp_path / "right", port) as right:
            told = subprocess.run([*command, letter.case_id], check=True, capture_output=True, text=True).stdout
            assert "1 dead letter put back" in told
            site.wait_for(study, CaseState.DELIVERED, 1)
            assert ReturnedSr.read(right.received[0]).sop_instance_uid == letter.document.id


def test_with_a_redis_of_the_site_stopping_is_clean_and_nothing_is_forgotten(tmp_path: Path, quick_model: Path) -> None:
    with EmbeddedRedis() as broker, hospital(tmp_path, quick_model, f'[broker]\nurl = "{broker.url}"') as site:
        study = site.study("stopped")
        site.send(*study.files)
        assert site.running.stop() == 0
        assert site.running.house.stations.all() == ()
        with site.running:
            site.wait_for(study, CaseState.DELIVERED, 1)
        assert len(site.pacs.received) == 1


def test_a_redis_that_hangs_does_not_hold_the_clock() -> None:
    with EmbeddedRedis() as broker, redis.Redis.from_url(broker.url) as client:
        bell = CeleryDoorbell(broker.url)
        bell.draft("one", awaited=False)
        client.client_pause(20_000)  # it takes what it is sent, and answers nobody
        with pytest.raises(BellBroken):
            bell.draft("other", awaited=False)
