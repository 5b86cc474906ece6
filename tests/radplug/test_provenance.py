"""Who drafted with what: adapters by rule, and everything that gives the same draft again, in rows and in the SR."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from io import StringIO
from pathlib import Path

import pytest
import tiny_checkpoint
import torch
from houses import house_at, ruled, send_study
from rich.console import Console
from typer.testing import CliRunner

from dicom_io import report_reading
from hl7.oru import read as read_oru
from model_runtime.checkpoints.checkpoint import load
from model_runtime.errors import UnusableAdapter
from model_runtime.training.adapter import new_adapter, save_adapter
from radplug import pipeline, show
from radplug.acceptance.returned import ReturnedOru, ReturnedSr
from radplug.cli import app
from radplug.doctor import examine
from radplug.domain import Case, Dictation, DocumentKind, Draft
from radplug.findings import Finding
from radplug.models import FIRST
from radplug.shapes import KINDS
from radplug.wiring import House

PACS = [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}]
RIS = [{"name": "ris", "host": "127.0.0.1", "port": 1}]
FHIR = [{"name": "fhir", "url": "http://127.0.0.1:1/r4"}]
LIVER_AND_KIDNEYS = """
name = "two-parts"
title = {{ value = "25061-3", scheme = "LN", meaning = "Ultrasound Report" }}
modalities = ["DX"]
body_parts = ["CHEST"]

[[section]]
name = "LIVER"
heading = "LIVER:"
code = {{ value = "59776-5", scheme = "LN", meaning = "Findings" }}
tokens = 60

[[section]]
name = "KIDNEYS"
heading = "KIDNEYS:"
code = {{ value = "59776-5", scheme = "LN", meaning = "{meaning}" }}
tokens = 60

[[section]]
name = "IMPRESSION"
heading = "IMPRESSION:"
code = {{ value = "19005-8", scheme = "LN", meaning = "Impressions" }}
tokens = 60
"""


RULE = """
[[rule]]
name = "the department's wording"
adapter = "chest"
"""


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that changes every draft."""
    torch.manual_seed(0)
    loaded, directory = load(model, "cpu"), tmp_path_factory.mktemp("adapter")
    for parameter in new_adapter(loaded, "chest"):
        torch.nn.init.normal_(parameter, std=0.3)
    save_adapter(loaded, "chest", directory, version="3", purpose="tests", training={})
    return directory


def drafted(house: House, folder: Path) -> tuple[Case, Draft]:
    case = send_study(house, folder)
    pipeline.draft(house, case.id, "worker")
    (draft,) = house.viewing.drafts(case.id)
    return house.viewing.case(case.id), draft


def document(house: House, case: Case, kind: DocumentKind) -> Path:
    (delivery,) = (d for d in house.viewing.deliveries(case.id) if d.document.kind is kind)
    return house.store.path(delivery.document.file)


# ── adapters ──


def test_the_adapter_that_the_rules_name_drafts_the_case(
    build: Callable[..., House], tmp_path: Path, adapter: Path
) -> None:
    _, plain = drafted(build(), tmp_path / "plain")
    house = build(model={"adapters": [adapter]}, **ruled(tmp_path, RULE + 'when.body_parts = ["CHEST"]'))
    assert house.draftsman.warm_up().endswith("adapters chest")
    _, adapted = drafted(house, tmp_path / "adapted")
    assert plain.text.identity.adapter is None
    assert adapted.text.identity.adapter
    assert adapted.text.sections != plain.text.sections


def test_a_case_that_no_rule_is_for_is_drafted_by_the_base_model(
    build: Callable[..., House], tmp_path: Path, adapter: Path
) -> None:
    house = build(model={"adapters": [adapter]}, **ruled(tmp_path, RULE + 'when.modalities = ["CT"]'))
    assert house.draftsman.warm_up().endswith("adapters chest")
    _, draft = drafted(house, tmp_path / "study")
    assert draft.text.identity.adapter is None


