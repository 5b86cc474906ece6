"""Backup and restore of a site at work: what is restored is the site as it was at one moment, on each database."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import sqlalchemy as sa
from kept_sites import arrive, events, files_of_instances, furnish, run, settings_file
from peers import tool, wait_until
from pydicom import dcmread
from received_images import image
from sites import hospital

from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.backups import manifest, rows
from radplug.backups.manifest import BackupFailed
from radplug.backups.restoring import restore
from radplug.backups.taking import backup
from radplug.backups.verifying import verify
from radplug.domain import CaseState, Received
from radplug.settings import Settings, load
from radplug.wiring import House


@pytest.fixture
def elsewhere(house: House, tmp_path: Path) -> tuple[str, Path]:
    """Another database of the same kind, and another data directory; neither has anything in it."""
    url, data = house.database.url, tmp_path / "elsewhere"
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{tmp_path / 'elsewhere.sqlite'}", data
    name = f"{url.database}_elsewhere"
    engine = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False), data


def take(house: House, to: Path, against: Path | None = None, **more: Callable[[int, int], None]) -> manifest.Manifest:
    return backup(house.database, house.store.root, to, house.now(), against=against, **more)


def opened(url: str, data: Path) -> House:
    return House(Settings(store={"data": data, "keep_free_mib": 1}, database={"url": url}), "test")


def test_what_is_restored_is_what_was_there(house: House, elsewhere: tuple[str, Path], tmp_path: Path) -> None:
    furnish(house)
    house.stations.started("listener", house.now())
    made = take(house, tmp_path / "backup")
    assert (made.cases, made.instances, made.files, made.amiss, made.withdrawn) == (1, 3, 6, (), ())
    assert restore(tmp_path / "backup", *elsewhere) == made
    restored = opened(*elsewhere)
    assert restored.viewing.cases() == house.viewing.cases()
    assert files_of_instances(restored) == files_of_instances(house)
    assert verify(restored.database, restored.store.root, house.now()).well
    refused = "hl7-quarantine/2026-11-24/x.hl7"
    assert restored.store.path(refused).read_bytes() == house.store.path(refused).read_bytes()
    assert not restored.stations.all()
    (sent,) = restored.viewing.deliveries(restored.viewing.cases()[0].id)
    assert (sent.document.id, restored.store.path(sent.document.file).read_bytes()) == ("1.2.3", b"SR")
    assert arrive(restored, image()) is Received.NEW
    restored.database.close()


def test_a_backup_is_for_our_own_user_alone_and_other_tools_can_check_it(house: House, tmp_path: Path) -> None:
    furnish(house)
    take(house, tmp_path / "backup")
    for path in (tmp_path / "backup", *(tmp_path / "backup" / manifest.FILES).rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    check = [tool("sha256sum"), "--check", "--quiet", manifest.LIST]
    assert subprocess.run(check, cwd=tmp_path / "backup", check=False).returncode == 0


def test_it_is_the_site_as_of_one_moment_while_more_comes_in(
    house: House, elsewhere: tuple[str, Path], tmp_path: Path
) -> None:
    """Senders go on from before its begin until after its end, so instances come between any two of its steps."""
    ended, taken = Event(), list[Received]()

    def send() -> None:
        while not ended.is_set():
            taken.append(arrive(house, image()))

    with ThreadPoolExecutor(2) as senders:
        sending = [senders.submit(send) for _ in range(2)]
        try:
            wait_until(lambda: len(taken) > 20, 60, "instances come")
            made = take(house, tmp_path / "backup")
            after = len(taken)
            wait_until(lambda: len(taken) > after + 5, 60, "instances come still")
        finally:
            ended.set()
        for one in sending:
            one.result()
    assert made.files == made.instances > 20
    assert made.amiss == made.withdrawn == ()
    restore(tmp_path / "backup", *elsewhere)
    restored = opened(*elsewhere)
    found = verify(restored.database, restored.store.root, house.now())
    assert (found.files, found.amiss) == (made.instances, {})
    assert [case.instances for case in restored.viewing.cases()] == [made.instances]
    assert set(files_of_instances(restored)) < set(files_of_instances(house))
    restored.database.close()


def test_what_comes_while_files_are_copied_is_not_in_it(house: House, tmp_path: Path) -> None:
    furnish(house)
    before = set(files_of_instances(house))
    made = take(house, tmp_path / "backup", progress=lambda done, of: [arrive(house, image())])
    copied = {name.removeprefix("files/") for _, name in manifest.listed(tmp_path / "backup")}
    assert made.instances == 3
    assert copied & set(files_of_instances(house)) == before
    assert len(files_of_instances(house)) == 8


def test_what_goes_with_its_row_while_files_are_copied_is_not_missed(
    house: House, elsewhere: tuple[str, Path], tmp_path: Path
) -> None:
    """As when an earlier study turns out to be another patient's."""
    furnish(house)
    fetched = house.store.keep(b"", b"prior", house.store.digest(b"prior"), house.now())
    house.comparing.add(image("1.9"), fetched, house.now())

    def forget(done: int, of: int) -> None:
        for file in house.comparing.forget("1.9"):
            house.store.remove(file)

    made = take(house, tmp_path / "backup", progress=forget)  # after a key image, which is the first by name
    assert (made.amiss, made.withdrawn) == ((), (fetched.file,))
    restore(tmp_path / "backup", *elsewhere)
    restored = opened(*elsewhere)
    assert verify(restored.database, restored.store.root, house.now()).well
    restored.database.close()


