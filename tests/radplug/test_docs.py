"""What the documents say is what the code does: settings, commands, stations."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from radplug.cli import app
from radplug.settings import Settings
from radplug.settings.reference import SECTIONS, reference
from radplug.settings.values import Section
from radplug.supervisor import FURTHER, stations

ROOT = Path(__file__).parents[2]


def test_the_reference_file_is_what_the_command_prints() -> None:
    assert (ROOT / "deploy" / "radplug.toml").read_text(encoding="utf-8") == reference()


def test_the_reference_is_toml_and_every_value_in_it_is_the_default() -> None:
    sections = tomllib.loads(reference())
    defaults = Settings().model_dump(mode="json")
    for section, values in sections.items():
        for key, value in values.items():
            assert defaults[section][key] == value


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_every_setting_is_described(name: str, section: type[Section]) -> None:
    assert section.__doc__
    for key, info in section.model_fields.items():
        if f"{name}.{key}" in dict(SECTIONS):
            continue
        assert info.description, f"{name}.{key} has no description"
        assert re.search(rf"^(# )?{key} = .*# {re.escape(info.description)}$", reference(), re.MULTILINE)


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in get_command(app).commands:  # type: ignore[attr-defined]
        assert f"radplug {command}" in readme, f"README does not tell of `radplug {command}`"


def test_systemd_and_compose_have_the_stations_of_radplug_up() -> None:
    units = {p.stem.removeprefix("radplug-"): p.read_text() for p in (ROOT / "deploy/systemd").glob("*.service")}
    compose = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())["services"]
    assert set(units) == set(stations(FURTHER))
    for name, command in stations(FURTHER).items():
        assert f"radplug.toml {' '.join(command)}\n" in units[name]
        assert compose[name]["command"] == list(command)


def test_the_changelog_tells_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
