"""The queue `interactive`: who waits at a screen goes before studies that wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import tiny_checkpoint
from browsers import Client, with_accounts
from houses import house_at, send_study
from peers import wait_until

from radplug import pipeline
from radplug.domain import CaseState
from radplug.embedded_redis import EmbeddedRedis
from radplug.people import Role
from radplug.web.serving import serving
from radplug.wiring import House
from radplug.worker import DRAFT, INTERACTIVE, REDRAFT, CeleryDoorbell

STEPS = 40  # of denoising: a draft takes longer than a look at the rows


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    slow = tiny_checkpoint.write(tmp_path / "slow", canvas_length=256, steps=STEPS)
    made = with_accounts(house_at(tmp_path, slow, web={"port": 0}, drafting={"assume_body_part": "CHEST"}))
    yield made
    made.database.close()


def test_an_edits_redraft_is_taken_before_a_draft_that_waited_first(house: House, tmp_path: Path) -> None:
    edited = send_study(house, tmp_path / "edited")
    pipeline.draft(house, edited.id, "worker")
    waiting = send_study(house, tmp_path / "waiting", 1_000_000_002)
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as queues:
        bell = CeleryDoorbell(server.url)
        bell.draft(waiting.id, awaited=False)
        with serving(house, bell) as address:
            radiologist = Client(address)
            radiologist.sign_in(Role.RADIOLOGIST)
            path = f"/api/v1/cases/{edited.id}/anchors"
            assert radiologist.json("POST", path, {"text": "No effusion.", "section": "FINDINGS"}).status == 200
        (rung,) = queues.lrange(INTERACTIVE, 0, -1)
        assert json.loads(rung)["headers"]["task"] == f"radplug.{REDRAFT}"
        assert queues.llen(DRAFT) == 1

        worker = start_worker(house, tmp_path, server.url)
        try:
            wait_until(lambda: house.desks.of(edited.id, house.now()).edit.text, 60, "the redraft")
            assert house.viewing.case(waiting.id).state not in (CaseState.DRAFTED, CaseState.DELIVERED)
            wait_until(lambda: house.viewing.drafts(waiting.id), 60, "the draft that waited")
        finally:
            worker.terminate()
            worker.wait(30)


def start_worker(house: House, folder: Path, broker: str) -> subprocess.Popen[bytes]:
    config = folder / "radplug.toml"
    store, model = house.settings.store.data, house.settings.model.checkpoint
    config.write_text(
        f'[store]\ndata = "{store}"\n[model]\ncheckpoint = "{model}"\nthreads = 1\n'
        '[drafting]\nassume_body_part = "CHEST"\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "radplug.cli", "--config", str(config), "work", "draft"]
    return subprocess.Popen(command, env={**os.environ, "RADPLUG_BROKER__URL": broker}, stderr=subprocess.DEVNULL)