def test_a_file_that_is_missing_or_changed_is_named_and_the_rest_is_backed_up(house: House, tmp_path: Path) -> None:
    instance, shown, _ = furnish(house)
    house.store.remove(shown)
    house.store.path(instance).write_bytes(b"other")
    made = take(house, tmp_path / "backup")
    assert made.amiss == tuple(sorted((instance, shown)))
    assert made.files == 5
    assert manifest.read(tmp_path / "backup") == made


def test_against_an_earlier_backup_only_what_is_new_takes_room(house: House, tmp_path: Path) -> None:
    _, shown, document = furnish(house)
    take(house, tmp_path / "first")
    arrive(house, image())
    house.store.path(shown).write_bytes(b"another PNG")
    made = take(house, tmp_path / "second", tmp_path / "first")
    first, second = (tmp_path / name / manifest.FILES for name in ("first", "second"))
    assert made.files == 7
    assert (second / document).samefile(first / document)
    assert not (second / shown).samefile(first / shown)
    assert ((first / shown).read_bytes(), (second / shown).read_bytes()) == (b"PNG", b"another PNG")
    linked = [path for path in second.rglob("*") if path.is_file() and path.stat().st_nlink == 2]
    assert len(linked) == 5


@pytest.mark.parametrize("spoilt", ["changed", "missing", "rows", "list"])
def test_a_backup_that_is_not_as_it_was_written_is_refused_and_leaves_nothing(
    house: House, elsewhere: tuple[str, Path], tmp_path: Path, spoilt: str
) -> None:
    _, _, document = furnish(house)
    made = take(house, tmp_path / "backup")
    file = tmp_path / "backup" / {"rows": made.rows, "list": manifest.LIST}.get(spoilt, f"{manifest.FILES}/{document}")
    if spoilt == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes() + b"!")
    with pytest.raises(BackupFailed, match="another backup") as refused:
        restore(tmp_path / "backup", *elsewhere)
    assert file.name in str(refused.value)
    url, data = elsewhere
    assert not data.exists() or not [*data.iterdir()]
    if url.startswith("sqlite"):
        assert not Path(str(sa.make_url(url).database)).exists()


def test_nothing_is_restored_over_what_is_there(house: House, elsewhere: tuple[str, Path], tmp_path: Path) -> None:
    furnish(house)
    take(house, tmp_path / "backup")
    here, (url, data) = house.database.url.render_as_string(hide_password=False), elsewhere
    with pytest.raises(BackupFailed, match="not empty"):
        restore(tmp_path / "backup", url, house.store.root)
    with pytest.raises(BackupFailed, match="already"):
        restore(tmp_path / "backup", here, data)
    assert verify(house.database, house.store.root, house.now()).well
    with pytest.raises(BackupFailed, match="is no backup"):
        restore(tmp_path, *elsewhere)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("schema", "9999", "knows none after"),
        ("format", 2, "reads format 1"),
        ("database", "oracle", "of oracle"),
        ("taken_at", "soon", "cannot be read"),
    ],
)
def test_a_backup_that_this_version_cannot_know_is_refused(
    house: House, elsewhere: tuple[str, Path], tmp_path: Path, field: str, value: object, words: str
) -> None:
    take(house, tmp_path / "backup")
    file = tmp_path / "backup" / manifest.MANIFEST
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    with pytest.raises(BackupFailed, match=words):
        restore(tmp_path / "backup", *elsewhere)
    assert not elsewhere[1].exists()


