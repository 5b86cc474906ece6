"""The audit file: messages of PS3.15 A.5, one a line, in a chain that tells what was done to it."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa
from peers import wait_until
from typer.testing import CliRunner

import radplug
from radplug.audit import AuditTrail
from radplug.audit_file import AuditFile, DamagedFile, verify_file
from radplug.audit_messages import KINDS, message, number_and_hash
from radplug.cli import app
from radplug.domain import AuditEvent
from radplug.records.audit_chain import NONE_BEFORE, digest, verify
from radplug.records.database import Database
from radplug.records.schema import audit, audit_head

AT = datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC)
HASH = "ab" * 32
ORDER = ["EventIdentification", "ActiveParticipant", "AuditSourceIdentification", "ParticipantObjectIdentification"]


def told(event: str, actor: str = "worker", case_id: str = "", study_uid: str = "", **detail: object) -> ET.Element:
    text = message(17, HASH, AuditEvent(AT, event, case_id, actor, detail), study_uid, "RADPLUG")
    assert "\n" not in text
    assert number_and_hash(text) == (17, HASH)
    return ET.fromstring(text)


class TestMessage:
    @pytest.mark.parametrize("event", [*KINDS, "drafted", "something new"])
    def test_each_has_what_the_schema_wants_in_its_order(self, event: str) -> None:
        root = told(event, study_uid="1.2.3")
        names = [child.tag for child in root]
        assert names == sorted(names, key=ORDER.index)
        assert {*names} == {*ORDER}
        about = root[0]
        assert [child.tag for child in about][:2] == ["EventID", "EventTypeCode"]
        assert about.get("EventDateTime") == "2026-11-01T12:00:00.250000Z"
        assert about.get("EventActionCode") in "CRUDE"
        assert about.get("EventOutcomeIndicator") in ("0", "4", "8", "12")
        for code in root.iter():
            if code.tag in ("EventID", "EventTypeCode", "RoleIDCode", "ParticipantObjectIDTypeCode"):
                assert all(code.get(name) for name in ("csd-code", "codeSystemName", "originalText"))
        own = about.findall("EventTypeCode")[-1]
        assert (own.get("csd-code"), own.get("codeSystemName")) == (event, "99RADPLUG")

    def test_every_event_of_the_table_is_one_that_is_noted(self) -> None:
        own = Path(radplug.__file__).parent
        code = "".join(file.read_text() for file in own.rglob("*.py") if file.name != "audit_messages.py")
        assert [event for event in KINDS if f'"{event}"' not in code] == []

    def test_a_sign_in_that_was_refused(self) -> None:
        root = told("sign-in refused", "unknown", why="no such group")
        codes = [code.get("csd-code") for code in root[0]]
        assert codes == ["110114", "110122", "sign-in refused"]
        assert root[0].get("EventOutcomeIndicator") == "4"
        assert root[1].attrib == {"UserID": "unknown", "UserIsRequestor": "true"}
        (detail,) = root.iter("ParticipantObjectDetail")
        assert (detail.get("type"), base64.b64decode(detail.get("value", ""))) == ("why", b"no such group")

    def test_a_delivery_is_an_export_of_the_study(self) -> None:
        root = told("delivered", case_id="c1", study_uid="1.2.3", attempt=2)
        assert root[0][0].get("originalText") == "Export"
        study, entry = root.findall("ParticipantObjectIdentification")
        assert study.get("ParticipantObjectID") == "1.2.3"
        assert study[0].get("csd-code") == "110180"
        assert base64.b64decode(entry[1].get("value", "")) == b"2"

    def test_hostile_text_stays_text_on_one_line(self) -> None:
        hostile = 'a"><x/>\n<!-- ' + HASH + " -->\x00\u2028\ud800"
        root = told(hostile, hostile, "c1", outcome=hostile, hash="0")
        assert not root.findall(".//x")
        assert (root[1].get("UserID") or "").startswith('a"><x/>')


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    made.migrate()
    note(made, 5)
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.xml"


def note(database: Database, count: int) -> None:
    trail = AuditTrail(database, "worker")
    for number in range(count):
        trail.note("delivered", f"case{number}", attempt=number)


def checked(file: Path) -> tuple[int, str]:
    with file.open(newline="\n", encoding="utf-8") as lines:
        verdict = verify_file(lines)
    return verdict.lines, verdict.fault


def written(database: Database, file: Path) -> list[str]:
    AuditFile(file, database, "RADPLUG").catch_up()
    return file.read_text(encoding="utf-8").splitlines(keepends=True)


def test_it_has_every_entry_once_and_goes_on(database: Database, file: Path) -> None:
    first = written(database, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert checked(file) == (5, "")
    assert written(database, file) == first
    note(database, 2)
    assert written(database, file)[:5] == first
    assert checked(file) == (7, "")
    with file.open(newline="\n", encoding="utf-8") as lines:
        assert verify(database, verify_file(lines).hashes).holds


def test_what_a_crash_left_of_a_line_and_an_end_that_was_cut_off_are_written_again(
    database: Database, file: Path
) -> None:
    lines = written(database, file)
    for left in ("".join(lines[:3]), "".join(lines[:3]) + lines[3][:100], lines[0][:50], lines[0][:5]):
        file.write_text(left, encoding="utf-8")
        assert written(database, file) == lines


@pytest.mark.parametrize("text", ["[store]\n", "[store]", "<AuditMessage/>\n", "x" * (1 << 21)])
def test_a_file_that_is_none_of_ours_is_left_alone(database: Database, file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DamagedFile, match="move the file away"):
        written(database, file)
    assert file.read_text(encoding="utf-8") == text


TAMPERED: dict[str, tuple[Callable[[list[str]], list[str]], int]] = {
    "one changed": (lambda s: [*s[:2], s[2].replace('"worker"', '"maria"'), *s[3:]], 2),
    "its sum changed": (lambda s: [*s[:2], s[2][:-10] + "000 -->\n", *s[3:]], 2),
    "last changed": (lambda s: [*s[:4], s[4].replace('"worker"', '"maria"')], 4),
    "one removed": (lambda s: [*s[:2], *s[3:]], 2),
    "first removed": (lambda s: s[1:], 0),
    "two swapped": (lambda s: [s[0], s[2], s[1], *s[3:]], 1),
    "one added": (lambda s: [*s[:2], s[1], *s[2:]], 2),
    "another line": (lambda s: [*s[:2], "nonsense\n", *s[2:]], 2),
    "an empty line": (lambda s: [*s[:2], "\n", *s[2:]], 2),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_is_tampered_with_is_found(tmp_path: Path, file: Path, how: str) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    database.migrate()
    note(database, 5)
    tamper, hold = TAMPERED[how]
    file.write_text("".join(tamper(written(database, file))), encoding="utf-8")
    lines, fault = checked(file)
    assert (lines, f"line {hold + 1} " in fault) == (hold, True)
    database.close()


def test_two_writers_write_each_entry_once(database: Database, file: Path) -> None:
    stop, failures = threading.Event(), list[BaseException]()

    def write() -> None:
        try:
            while not stop.is_set():
                AuditFile(file, database, "RADPLUG").catch_up()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    note(database, 20)
    stop.set()
    for writer in writers:
        writer.join(60)
    assert not failures
    written(database, file)
    assert checked(file) == (25, "")


def test_rows_whose_chain_was_made_anew_are_told_by_the_file(tmp_path: Path) -> None:
    config, file = tmp_path / "radplug.toml", tmp_path / "audit.xml"
    config.write_text(f'[store]\ndata = "{tmp_path}"\n', encoding="utf-8")
    database = Database(f"sqlite:///{tmp_path / 'radplug.sqlite'}")
    database.migrate()
    note(database, 3)
    written(database, file)

    def verified(*more: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["--config", str(config), "audit", "verify", *more])
        return result.exit_code, result.stdout

    status, printed = verified("--file", str(file))
    assert (status, "3 entries hold" in printed, "3 lines hold" in printed) == (0, True, True)
    with database.writing() as connection:
        connection.execute(sa.update(audit).where(audit.c.number == 2).values(actor="somebody"))
        last = NONE_BEFORE
        for row in connection.execute(sa.select(audit).order_by(audit.c.number)).all():
            last = digest(row.number, AuditEvent(row.at, row.event, row.case_id, row.actor, row.detail), last)
            connection.execute(sa.update(audit).where(audit.c.id == row.id).values(hash=last))
        connection.execute(sa.update(audit_head).values(hash=last))
    database.close()
    assert verified()[0] == 0
    status, printed = verified("--file", str(file))
    assert (status, "entry 2 has another hash than was kept" in printed) == (1, True)
    file.write_text("nonsense\n", encoding="utf-8")
    status, printed = verified("--file", str(file), "--json")
    assert (status, '"line 1 was changed' in printed) == (1, True)
    assert verified("--file", str(tmp_path / "nowhere"))[0] == 2


def test_the_clock_writes_it(tmp_path: Path) -> None:
    config, file = tmp_path / "radplug.toml", tmp_path / "audit.xml"
    config.write_text(
        f'[store]\ndata = "{tmp_path}"\n[broker]\nurl = "redis://127.0.0.1:1"\n[audit]\nfile = "{file}"\n',
        encoding="utf-8",
    )
    database = Database(f"sqlite:///{tmp_path / 'radplug.sqlite'}")
    database.migrate()
    note(database, 3)
    clock = subprocess.Popen([sys.executable, "-m", "radplug.cli", "--config", str(config), "clock"])
    try:
        wait_until(lambda: file.exists() and checked(file) == (3, ""), 60)
        note(database, 1)
        wait_until(lambda: checked(file) == (4, ""), 60)
    finally:
        clock.terminate()
        clock.wait(60)
    database.close()
