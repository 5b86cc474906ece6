"""Which adapter is for which case: the site's rules, in the order in which they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from radplug.adapter_rules import choose
from radplug.settings import SettingsError, load

RULES = """
[[adapter]]
modalities = ["ct"]
body_parts = ["CHEST"]
procedures = [{ value = "LOWDOSE", scheme = "99LOCAL" }]

[[adapter]]
directory = "/adapters/ct-chest"
modalities = ["CT"]
body_parts = ["CHEST", " abdomen "]

[[adapter]]
directory = "/adapters/trauma"
procedures = [{ value = "TRAUMA", scheme = "99LOCAL" }, { value = "IMG1", scheme = "LN" }]

[[adapter]]
directory = "/adapters/radiographs"
modalities = ["CR", "DX"]
"""
LOW_DOSE, TRAUMA = ("LOWDOSE", "99LOCAL"), ("TRAUMA", "99LOCAL")


@pytest.mark.parametrize(
    ("procedures", "modality", "body_part", "adapter"),
    [
        ([], "CT", "CHEST", "ct-chest"),
        ([], "CT", "ABDOMEN", "ct-chest"),
        ([], "CT", "", None),
        ([], "MR", "CHEST", None),
        ([TRAUMA], "CT", "CHEST", "ct-chest"),  # the first that fits
        ([LOW_DOSE, TRAUMA], "CT", "CHEST", None),  # a rule without a directory: no adapter, and no later rule
        ([LOW_DOSE], "DX", "CHEST", "radiographs"),
        ([("NONE", "99LOCAL"), TRAUMA], "MR", "HEAD", "trauma"),
        ([("TRAUMA", "99OTHER")], "MR", "HEAD", None),
        ([], "DX", "", "radiographs"),
        ([], "", "", None),
    ],
)
def test_the_first_rule_that_fits_decides(
    tmp_path: Path, procedures: list[tuple[str, str]], modality: str, body_part: str, adapter: str | None
) -> None:
    (tmp_path / "radplug.toml").write_text(RULES, encoding="utf-8")
    rules = load(tmp_path / "radplug.toml").adapter
    chosen = choose(rules, procedures, modality, body_part)
    assert chosen == (Path("/adapters") / adapter if adapter else None)


def test_without_rules_there_is_no_adapter() -> None:
    assert choose(load(None).adapter, [TRAUMA], "CT", "CHEST") is None


def test_a_rule_that_names_nothing_takes_every_case(tmp_path: Path) -> None:
    (tmp_path / "radplug.toml").write_text('[[adapter]]\ndirectory = "/adapters/all"', encoding="utf-8")
    assert choose(load(tmp_path / "radplug.toml").adapter, [], "US", "") == Path("/adapters/all")


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ('modality = ["CT"]', r"adapter\.0\.modality"),
        ('modalities = [""]', r"adapter\.0\.modalities\.0"),
        ('procedures = [{ value = "TRAUMA" }]', r"adapter\.0\.procedures\.0\.scheme"),
    ],
)
def test_a_wrong_rule_is_refused_and_named(tmp_path: Path, toml: str, named: str) -> None:
    (tmp_path / "radplug.toml").write_text(f"[[adapter]]\n{toml}", encoding="utf-8")
    with pytest.raises(SettingsError, match=named):
        load(tmp_path / "radplug.toml")
