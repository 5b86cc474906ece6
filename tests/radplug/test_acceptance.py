"""The acceptance kit: it passes against radplug, fails where something is wrong, and writes down what it saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from peers import free_port, tool
from pydicom import Dataset
from saboteurs import Sabotage, sabotaged, with_field, without
from typer.testing import CliRunner, Result

from dicom_io.association import Peer
from hl7.message import Message
from radplug.acceptance.api import Api
from radplug.acceptance.check import Check, Outcome, carry_out
from radplug.acceptance.embedded_site import embedded
from radplug.acceptance.expecting import Failed, NotApplicable
from radplug.acceptance.kit import CHECKS, UnknownCheck, chosen
from radplug.acceptance.record import Record
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.acceptance.target import BadTarget, Target
from radplug.acceptance.ward import Ward
from radplug.cli import app

TARGET = """
host = "radplug.example"
port = 11112
worklist = "https://radplug.example"
token_file = "token"
pacs_port = 11113
reporting_port = 2576
"""


CONTROLS = ("never-final", "anchors-rest", "abort", "engine")
NOT_HERE = ("echo-back", "order-before", "anchors-hl7", "committed", "tls-echo", "tls-draft")


def acceptance(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["acceptance", *map(str, arguments)])


def test_the_quick_kit_passes_on_a_site_of_its_own(tmp_path: Path, model: Path) -> None:
    with embedded(tmp_path, checkpoint=model) as ward:
        results = list(carry_out(CHECKS, ward, quick=True))
    assert [(r.check.name, r.seen) for r in results if r.outcome is Outcome.FAILED] == []
    left_out = {r.check.name: r.outcome for r in results if r.outcome is not Outcome.PASSED}
    assert left_out.pop("big-study") is Outcome.LEFT_OUT
    assert left_out in ({}, {"valid-sr": Outcome.NOT_APPLICABLE})


def test_the_command_writes_its_records_and_dcmtk_is_a_peer(tmp_path: Path) -> None:
    for name in ("echoscu", "storescu", "storescp"):
        tool(name)
    files = {kind: tmp_path / f"acceptance.{kind}" for kind in ("html", "junit", "json")}
    names = ["echo", "unknown-caller", "big-study", "pacs-away"]
    options = [part for name in names for part in ("--only", name)]
    options += [str(part) for kind, file in files.items() for part in (f"--{kind}", file)]
    done = acceptance("--quick", "--peer-tools", *options)
    assert done.exit_code == 0, done.output
    assert "3 passed, 1 left out" in done.stdout
    told = json.loads(files["json"].read_text(encoding="utf-8"))
    outcomes = {one["name"]: one["outcome"] for one in told["checks"]}
    assert outcomes == dict.fromkeys(names, "passed") | {"big-study": "left out"}
    assert all(one[said] for one in told["checks"] for said in ("does", "expects", "seen"))
    assert "DCMTK" in told["by"]
    cases = ElementTree.fromstring(files["junit"].read_text(encoding="utf-8")).iter("testcase")
    assert {case.get("name") for case in cases} == set(names)
    page = files["html"].read_text(encoding="utf-8")
    assert all(f"<td>{name}</td>" in page for name in names)
    assert "slow, and --quick was asked for" in page


def test_exit_codes(tmp_path: Path) -> None:
    assert acceptance("--list").exit_code == 0
    unknown = acceptance("--only", "eko")
    assert (unknown.exit_code, "no check 'eko'" in unknown.stderr) == (2, True)
    assert acceptance("--target", tmp_path / "none.toml").exit_code == 2
    ports = free_port(), free_port(), free_port()
    file = tmp_path / "target.toml"
    lines = ["host = '127.0.0.1'", f"port = {ports[0]}", "worklist = 'http://127.0.0.1:1'", f"token_file = '{file}'"]
    file.write_text("\n".join([*lines, f"pacs_port = {ports[1]}", f"reporting_port = {ports[2]}"]))
    failed = acceptance("--target", file, "--only", "echo", "--only", "order-before")
    assert (failed.exit_code, "1 failed, 1 not applicable" in failed.stdout) == (1, True), failed.stdout


@pytest.fixture(scope="module")
def sabotage(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Sabotage]:
    with sabotaged(tmp_path_factory.mktemp("sabotage"), model) as made:
        yield made


@pytest.fixture
def saboteurs(sabotage: Sabotage) -> Iterator[Sabotage]:
    yield sabotage
    sabotage.undone()


def outcomes(ward: Ward, *names: str) -> dict[str, tuple[Outcome, str]]:
    return {r.check.name: (r.outcome, r.seen) for r in carry_out(chosen(names), ward)}


def test_a_target_that_nobody_spoils_passes_in_all_that_it_has(saboteurs: Sabotage) -> None:
    seen = outcomes(saboteurs.ward, *CONTROLS, *NOT_HERE)
    found = {name: outcome for name, (outcome, _) in seen.items()}
    expected = dict.fromkeys(CONTROLS, Outcome.PASSED) | dict.fromkeys(NOT_HERE, Outcome.NOT_APPLICABLE)
    assert found == expected, seen
    assert "name hl7_port in the target" in seen["order-before"][1]


@pytest.mark.parametrize(("segment", "number"), [("OBR", 25), ("OBX", 11)])
def test_a_final_result_is_found_out(saboteurs: Sabotage, segment: str, number: int) -> None:
    saboteurs.results.change = lambda message: with_field(message, segment, number, "F")
    seen = outcomes(saboteurs.ward, "never-final")
    assert seen["never-final"][0] is Outcome.FAILED
    assert f"'F' in {segment}-{number}" in seen["never-final"][1]


def test_an_engine_that_makes_it_final_is_found_out(saboteurs: Sabotage) -> None:
    def behind(message: Message) -> Message:
        again = len(saboteurs.ward.ris.received) > before
        return with_field(message, "OBR", 25, "F") if again else message

    before = len(saboteurs.ward.ris.received)
    saboteurs.results.change = behind
    assert outcomes(saboteurs.ward, "engine")["engine"][1].startswith("behind the engine the message has 'F' in OBR-25")


def test_a_verified_sr_is_found_out(saboteurs: Sabotage) -> None:
    saboteurs.reports.change = verified
    outcome, seen = outcomes(saboteurs.ward, "never-final")["never-final"]
    assert (outcome, seen) == (Outcome.FAILED, "the SR is PARTIAL, VERIFIED, PRELIMINARY")


def verified(report: Dataset) -> Dataset:
    report.VerificationFlag = "VERIFIED"
    return report


def test_a_byte_that_an_anchor_lost_is_found_out(saboteurs: Sabotage) -> None:
    saboteurs.results.change = lambda message: without(message, "知")
    assert outcomes(saboteurs.ward, "anchors-rest")["anchors-rest"] == (Outcome.FAILED, "not all stand in the message")
    saboteurs.undone()
    saboteurs.reports.change = one_byte_less
    assert outcomes(saboteurs.ward, "anchors-rest")["anchors-rest"] == (Outcome.FAILED, "not all stand in the SR")


def one_byte_less(report: Dataset) -> Dataset:
    for item in report.iterall():
        if item.keyword == "TextValue":
            item.value = item.value.replace("3|11", "3|1")
    return report


def test_an_instance_that_is_lost_is_found_out(saboteurs: Sabotage) -> None:
    saboteurs.images.change = lambda image: None if image.InstanceNumber == 2 else image
    saboteurs.ward.patience = 5
    outcome, seen = outcomes(saboteurs.ward, "abort")["abort"]
    saboteurs.ward.patience = 30
    assert outcome is Outcome.FAILED
    assert "3 instances, drafted and delivered did not come" in seen


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    """Nobody is there."""
    nobody = Peer("RADPLUG", "127.0.0.1", free_port())
    pacs, ris = SimulatedPacs("ACCEPTANCE", tmp_path / "pacs"), SimulatedRis(tmp_path / "ris")
    return Ward(nobody, pacs, ris, Api(f"http://127.0.0.1:{nobody.port}", "none"), tmp_path, patience=0, instances=3)


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
        Check("c", "g", "", "", lambda _: raises(NotApplicable("no tool"))),
        Check("d", "g", "", "", lambda _: raises(ValueError("odd\x00"))),
        Check("e", "g", "", "", lambda _: "well", slow=True),
    ]
    results = list(carry_out(checks, ward, quick=True))
    assert [(result.outcome, result.seen) for result in results] == [
        ("passed", "well"),
        ("failed", "not so"),
        ("not applicable", "no tool"),
        ("failed", "ValueError: odd\x00"),
        ("left out", "slow, and --quick was asked for"),
    ]
    record = Record("a <radplug>", "by hand", datetime.now(UTC), results)
    assert not record.good
    validate_junit(record.as_junit(), tests=5, failures=2, skipped=2)
    assert "a &lt;radplug&gt;" in record.as_html()


def validate_junit(text: str, **counts: int) -> None:
    """What Jenkins, GitLab and others ask of the format: the counts of each suite are those of its cases."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        assert suite.get("name")
        assert datetime.fromisoformat(suite.get("timestamp", "")).tzinfo is None
        cases = suite.findall("testcase")
        assert len(cases) == len(suite) == int(suite.get("tests", "")) == counts["tests"]
        assert len(suite.findall("testcase/failure")) == int(suite.get("failures", "")) == counts["failures"]
        assert len(suite.findall("testcase/skipped")) == int(suite.get("skipped", "")) == counts["skipped"]
        assert all(case.get("name") and case.get("classname") and float(case.get("time", "")) >= 0 for case in cases)


def test_checks_are_chosen_by_name_and_group() -> None:
    assert [check.name for check in chosen(["late-series", "echo"])] == ["echo", "late-series"]
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
