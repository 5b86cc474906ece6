"""The template of a phantom's report. Standard library only."""

from __future__ import annotations

from model_runtime.canvas import Code, Section, Template
from model_runtime.phantoms.wording import FINDINGS, IMPRESSION

TEMPLATE = Template(
    name="chest-radiograph",
    title=Code("18748-4", "LN", "Diagnostic imaging study"),
    sections=(
        Section(FINDINGS, "FINDINGS:", Code("59776-5", "LN", "Findings"), tokens=150),
        Section(IMPRESSION, "IMPRESSION:", Code("19005-8", "LN", "Impressions"), tokens=80),
    ),
    modalities=frozenset({"CR", "DX"}),
    body_parts=frozenset({"CHEST"}),
)
