"""Settings: unknown ones are refused, wrong ones are named, the environment goes before the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from radplug.settings import SettingsError, WebService, load

PACS = '[[pacs]]\nname = "a"\nhost = "h"\nport = 1\nae_title = "P"\n'

STATION = 'station = "RADPLUG^99HOSPITAL^AI"'
PEER = '\n[workitems.peer]\nae_title = "WORKFLOW"\nhost = "h"\nport = 104'


def written(tmp_path: Path, toml: str) -> Path:
    file = tmp_path / "radplug.toml"
    file.write_text(toml, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("[listener]\nprot = 104", "listener.prot"),
        ("[lisener]\nport = 104", "lisener"),
        ("[listener]\nport = 70000", "listener.port"),
        ('[listener]\nae_title = "A_TITLE_OF_17_CHR"', "listener.ae_title"),
        ('[[pacs]]\nname = "a"\nhost = "h"\nport = 1', "pacs.0.ae_title"),
        ('[[reporting]]\nname = "a"\nhost = "h"\nport = 1\nstatus = "F"', "reporting.0.status"),
        ("[store]\nkeep_free_mib = -1", "store.keep_free_mib"),
        ('[[dicomweb]]\nname = "a"\nurl = "http://192.0.2.1/"', "dicomweb.0.url"),
        ('[[dicomweb]]\nname = "a"\nurl = "https://h/"\nuser = "radplug"', "user and password_file belong together"),
        ('[workitems]\nurl = "https://h/"\nstation = "RADPLUG"', "workitems.station"),
        (f"[workitems]\n{STATION}", "(UPS Pull by DIMSE), and neither is set; set one of them"),
        (f'[workitems]\nurl = "https://h/"\n{STATION}{PEER}', "(UPS Pull by DIMSE), and both are set; set one of them"),
        (f"[workitems]\n{STATION}{PEER}\nprot = 1", "workitems.peer.prot"),
        ('[fhircast]\nurl = "https://hub.example"', "fhircast.topics: Field required"),
        (f'{PACS}priors = "dicomweb"', "no [pacs.dicomweb]"),
        ("[model", "not TOML"),
        (
            f'{PACS}[[reporting]]\nname = "a"\nhost = "h"\nport = 2',
            "two destinations are named a",
        ),
    ],
)
def test_a_wrong_setting_is_refused_and_named(tmp_path: Path, toml: str, named: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(named)):
        load(written(tmp_path, toml))


def test_a_secret_in_the_environment_takes_the_place_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, '[broker]\nurl = "redis://from-the-file"\n[listener]\nport = 104')
    monkeypatch.setenv("RADPLUG_BROKER__URL", "redis://from-the-environment")
    settings = load(file)
    assert settings.broker.url == "redis://from-the-environment"
    assert settings.listener.port == 104


def test_an_error_tells_no_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, '[broker]\nurl = ["redis://:hunter2@host"]'))
    assert "hunter2" not in str(caught.value)


def test_nobody_may_call_until_somebody_is_named() -> None:
    with pytest.raises(SettingsError, match="name the PACS"):
        _ = load(None).listener.callers


def test_what_a_server_is_shown_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with_token = WebService(url="https://h/", token_file=file)
    with_password = WebService(url="https://h/", user="radplug", password_file=file)
    with pytest.raises(SettingsError, match="token_file"):
        with_token.authorization()
    file.write_text("secret\nand what else stands there")
    assert with_token.authorization() == "Bearer secret"
    assert with_password.authorization() == "Basic cmFkcGx1ZzpzZWNyZXQ="
    file.write_text("renewed")
    assert with_token.authorization() == "Bearer renewed"
    assert WebService(url="https://h/").authorization() == ""
