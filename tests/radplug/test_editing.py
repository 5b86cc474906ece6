"""Editing through the whole house: the page's station, the queue and the worker are processes of their own."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from browsers import Client
from peers import wait_until
from sites import hospital

from radplug.domain import CaseState
from radplug.models import DEMO_CHECKPOINT
from radplug.people import Role


def test_a_phrase_is_pinned_and_the_worker_drafts_around_it(tmp_path: Path) -> None:
    with hospital(tmp_path, DEMO_CHECKPOINT) as site:
        study, house = site.study("study"), site.running.house
        site.send(*study.files)
        case = site.wait_for(study, CaseState.DELIVERED, 1)
        house.people.add_without_password("maria", Role.RADIOLOGIST, house.now())
        link = house.people.link("maria", house.now() + timedelta(minutes=1))
        client = Client(next(station.detail for station in house.stations.all() if station.name == "web"))
        assert client.get(f"/sign-in/{link}").status == 303
        path, phrase = f"/api/v1/cases/{case.accession_number}", "Small right pleural effusion, ünchanged."
        pinned = client.json("POST", f"{path}/anchors", {"section": "FINDINGS", "text": phrase})
        assert (pinned.status, json.loads(pinned.text)["drafting"]) == (200, True)

        def told() -> dict[str, object]:
            found: dict[str, object] = json.loads(client.json("GET", f"{path}/desk").text)
            return found

        wait_until(lambda: not told()["drafting"], 30, lambda: f"a text; the desk is {told()}")
        assert phrase in json.dumps(told()["sections"], ensure_ascii=False)
        assert house.viewing.case(case.id).version == 1
        log = (tmp_path / "radplug.log").read_text()
        assert "effusion" not in log
        assert "Phantom^" not in log
