"""The acceptance kit: it passes against radplug, fails where something is wrong, and writes down what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from peers import free_port

from dicom_io.association import Peer
from radplug.acceptance.api import Api
from radplug.acceptance.check import Check, Failed, Outcome, Skipped, carry_out
from radplug.acceptance.kit import CHECKS, UnknownCheck, chosen
from radplug.acceptance.record import Record
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.acceptance.target import BadTarget, Target
from radplug.acceptance.ward import Ward

TARGET = """
host = "radplug.example"
port = 11112
worklist = "https://radplug.example"
token_file = "token"
pacs_port = 11113
reporting_port = 2576
"""


def test_the_whole_kit_passes_and_writes_its_records(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"acceptance.{kind}" for kind in ("html", "junit", "json")}
    command = [sys.executable, "-m", "radplug.cli", "acceptance", "--instances", "30"]
    command += [part for kind, file in files.items() for part in (f"--{kind}", str(file))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(files["json"].read_text(encoding="utf-8"))["checks"]
    assert [one for one in told if one["outcome"] == "failed"] == []
    assert done.returncode == 0, done.stderr
    assert [one["name"] for one in told] == [check.name for check in CHECKS]
    cases = ElementTree.fromstring(files["junit"].read_text(encoding="utf-8")).iter("testcase")
    assert [case.get("name") for case in cases] == [check.name for check in CHECKS]
    page = files["html"].read_text(encoding="utf-8")
    assert all(f"<td>{check.name}</td>" in page for check in CHECKS)


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    """Nobody is there."""
    nobody = Peer("RADPLUG", "127.0.0.1", free_port())
    pacs, ris = SimulatedPacs("ACCEPTANCE", tmp_path / "pacs"), SimulatedRis(tmp_path / "ris")
    return Ward(nobody, pacs, ris, Api(f"http://127.0.0.1:{nobody.port}", "none"), tmp_path, patience=0)


def test_against_nobody_every_check_fails(ward: Ward) -> None:
    with ward.pacs, ward.ris:
        passed = [result.check.name for result in carry_out(CHECKS, ward) if result.outcome is Outcome.PASSED]
    assert passed == []


def test_who_lets_everybody_in_is_found_out(ward: Ward, tmp_path: Path) -> None:
    with SimulatedPacs("RADPLUG", tmp_path / "anybody") as open_to_all:
        ward.radplug = Peer("RADPLUG", "127.0.0.1", open_to_all.port)
        echo, unknown = carry_out(chosen(["echo", "unknown-caller"]), ward)
    assert (echo.outcome, unknown.outcome, unknown.seen) == (Outcome.PASSED, Outcome.FAILED, "it was let in")


def test_what_comes_of_a_check(ward: Ward) -> None:
    def raises(error: Exception) -> str:
        raise error

    checks = [
        Check("a", "g", "", "", lambda _: "well"),
        Check("b", "g", "", "", lambda _: raises(Failed("not so"))),
        Check("c", "g", "", "", lambda _: raises(Skipped("no tool"))),
        Check("d", "g", "", "", lambda _: raises(ValueError("odd\x00"))),
    ]
    results = list(carry_out(checks, ward))
    assert [(result.outcome, result.seen) for result in results] == [
        ("passed", "well"),
        ("failed", "not so"),
        ("skipped", "no tool"),
        ("failed", "ValueError: odd\x00"),
    ]
    record = Record("a <radplug>", datetime.now(UTC), results)
    assert not record.good
    suite = next(ElementTree.fromstring(record.as_junit()).iter("testsuite"))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    assert "a &lt;radplug&gt;" in record.as_html()


def test_checks_are_chosen_by_name_and_group() -> None:
    assert [check.name for check in chosen(["late-image", "echo"])] == ["echo", "late-image"]
    assert {check.group for check in chosen(["bad days"])} == {"bad days"}
    assert chosen([]) == CHECKS
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    with pytest.raises(UnknownCheck, match="no check 'eko'"):
        chosen(["eko"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("port = 11112", "port = 0"), "port"),
        (("https://", "ftp://"), "worklist"),
        (("host", "hots"), "hots"),
        (("= ", "", 1), ""),
    ],
)
def test_a_bad_target_is_refused(tmp_path: Path, change: tuple[str, str], named: str) -> None:
    file = tmp_path / "target.toml"
    file.write_text(TARGET)
    assert Target.read(file).pacs_ae_title == "ACCEPTANCE"
    file.write_text(TARGET.replace(*change))
    with pytest.raises(BadTarget, match=f"target.toml: .*{named}"):
        Target.read(file)


def test_a_target_without_its_token_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "target.toml"
    file.write_text(TARGET.replace('"token"', f'"{tmp_path / "token"}"'))
    with pytest.raises(BadTarget, match=r"token_file .*token: No such file"):
        Target.read(file).token()
    (tmp_path / "token").write_text("secret\n")
    assert Target.read(file).token() == "secret"
