"""`radplug verify`: every file that a row names is looked at, and every file that none names is found."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from kept_sites import arrive, events, files_of_instances, furnish, run, settings_file
from received_images import image

from radplug.backups.verifying import GRACE, verify
from radplug.domain import Received
from radplug.study_store import FileState
from radplug.wiring import House


def look(house: House) -> tuple[int, dict[str, FileState], tuple[str, ...]]:
    found = verify(house.database, house.store.root, house.now())
    return found.files, {one.file: state for one, state in found.amiss.items()}, found.orphans


def test_what_is_whole_is_said_to_be_whole(house: House) -> None:
    furnish(house)
    assert look(house) == (5, {}, ())


def test_every_kind_of_file_is_missed(house: House) -> None:
    named = furnish(house)
    for file in named:
        house.store.remove(file)
    assert look(house) == (5, dict.fromkeys(named, FileState.MISSING), ())


def test_a_changed_byte_of_an_instance_and_an_emptied_document_are_found(house: House) -> None:
    instance, _, document = furnish(house)
    path = house.store.path(instance)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    house.store.path(document).write_bytes(b"")
    assert look(house)[1] == dict.fromkeys((instance, document), FileState.CHANGED)
    path.write_bytes(b"no DICOM")
    assert look(house)[1][instance] is FileState.CHANGED


def test_a_file_without_a_row_is_an_orphan_once_it_is_old(house: House) -> None:
    furnish(house)
    left = house.store.path("studies/2026-01-01/left.dcm.part")
    left.parent.mkdir()
    left.write_bytes(b"half")
    assert look(house)[2] == ()
    long_ago = (house.now() - GRACE - timedelta(minutes=1)).timestamp()
    os.utime(left, (long_ago, long_ago))
    assert look(house) == (5, {}, ("studies/2026-01-01/left.dcm.part",))


def test_a_row_that_is_given_another_file_meanwhile_is_no_alarm(house: House) -> None:
    """As when a damaged file is mended: its place is taken by another, and it goes."""
    arrive(house, instance := image())
    (before,) = files_of_instances(house)
    house.store.remove(before)
    (copy,) = house.commitment_requests.copies(instance.sop_instance_uid)
    house.commitment_requests.damaged(copy.id, copy.file)

    def mend_at_once(done: int, of: int) -> None:
        assert arrive(house, instance) is Received.MENDED

    assert verify(house.database, house.store.root, house.now(), mend_at_once).well
    assert look(house) == (1, {}, ())


@pytest.fixture
def config(house: House, tmp_path: Path) -> Path:
    return settings_file(tmp_path, house.store.root, house.database.url.render_as_string(hide_password=False))


def test_the_command_names_what_is_amiss_and_a_resend_mends_it(house: House, config: Path) -> None:
    arrive(house, instance := image())
    result = run(config, "verify")
    assert (result.exit_code, "1 of 1 files are whole" in result.stdout) == (0, True)
    (file,) = files_of_instances(house)
    house.store.remove(file)
    result = run(config, "verify", "--json")
    amiss = [{"file": file, "kind": "instance", "state": "missing"}]
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"files": 1, "amiss": amiss, "orphans": []})
    result = run(config, "verify")
    assert (result.exit_code, f"missing: instance {file}" in result.stdout) == (1, True)
    assert events(house).count("stored file damaged") == 1
    assert arrive(house, instance) is Received.MENDED
    assert run(config, "verify").exit_code == 0
