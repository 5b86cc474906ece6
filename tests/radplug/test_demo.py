"""`radplug demo`, as a stranger runs it: with the model that comes along."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from peers import SHARED_DICOM
from pydicom import dcmread
from pydicom.data import get_testdata_file

from model_runtime.canvas import Anchor
from radplug.acceptance.returned import ReturnedOru, ReturnedSr, anchors_stand
from radplug.acceptance.synthetic_study import write

CODES = {"FINDINGS": "59776-5", "IMPRESSION": "19005-8"}


def demo(data: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit status and the JSON at its end."""
    command = [sys.executable, "-m", "radplug.cli", "demo", "--json", "--data", str(data), *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout.splitlines()[-1])


def test_the_demo_ends_with_a_draft_that_came_back_and_passed_its_checks(tmp_path: Path) -> None:
    status, told = demo(tmp_path)
    assert status == 0
    assert (told["state"], told["anchors_intact"]) == ("delivered", True)
    assert told["sr"] == {
        "stored": True,
        "checked": True,
        "sop_instance_uid": str(dcmread(told["files"]["sr"]).SOPInstanceUID),
        "completion_flag": "PARTIAL",
        "verification_flag": "UNVERIFIED",
        "preliminary_flag": "PRELIMINARY",
    }
    assert told["oru"] == {"ack": "AA", "checked": True, "obr_25": "R", "obx_11": "R"}
    assert set(told["seconds"]) == {"receive", "assemble", "queue", "render", "infer", "deliver", "total"}
    assert all(spent is not None and spent >= 0 for spent in told["seconds"].values())
    draft = json.loads(Path(told["files"]["draft"]).read_text())
    assert [section["name"] for section in draft["sections"]] == ["FINDINGS", "IMPRESSION"]
    assert all(Path(file).is_file() for file in [told["files"]["sr"], told["files"]["oru"], *told["files"]["images"]])


def test_studies_of_one_moment_have_accession_numbers_of_their_own(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first, second = (write(tmp_path / name, 1_000_000_042, now) for name in ("first", "second"))
    assert dcmread(first.files[0]).AccessionNumber == first.order.accession_number
    assert first.order.accession_number != second.order.accession_number


def test_ones_own_study_with_ones_own_anchors(tmp_path: Path) -> None:
    study = tmp_path / "mine"
    made = write(study, 1_000_000_042, datetime.now(UTC))
    data_set = dcmread(made.files[0])
    for tag in ("AccessionNumber", "BodyPartExamined"):
        data_set[tag].value = ""
    data_set.PatientName = "Müller^Jürgen"
    data_set.save_as(made.files[0])
    (study / "notes.txt").write_text("not DICOM")
    said = [
        Anchor("FINDINGS", "Ø 7 mm | node ^ & ~ \\ 漢字 🫁"),
        Anchor("IMPRESSION", "First."),
        Anchor("FINDINGS", "Then this; naïve."),
    ]
    words = [word for anchor in said for word in ("--anchor", f"{anchor.section}={anchor.text}")]
    status, told = demo(tmp_path / "kept", "--study", str(study), *words)
    assert (status, told["state"], told["anchors_intact"]) == (0, "delivered", True)
    assert anchors_stand(said, CODES, ReturnedSr.read(Path(told["files"]["sr"])).texts)
    assert anchors_stand(said, CODES, ReturnedOru.read(Path(told["files"]["oru"])).texts)
    assert dcmread(told["files"]["sr"]).PatientName == "Müller^Jürgen"


def test_a_study_that_the_model_was_not_made_for_is_not_drafted_and_says_why(tmp_path: Path) -> None:
    study = tmp_path / "ct"
    study.mkdir()
    (study / "CT_small.dcm").write_bytes(Path(str(get_testdata_file("CT_small.dcm", download=False))).read_bytes())
    status, told = demo(tmp_path / "kept", "--study", str(study))
    assert (status, told["state"]) == (0, "not drafted")
    assert "CT" in told["reason"]
    assert told["sr"]["stored"] is False
    assert told["files"]["sr"] is None


def test_a_real_radiograph_goes_the_whole_way(tmp_path: Path) -> None:
    file = SHARED_DICOM / "RG1_J2KI.dcm"
    if not file.is_file():
        pytest.skip("../shared/dicom is absent: real files are tested where it is")
    study = tmp_path / "rg"
    study.mkdir()
    (study / file.name).symlink_to(file)
    status, told = demo(tmp_path / "kept", "--study", str(study))
    assert status == 0
    assert told["state"] in ("delivered", "not drafted")
    assert told["state"] == "delivered" or told["reason"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--study", "/nowhere"], "no folder"),
        (["--anchor", "nonsense"], "SECTION=phrase"),
        (["--anchor", "FINDINGS=a\x07b"], "control character"),
    ],
)
def test_what_cannot_be_shown_is_said(tmp_path: Path, words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "radplug.cli", "demo", "--data", str(tmp_path), *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
