"""Several models at one site: the rules say which of them drafts which case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_checkpoint
import torch
from houses import ruled, send_study
from typer.testing import CliRunner

from model_runtime.checkpoints.checkpoint import fingerprint_of, load
from model_runtime.errors import UnusableCheckpoint
from model_runtime.training.adapter import new_adapter, save_adapter
from radplug import pipeline
from radplug.cli import app
from radplug.desk import Phrase
from radplug.doctor import examine
from radplug.domain import Case, CaseState, Draft
from radplug.wiring import House

RULE = '[[rule]]\nname = "thorough"\nmodel = "slow"\nwhen.descriptions = ["{words}"]\n'


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another checkpoint: by its card, and so by its fingerprint."""
    return tiny_checkpoint.write(tmp_path_factory.mktemp("slow"), canvas_length=256, steps=3)


@pytest.fixture(scope="module")
def adapter(slow: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    loaded, directory = load(slow, "cpu"), tmp_path_factory.mktemp("adapter")
    for parameter in new_adapter(loaded, "chest"):
        torch.nn.init.normal_(parameter, std=0.3)
    save_adapter(loaded, "chest", directory, version="1", purpose="tests", training={})
    return directory


def further(checkpoint: Path, *adapters: Path, name: str = "slow") -> dict[str, Any]:
    return {"further_model": [{"name": name, "checkpoint": checkpoint, "adapters": adapters}]}


def draft_of(house: House, case: Case) -> Draft:
    (draft,) = house.viewing.drafts(case.id)
    return draft


def test_each_case_of_a_batch_is_drafted_by_the_model_that_its_rule_names(
    build: Callable[..., House], tmp_path: Path, model: Path, slow: Path
) -> None:
    house = build(**further(slow), **ruled(tmp_path, RULE.format(words="*")))
    chosen = [send_study(house, tmp_path / f"chosen{number}") for number in range(2)]
    house.saved_rules.save(
        "rules", RULE.format(words="nothing"), on=house.past_rules.newest, by="maria", now=house.now(), why="a test"
    )
    other = send_study(house, tmp_path / "other")
    pipeline.draft(house, chosen[0].id, "worker")  # the others join it
    drafts = [draft_of(house, case) for case in (*chosen, other)]
    fingerprints = [draft.text.identity.fingerprint for draft in drafts]
    assert fingerprints == [fingerprint_of(slow), fingerprint_of(slow), fingerprint_of(model)]
    assert [draft.text.identity.sampler.steps for draft in drafts] == [3, 3, 2]


def test_an_adapter_is_looked_for_among_those_of_the_model(
    build: Callable[..., House], tmp_path: Path, slow: Path, adapter: Path
) -> None:
    rules = ruled(tmp_path, RULE.format(words="*") + 'adapter = "chest"\n')
    house = build(**further(slow, adapter), **rules)
    assert house.draftsman.warm_up().endswith("adapters chest")
    case = send_study(house, tmp_path / "study")
    pipeline.draft(house, case.id, "worker")
    identity = draft_of(house, case).text.identity
    assert identity.fingerprint == fingerprint_of(slow)
    assert identity.adapter


def test_the_gaps_are_drafted_anew_by_the_model_of_the_draft(
    build: Callable[..., House], tmp_path: Path, slow: Path
) -> None:
    house = build(**further(slow), **ruled(tmp_path, RULE.format(words="*")))
    case = send_study(house, tmp_path / "study")
    pipeline.draft(house, case.id, "worker")
    desk = house.desks.of(case.id, house.now())
    phrases = (Phrase("id", "FINDINGS", "The lungs are clear.", "typed"),)
    house.desks.add(desk.edit, phrases, desk.edit.struck, by="maria", what="pinned", now=house.now(), key=None)
    pipeline.redraft(house, case.id)
    text = house.desks.of(case.id, house.now()).edit.text
    assert text is not None
    assert text.identity.fingerprint == fingerprint_of(slow)


def test_a_model_that_is_gone_leaves_its_cases_undrafted_with_the_reason(
    build: Callable[..., House], tmp_path: Path, slow: Path
) -> None:
    case = send_study(build(**further(slow), **ruled(tmp_path, RULE.format(words="*"))), tmp_path / "study")
    house = build()
    pipeline.draft(house, case.id, "worker")
    case = house.viewing.case(case.id)
    assert case.state is CaseState.NOT_DRAFTED
    assert case.reason == "the rule thorough names the model slow, which is not in use any more"


def test_the_doctor_looks_at_every_model(build: Callable[..., House], tmp_path: Path, slow: Path) -> None:
    house = build(further_model=[further(slow)["further_model"][0], {"name": "lost", "checkpoint": tmp_path / "none"}])
    found = {finding.about: finding for finding in examine(house) if finding.about.startswith("checkpoint")}
    assert {about: finding.well for about, finding in found.items()} == {
        "checkpoint": True,
        "checkpoint slow": True,
        "checkpoint lost": False,
    }
    assert "set checkpoint of [[further_model]] lost to a directory that has one" in found["checkpoint lost"].text


def test_a_missing_model_is_said_before_any_station_is_started(tmp_path: Path) -> None:
    config = tmp_path / "radplug.toml"
    config.write_text(
        f'[listener]\naccept_any_calling_ae = true\n[store]\ndata = "{tmp_path / "data"}"\n'
        f'[[further_model]]\nname = "lost"\ncheckpoint = "{tmp_path / "none"}"\n'
    )
    result = CliRunner().invoke(app, ["--config", str(config), "up"])
    assert isinstance(result.exception, UnusableCheckpoint)
