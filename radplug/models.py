"""The models that a site has set up: where their files are, and by which name rules choose each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from radplug.settings import Settings

DEMO_CHECKPOINT: Final = Path(__file__).parents[1] / "model_runtime" / "weights" / "demo"
FIRST: Final = ""  # the model of [model], which drafts wherever no rule names another


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A checkpoint and its adapters, all of them directories."""

    name: str
    checkpoint: Path
    adapters: tuple[Path, ...]
    device: Literal["auto", "cpu", "cuda"]

    @property
    def setting(self) -> str:
        """What says which checkpoint it is."""
        return f"checkpoint of [[further_model]] {self.name}" if self.name else "model.checkpoint"


def models(settings: Settings) -> dict[str, ModelFiles]:
    """By name, the first before the others."""
    first = settings.model
    found = [ModelFiles(FIRST, first.checkpoint or DEMO_CHECKPOINT, first.adapters, first.device)]
    found += [ModelFiles(one.name, one.checkpoint, one.adapters, one.device) for one in settings.further_model]
    return {one.name: one for one in found}