def test_rows_of_one_kind_of_database_do_not_go_into_the_other(house: House, tmp_path: Path) -> None:
    made = take(house, tmp_path / "backup")
    other = {"sqlite": "postgresql+psycopg:///none", "postgresql": f"sqlite:///{tmp_path / 'x.sqlite'}"}
    with pytest.raises(BackupFailed, match=f"empty {made.database} database"):
        restore(tmp_path / "backup", other[made.database], tmp_path / "elsewhere")


def test_where_a_backup_can_not_be_put_nothing_is_left(house: House, tmp_path: Path) -> None:
    furnish(house)

    def break_off(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(house, tmp_path / "backup", progress=break_off)
    assert not [*tmp_path.glob("backup*")]
    (tmp_path / "file").write_text("")
    for target, words in (
        (tmp_path / "file", "is there already"),
        (house.store.root / "backup", "inside of the data directory"),
        (tmp_path / "file" / "backup", "failed"),
    ):
        with pytest.raises(BackupFailed, match=words):
            take(house, target)
    (tmp_path / "backup.part").mkdir()
    with pytest.raises(BackupFailed, match="broken off"):
        take(house, tmp_path / "backup")
    with pytest.raises(BackupFailed, match="is no backup"):
        take(house, tmp_path / "other", tmp_path)


def test_without_the_programs_of_postgresql_it_says_what_to_install() -> None:
    with pytest.raises(BackupFailed, match=r"pg_nothing was not found: .* postgresql-client-15"):
        rows._program("pg_nothing", "15")


def test_a_whole_site_at_work_is_backed_up_and_another_goes_on_from_there(tmp_path: Path, model: Path) -> None:
    """What was not sent yet is sent by both sites: as the same documents."""
    ended, sent = Event(), list[synthetic_study.SyntheticStudy]()
    with hospital(tmp_path / "site", model, "longest_retry_seconds = 1") as site, ThreadPoolExecutor(1) as sender:

        def send_on() -> None:
            while not ended.is_set():
                sent.append(site.study(f"more-{len(sent)}"))
                site.send(*sent[-1].files)

        with site.pacs.away():
            study = site.study("study")
            site.send(*study.files)
            drafted = site.wait_for(study, CaseState.DRAFTED, 1, 90)
            sending = sender.submit(send_on)
            try:
                wait_until(lambda: sent, 60, "studies come")
                result = run(site.running.file, "backup", str(tmp_path / "backup"))
            finally:
                ended.set()
            sending.result()
        assert (result.exit_code, "cases" in result.stdout) == (0, True), result.output
        assert "backup taken" in events(site.running.house)
        site.wait_for(study, CaseState.DELIVERED, 1, 90)
        (before,) = (file for file in site.pacs.received if dcmread(file).StudyInstanceUID == study.study_uid)
        site.running.stop()

        toml = site.running.file.read_text().replace(str(tmp_path / "site" / "data"), str(tmp_path / "restored"))
        config = tmp_path / "restored.toml"
        config.write_text(toml)
        result = run(config, "restore", str(tmp_path / "backup"))
        assert (result.exit_code, "radplug verify" in result.stdout) == (0, True), result.output
        result = run(config, "verify", "--json")
        assert (result.exit_code, json.loads(result.stdout)["amiss"]) == (0, []), result.output
        restored = House(load(config), "test")

        def goes_on() -> bool:
            """As its delivery worker does, when the clock rings."""
            pipeline.deliver(restored, drafted.id)
            return restored.viewing.case(drafted.id).state is CaseState.DELIVERED

        wait_until(goes_on, 60, "the draft is sent")
        restored.database.close()
        of_study = [file for file in site.pacs.received if dcmread(file).StudyInstanceUID == study.study_uid]
        assert [dcmread(file) for file in of_study] == [dcmread(before)] * 2
        assert len({oru.read_bytes() for oru in site.ris.received if study.study_uid.encode() in oru.read_bytes()}) == 1


def test_the_commands_say_what_stands_in_the_way(tmp_path: Path) -> None:
    config = settings_file(tmp_path, tmp_path / "data")
    assert run(config, "migrate").exit_code == 0
    assert run(config, "backup", str(tmp_path / "backup")).exit_code == 0
    assert isinstance(run(config, "backup", str(tmp_path / "backup")).exception, BackupFailed)
    assert isinstance(run(config, "restore", str(tmp_path / "backup")).exception, BackupFailed)
    shutil.rmtree(tmp_path / "data")
    assert run(config, "restore", str(tmp_path / "backup")).exit_code == 0
    assert run(config, "verify").exit_code == 0