def test_a_bad_adapter_stops_the_worker_with_its_reason(tmp_path: Path, model: Path, adapter: Path) -> None:
    stranger = tiny_checkpoint.write(tmp_path / "stranger", canvas_length=256, steps=3)  # another card: other files
    config = tmp_path / "radplug.toml"
    config.write_text(
        f'[store]\ndata = "{tmp_path / "data"}"\nkeep_free_mib = 1\n[broker]\nurl = "redis://127.0.0.1:1/0"\n'
        f'[model]\ncheckpoint = "{stranger}"\nadapters = ["{adapter}"]\n'
    )
    house_at(tmp_path, model).database.close()
    command = [sys.executable, "-m", "radplug.cli", "--config", str(config), "work", "draft"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert "the adapter chest was trained on the checkpoint" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_adapter_is_said_before_any_station_is_started(tmp_path: Path) -> None:
    config = tmp_path / "radplug.toml"
    config.write_text(
        f'[listener]\naccept_any_calling_ae = true\n[store]\ndata = "{tmp_path / "data"}"\n'
        f'[model]\nadapters = ["{tmp_path / "nowhere"}"]\n'
    )
    result = CliRunner().invoke(app, ["--config", str(config), "up"])
    assert isinstance(result.exception, UnusableAdapter)
    assert "adapter_card.toml is missing" in str(result.exception)


def test_the_doctor_tells_adapters_that_belong_from_those_that_do_not(
    build: Callable[..., House], tmp_path: Path, model: Path, adapter: Path
) -> None:

    def findings(house: House) -> list[Finding]:
        return [finding for finding in examine(house) if finding.about.startswith("adapter")]

    good, absent = findings(build(model={"adapters": [adapter, tmp_path / "nowhere"]}))
    assert (good.about, good.well, good.text) == ("adapter chest", True, "3: tests")
    assert not absent.well
    assert "adapter_card.toml is missing" in absent.text
    stranger = tiny_checkpoint.write(tmp_path / "stranger", canvas_length=256, steps=3)
    other = house_at(tmp_path, stranger, model={"adapters": [adapter]})
    (wrong,) = findings(other)
    other.database.close()
    assert not wrong.well
    assert "was trained on the checkpoint" in wrong.text


# ── what gives the same draft again ──


def test_all_that_gives_the_same_draft_again_is_in_the_row_and_in_the_sr(
    build: Callable[..., House], tmp_path: Path, adapter: Path
) -> None:
    house = build(pacs=PACS, model={"seed": 4711, "adapters": [adapter]}, **ruled(tmp_path, RULE))
    case, draft = drafted(house, tmp_path / "study")
    identity = draft.text.identity  # as it was read from the database
    assert identity == house.draftsman._models[FIRST].drafter.identity(4711, "chest")
    device = report_reading.read(document(house, case, DocumentKind.SR).read_bytes()).report.device
    told = f"{device.model}; {device.version}; {device.description}"
    facts = asdict(identity)
    sampler = facts.pop("sampler")
    for what in facts.values():
        assert str(what) in told
    for name, value in sampler.items():
        assert f"{name} {value}" in told
    assert not device.description.endswith("…")  # nothing was cut


# ── below the floor ──


@pytest.mark.parametrize(("floor", "doubtful"), [(0.0, False), (1.0, True)])
def test_a_draft_below_the_floor_is_marked_in_its_row_and_nowhere_outside(
    build: Callable[..., House], tmp_path: Path, floor: float, doubtful: bool
) -> None:
    every_shape = [PACS[0] | {"shapes": list(KINDS)}]
    house = build(pacs=every_shape, reporting=[RIS[0] | {"pdf": True}], fhir=FHIR, model={"floor": floor})
    case, draft = drafted(house, tmp_path / "study")
    assert draft.doubtful is doubtful
    assert ("doubtful" in shown(house, case)) is doubtful
    told = json.loads(shown(house, case, as_json=True))["drafts"][0]
    assert told["doubtful"] is doubtful
    assert told["confidence"] == asdict(draft.text.confidence)
    for kind in DocumentKind:
        assert b"doubtful" not in document(house, case, kind).read_bytes()


def test_where_the_model_has_put_a_phrase_is_shown(build: Callable[..., House], tmp_path: Path) -> None:
    house = build()
    case = send_study(house, tmp_path / "study")
    house.receiving.add_dictation(Dictation("", "Known nodule.", "test", house.now(), case.accession_number))
    pipeline.draft(house, case.id, "worker")
    (placed,) = house.viewing.drafts(case.id)[0].text.placements
    assert f"placed in {placed.section} by the model ({placed.probability:.2f}): Known nodule." in shown(house, case)


def shown(house: House, case: Case, *, as_json: bool = False) -> str:
    """As `radplug case` prints it."""
    console = Console(file=StringIO(), width=200)
    show.case(console, house.viewing.whole(case.id), as_json)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


# ── the template in the documents ──


@pytest.mark.parametrize("meaning", ["Findings", "Findings of the kidneys"])
def test_the_sr_has_the_template_s_title_and_sections_of_one_code_stand_under_their_headings(
    build: Callable[..., House], tmp_path: Path, meaning: str
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "two.toml").write_text(LIVER_AND_KIDNEYS.format(meaning=meaning), encoding="utf-8")
    house = build(pacs=PACS, reporting=RIS, drafting={"templates": tmp_path / "templates"})
    case, draft = drafted(house, tmp_path / "study")
    liver, kidneys, impression = (section.text for section in draft.text.sections)
    sr, oru = document(house, case, DocumentKind.SR), document(house, case, DocumentKind.ORU)
    report = report_reading.read(sr.read_bytes()).report
    assert (report.title.value, report.title.meaning) == ("25061-3", "Ultrasound Report")
    expected = [f"LIVER:\n{liver}", f"KIDNEYS:\n{kidneys}", impression]
    assert [section.paragraphs[0].text for section in report.sections] == expected
    assert ReturnedSr.read(sr).faults == ReturnedOru.read(oru).faults == ()
    assert [(section.name, section.text) for section in read_oru(oru.read_bytes()).sections] == list(
        zip(["LIVER", "KIDNEYS", "Impressions"], expected, strict=True)
    )
