"""The audit trail's hash chain: what was changed, removed or added is found, whoever writes at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from typer.testing import CliRunner

import radplug
from radplug.audit import AuditTrail
from radplug.cli import app
from radplug.domain import AuditEvent
from radplug.records.audit_chain import (
    NONE_BEFORE,
    AuditTrailBroken,
    Head,
    UnusableHead,
    digest,
    head_of,
    read_heads,
    verify,
)
from radplug.records.database import Database
from radplug.records.schema import audit, audit_head

ENTRIES = 5
WRITE = """
import sys
from radplug.audit import AuditTrail
from radplug.records.database import Database
trail = AuditTrail(Database(sys.argv[1]), sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    trail.note("tried", attempt=number)
"""
OLD_ROWS = """
INSERT INTO audit (id, at, event, case_id, actor, detail) VALUES
(3, '2026-11-01 12:00:00.25', 'drafted', 'c1', 'worker', '{"version": 2}'),
(7, '2026-11-01 13:00:00', 'viewed', 'c1', 'maria', '{}')
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    made.migrate()
    trail = AuditTrail(made, "worker")
    for number in range(1, ENTRIES + 1):
        trail.note("delivered", f"case{number}", attempt=number, outcome="déjà", share=0.1, again=False)
    yield made
    made.close()


def remove(number: int) -> sa.Delete:
    return sa.delete(audit).where(audit.c.number == number)


def alter(nth: int, **values: object) -> sa.Update:
    return sa.update(audit).where(audit.c.number == nth).values(values)


def another(number: int) -> sa.Insert:
    said = AuditEvent(datetime.now(UTC), "viewed", "", "maria", {})
    return sa.insert(audit).values(
        number=number, at=said.at, event=said.event, actor=said.actor, detail={}, hash=digest(number, said, NONE_BEFORE)
    )


MOVE_HEAD = sa.update(audit_head).values(number=ENTRIES - 1)
TAMPERED: dict[str, tuple[tuple[sa.Executable, ...], str, int]] = {
    "event changed": ((alter(3, event="viewed"),), "entry 3 was changed", 2),
    "actor changed": ((alter(3, actor="somebody"),), "entry 3 was changed", 2),
    "case changed": ((alter(1, case_id="case9"),), "entry 1 was changed", 0),
    "detail changed": ((alter(3, detail={"attempt": 3}),), "entry 3 was changed", 2),
    "moment changed": ((alter(3, at=datetime(2026, 1, 1, tzinfo=UTC)),), "entry 3 was changed", 2),
    "hash of it changed": ((alter(3, hash="f" * 64),), "entry 3 was changed", 2),
    "last hash changed": ((alter(5, hash="f" * 64),), "entry 5 was changed", 4),
    "one removed": ((remove(3),), "entry 3 is missing", 2),
    "two removed": ((remove(2), remove(3)), "entries 2 to 3 are missing", 1),
    "last removed": ((remove(5),), "entry 5 is missing at the end", 4),
    "all removed": ((sa.delete(audit),), "entries 1 to 5 are missing at the end", 0),
    "one removed, and those after it moved up": ((remove(3), alter(4, number=3)), "entry 3 was changed", 2),
    "two swapped": ((alter(2, number=99), alter(3, number=2), alter(99, number=3)), "entry 2 was changed", 1),
    "one added before": ((another(0),), "entry 0 was added", 0),
    "one added after": ((another(6),), "entry 6 was added", 5),
    "end cut off, the head's number with it": ((remove(5), MOVE_HEAD), "the head has another hash than entry 4", 4),
    "head removed": ((sa.delete(audit_head),), "the head of the trail is missing", 0),
}


def test_what_was_written_holds_and_goes_on(database: Database) -> None:
    verdict = verify(database, {})
    assert (verdict.holds, verdict.head) == (True, head_of(database))
    assert verdict.head.number == ENTRIES
    AuditTrail(database, "maria").note("viewed", "case1")
    assert verify(database, {verdict.head.number: verdict.head.hash}).head.number == ENTRIES + 1


@pytest.mark.parametrize("how", TAMPERED)
def test_what_is_tampered_with_is_found(database: Database, how: str) -> None:
    statements, fault, before = TAMPERED[how]
    with database.writing() as connection:
        for statement in statements:
            connection.execute(statement)
    verdict = verify(database, {})
    assert verdict.fault.startswith(fault)
    assert verdict.head.number == before


def test_an_empty_trail_holds(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    assert verify(database, {}).head == head_of(database) == Head(0, NONE_BEFORE)
    assert verify(database, {1: "0" * 64}).fault == "entry 1 is missing at the end"
    database.close()


def test_a_chain_that_was_made_anew_is_told_by_a_head_that_was_kept(database: Database) -> None:
    kept = head_of(database)
    with database.writing() as connection:
        connection.execute(alter(3, actor="somebody"))
        last = NONE_BEFORE
        for row in connection.execute(sa.select(audit).order_by(audit.c.number)).all():
            last = digest(row.number, AuditEvent(row.at, row.event, row.case_id, row.actor, row.detail), last)
            connection.execute(alter(row.number, hash=last))
        connection.execute(sa.update(audit_head).values(hash=last))
    assert verify(database, {}).holds
    assert verify(database, {kept.number: kept.hash}).fault.startswith("entry 5 has another hash than was kept")


def test_an_end_that_was_cut_off_with_its_head_is_told_by_a_head_that_was_kept(database: Database) -> None:
    kept = head_of(database)
    with database.writing() as connection:
        connection.execute(remove(5))
        fourth = connection.scalar(sa.select(audit.c.hash).where(audit.c.number == 4))
        connection.execute(MOVE_HEAD.values(hash=fourth))
    assert verify(database, {}).holds
    assert verify(database, {kept.number: kept.hash}).fault == "entry 5 is missing at the end"


def test_nothing_is_added_to_a_trail_without_head(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.delete(audit_head))
    with pytest.raises(AuditTrailBroken, match="restore"):
        AuditTrail(database, "worker").note("viewed")


def test_two_processes_write_one_chain(database: Database) -> None:
    each = 50
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", WRITE, url]
    writers = [
        subprocess.Popen([*command, name, str(each)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    while any(writer.poll() is None for writer in writers):
        assert verify(database, {}).holds  # whoever looks meanwhile sees a whole chain
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    verdict = verify(database, {})
    assert (verdict.fault, verdict.head.number) == ("", ENTRIES + 2 * each)
    with database.reading() as connection:
        counts = sa.select(audit.c.actor, sa.func.count()).group_by(audit.c.actor)
        assert dict(map(tuple, connection.execute(counts))) == {"worker": ENTRIES, "one": each, "two": each}


def test_rows_from_before_the_chain_are_chained_as_they_stand(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    config = Config(attributes={})
    config.set_main_option("script_location", str(Path(radplug.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0021")
        connection.execute(sa.text(OLD_ROWS.replace(":", r"\:")))
    engine.dispose()
    database = Database(database_url)
    database.migrate()
    assert verify(database, {}).head.number == 2
    with database.writing() as connection:
        assert connection.scalars(sa.select(audit.c.id).order_by(audit.c.number)).all() == [3, 7]
        connection.execute(alter(1, detail={"version": 3}))
    assert verify(database, {}).fault.startswith("entry 1 was changed")
    database.close()


def test_the_chain_can_be_checked_without_radplug() -> None:
    """The form that docs/audit.md describes."""
    at = datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    said = AuditEvent(at, "drafted", "c1", "worker", {"version": 2, "model": "é"})
    shown = (
        '{"actor":"worker","at":"2026-11-01T12:00:00.250000+00:00","before":"' + NONE_BEFORE + '","case_id":"c1",'
        '"detail":{"model":"\\u00e9","version":2},"event":"drafted","number":1}'
    )
    summed = subprocess.run(["sha256sum"], input=shown.encode(), capture_output=True, check=True).stdout
    assert digest(1, said, NONE_BEFORE) == summed.split()[0].decode()


@pytest.mark.parametrize("text", ["nonsense", "1", f"1 {'F' * 64}", f"-1 {'f' * 64}", f"1 {'e' * 64}\n1 {'f' * 64}"])
def test_a_file_without_heads_is_refused_with_the_line(text: str) -> None:
    with pytest.raises(UnusableHead, match=r"line [12] "):
        read_heads(text)


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Callable[..., tuple[int, str]]:
        config = tmp_path / "radplug.toml"
        config.write_text(f'[store]\ndata = "{tmp_path / "data"}"\n', encoding="utf-8")

        def run(*words: str) -> tuple[int, str]:
            result = CliRunner().invoke(app, ["--config", str(config), *words])
            return result.exit_code, result.stdout

        run("migrate")
        return run

    def test_it_says_how_many_hold_and_which_does_not(
        self, run: Callable[..., tuple[int, str]], tmp_path: Path
    ) -> None:
        database = Database(f"sqlite:///{tmp_path / 'data' / 'radplug.sqlite'}")
        for number in range(3):
            AuditTrail(database, "worker").note("tried", attempt=number)
        heads = tmp_path / "heads"
        status, printed = run("audit", "head")
        heads.write_text(printed, encoding="utf-8")
        assert (status, printed) == (0, f"3 {head_of(database).hash}\n")
        status, printed = run("audit", "verify", "--head", str(heads))
        assert (status, "3 entries hold" in printed) == (0, True)
        with database.writing() as connection:
            connection.execute(alter(2, actor="somebody"))
        status, printed = run("audit", "verify")
        assert (status, "entry 2 was changed" in printed) == (1, True)
        status, printed = run("audit", "verify", "--json")
        said = json.loads(printed)
        assert (status, said["holds"], said["entries"]) == (1, False, 1)
        assert said["fault"].startswith("entry 2 was changed")
        database.close()

    def test_a_file_that_cannot_be_read_is_no_verdict(
        self, run: Callable[..., tuple[int, str]], tmp_path: Path
    ) -> None:
        assert run("audit", "verify", "--head", str(tmp_path / "nowhere"))[0] == 2
