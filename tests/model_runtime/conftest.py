"""A whole checkpoint directory, tiny and with random weights: one for the test session."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_checkpoint
import torch

from model_runtime.canvas import Code, Section, Template
from model_runtime.checkpoints.checkpoint import LoadedModel, load

torch.set_num_threads(1)  # threads that spin for each other take ten times as long on a busy machine


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read it, copy it, never write into it."""
    return tiny_checkpoint.write(tmp_path_factory.mktemp("tiny_checkpoint"), canvas_length=128, steps=6)


@pytest.fixture(scope="session")
def loaded(checkpoint: Path) -> LoadedModel:
    return load(checkpoint, "cpu")


@pytest.fixture(scope="session")
def template() -> Template:
    findings = Section("FINDINGS", "FINDINGS:", Code("59776-5", "LN", "Procedure findings"), tokens=64)
    impression = Section("IMPRESSION", "IMPRESSION:", Code("19005-8", "LN", "Impression"), tokens=40, required=False)
    return Template("chest", Code("18782-3", "LN", "XR Chest"), (findings, impression))
