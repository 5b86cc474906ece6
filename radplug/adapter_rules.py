"""Which adapter drafts a case, by the site's rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from radplug.settings import AdapterSettings


def directories(rules: Sequence[AdapterSettings]) -> tuple[Path, ...]:
    """Of all adapters that the rules name, each once."""
    return tuple(dict.fromkeys(rule.directory for rule in rules if rule.directory))


def choose(
    rules: Sequence[AdapterSettings], procedures: Collection[tuple[str, str]], modality: str, body_part: str
) -> Path | None:
    """The directory of the first rule that the case fits; None where the base model drafts it alone.

    A case fits a rule when it has one of everything that the rule names. `procedures` are the study's codes, as
    (value, scheme).
    """
    return next((rule.directory for rule in rules if _fits(rule, procedures, modality, body_part)), None)


def _fits(rule: AdapterSettings, procedures: Collection[tuple[str, str]], modality: str, body_part: str) -> bool:
    return (
        (not rule.modalities or modality in rule.modalities)
        and (not rule.body_parts or body_part in rule.body_parts)
        and (not rule.procedures or any((code.value, code.scheme) in procedures for code in rule.procedures))
    )
