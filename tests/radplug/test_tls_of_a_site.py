"""TLS as a site has it: a listener from its settings, drafts to a PACS, and what doctor says of the certificates."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority, dcmtk_options
from houses import send_study
from peers import free_port, listens, tool, wait_until
from secured_sites import refusals, settings_of, waits_for_the_right_files

from dicom_io.certificates import Files
from radplug.doctor import examine
from radplug.findings import Finding
from radplug.settings import SettingsError, load
from radplug.wiring import House

NO_NAGLE = {"TCP_NODELAY": "1"}


def written(folder: Path, files: Files) -> Path:
    """Settings of a site that listens with TLS alone."""
    tls = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings_of(files).items())
    file = folder / "radplug.toml"
    file.write_text(
        f'[store]\ndata = "{folder / "data"}"\nkeep_free_mib = 1\n'
        f'[listener]\nhost = "127.0.0.1"\nplain = false\ncalling_ae_titles = ["MODALITY"]\n'
        f"[listener.tls]\nport = {free_port()}\n{tls}\n",
        encoding="utf-8",
    )
    return file


class TestListener:
    def echoed(self, port: int, files: Files) -> bool:
        command = [
            tool("echoscu"),
            *dcmtk_options(files),
            "-aet",
            "MODALITY",
            "-aec",
            "RADPLUG",
            "127.0.0.1",
            str(port),
        ]
        return subprocess.run(command, capture_output=True, env=NO_NAGLE, timeout=30, check=False).returncode == 0

    def test_a_site_that_listens_with_tls_alone_and_notes_who_is_refused(
        self, tmp_path: Path, hospital: Authority, stranger: Authority
    ) -> None:
        file = written(tmp_path, hospital.vouches("radplug"))
        settings = load(file)
        assert settings.listener.tls
        house, port = House(settings, "test"), settings.listener.tls.port
        house.database.migrate()
        with (
            (tmp_path / "log").open("wb") as log,
            subprocess.Popen(
                [sys.executable, "-m", "radplug.cli", "--config", str(file), "listen"], stdout=log, stderr=log
            ) as listener,
        ):
            wait_until(lambda: any(one.ready_at for one in house.stations.all()), 30, "the listener is ready")
            (station,) = house.stations.all()
            assert station.detail == f"RADPLUG on 127.0.0.1:{port} (TLS)"
            assert self.echoed(port, hospital.vouches("modality"))
            assert not self.echoed(port, Files(hospital.file, stranger.vouches("intruder").own))
            wait_until(lambda: refusals(house), 10, "the refusal is noted")
            found = {one.about: one for one in examine(house)}
            listener.terminate()
        ((actor, detail),) = refusals(house)
        assert (actor, detail["address"]) == ("listener", "127.0.0.1")
        assert "signed by nobody in our `ca` file" in detail["reason"]
        assert detail["reason"] in (tmp_path / "log").read_text(encoding="utf-8")
        assert found["listener with TLS"].well
        assert found["TLS of the listener"].well
        house.database.close()

    def test_a_station_with_files_that_cannot_be_used_does_not_start_and_says_why(
        self, tmp_path: Path, hospital: Authority
    ) -> None:
        file = written(tmp_path, hospital.vouches("radplug", days=-1))
        for command in ("up", "listen"):
            House(load(file), "test").database.migrate()
            ended = subprocess.run(
                [sys.executable, "-m", "radplug.cli", "--config", str(file), command],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ended.returncode == 2
            assert "radplug.pem has expired" in " ".join(ended.stderr.split())


def test_a_listener_without_any_port_and_a_certificate_without_its_key_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "radplug.toml"
    for toml, words in (
        ("[listener]\nplain = false", "so nobody could send"),
        (
            '[[pacs]]\nname = "a"\nhost = "h"\nport = 1\nae_title = "P"\n[pacs.tls]\nca = "a"\nkey = "b"',
            "certificate and key belong together",
        ),
    ):
        file.write_text(toml, encoding="utf-8")
        with pytest.raises(SettingsError, match=words):
            load(file)


@pytest.fixture
def pacs(tmp_path: Path, hospital: Authority) -> Iterator[int]:
    """DCMTK's, which wants a certificate of the hospital; its port."""
    port, folder = free_port(), tmp_path / "pacs"
    folder.mkdir()
    command = [
        tool("storescp"),
        *dcmtk_options(hospital.vouches("pacs")),
        "-aet",
        "PACS",
        "-od",
        str(folder),
        str(port),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=NO_NAGLE) as running:
        wait_until(lambda: listens(port), 10, "storescp listens")
        yield port
        running.kill()


def pacs_at(port: int, files: Files) -> dict[str, object]:
    return {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "tls": settings_of(files)}


def test_a_draft_waits_for_a_certificate_that_the_pacs_takes_and_then_goes(
    build: Callable[..., House], tmp_path: Path, pacs: int, hospital: Authority, stranger: Authority
) -> None:
    files = hospital.vouches("radplug")
    house = build(pacs=[pacs_at(pacs, files)])
    case = send_study(house, tmp_path / "study")
    assert waits_for_the_right_files(house, case, files, stranger.vouches("other")) == "stored"
    assert len(list((tmp_path / "pacs").iterdir())) == 1


class TestDoctor:
    def found(self, build: Callable[..., House], about: str, **settings: object) -> Finding:
        (finding,) = (one for one in examine(build(**settings)) if one.about == about)
        return finding

    def test_a_pacs_is_asked_over_tls(self, build: Callable[..., House], pacs: int, hospital: Authority) -> None:
        answers = self.found(build, "PACS pacs", pacs=[pacs_at(pacs, hospital.vouches("radplug"))])
        assert answers.well
        assert "C-ECHO" in answers.text
        assert "with TLS" in answers.text

    @pytest.mark.parametrize(("days", "well"), [(29.5, False), (31, True)])
    def test_a_certificate_that_soon_expires_is_told_in_time(
        self, build: Callable[..., House], hospital: Authority, days: float, well: bool
    ) -> None:
        files = settings_of(hospital.vouches("radplug", days=days))
        told = self.found(build, "TLS of the listener", listener={"tls": files})
        assert told.well is well
        assert ("in 29 days; have it renewed" in told.text) is not well

    def test_a_key_of_another_certificate_and_one_that_cannot_be_read_are_told(
        self, build: Callable[..., House], hospital: Authority
    ) -> None:
        files = settings_of(hospital.vouches("radplug"))
        other = settings_of(hospital.vouches("other"))["key"]
        for key, words in ((other, "is not the key of"), (files["ca"] + ".key", "cannot be read")):
            pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1, "tls": {**files, "key": key}}
            told = self.found(build, "TLS with PACS pacs", pacs=[pacs])
            assert not told.well
            assert words in told.text
