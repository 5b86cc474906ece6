"""The table of states is whole, and no state lets a draft become final."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from radplug.domain import NEXT, SETTLED, CaseState

ROOT = Path(__file__).parents[2]


def test_every_state_is_a_key_and_can_be_reached_and_left() -> None:
    assert set(NEXT) == set(CaseState)
    reachable = {state for after in NEXT.values() for state in after}
    assert reachable == set(CaseState)
    assert all(NEXT.values())


@pytest.mark.parametrize("state", sorted(set(CaseState) - {CaseState.RECEIVING}))
def test_a_late_image_can_reopen_every_state(state: CaseState) -> None:
    assert CaseState.RECEIVING in NEXT[state]


def test_settled_states_wait_for_nobody() -> None:
    assert {CaseState.RECEIVING, CaseState.COMPLETE, CaseState.DRAFTED}.isdisjoint(SETTLED)


def test_nothing_in_the_code_can_say_verified_or_final() -> None:
    """No assignment of a flag to anything but a draft's values, anywhere in the product."""
    wanted = {"CompletionFlag": "PARTIAL", "VerificationFlag": "UNVERIFIED", "PreliminaryFlag": "PRELIMINARY"}
    for package in ("radplug", "dicom_io", "hl7", "model_runtime"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for flag in wanted:
                for value in re.findall(rf"\b{flag}\s*=\s*([^=\s].*)", text):
                    assert value.strip().endswith("_FLAG"), f"{path.name} sets {flag} to {value}"
            for word in ('"VERIFIED"', '"FINAL"', "is_verified=True", "is_final=True", "is_complete=True"):
                assert word not in text, f"{path.name} holds {word}"
