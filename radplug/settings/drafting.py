"""What drafts, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from radplug.settings.values import Name, Seconds, Section

Adapters = Annotated[tuple[Path, ...], Field(description="directories of LoRA adapters; rules say what each is for")]
Device = Annotated[Literal["auto", "cpu", "cuda"], Field(description="where it runs")]


class ModelSettings(Section):
    """The model that drafts, unless a rule names another."""

    checkpoint: Path | None = Field(
        None, description="directory of the checkpoint; empty: the demo model that comes along"
    )
    adapters: Adapters = ()
    device: Device = "auto"
    threads: int = Field(
        1, ge=0, description="CPU threads for the model; 0: as many as there are cores, if all are idle"
    )
    seed: int = Field(0, ge=0, description="seed of the denoising; the same inputs and seed give the same draft")
    floor: float = Field(
        0.8, ge=0, le=1, description="a draft with a sentence of less confidence is marked as doubtful; 0: none is"
    )


class FurtherModel(Section):
    """A further model, for the studies of the rules that name it; it is loaded beside the first."""

    name: Name = Field(description="how rules call it; unique")
    checkpoint: Path = Field(description="directory of the checkpoint")
    adapters: Adapters = ()
    device: Device = "auto"


class DraftingSettings(Section):
    """How a case is drafted."""

    key_images: int = Field(4, ge=1, le=16, description="images that the model is shown, at most; it may allow fewer")
    assume_body_part: str = Field("", description="body part of a study that names none; empty: it is not drafted")
    batch: int = Field(4, ge=1, le=8, description="cases that are drafted together, at most, where so many wait")
    gather_milliseconds: int = Field(20, ge=0, le=1000, description="how long a batch waits for further cases")
    lease_seconds: Seconds = Field(5.0, description="a worker that is not heard of for so long is replaced in its case")
    attempts: int = Field(5, ge=1, description="a case whose drafting failed so often is set aside as failed")
    priors_seconds: Seconds = Field(20.0, description="a draft waits so long for earlier studies, then goes on without")
    templates: Path | None = Field(None, description="directory of the site's own report templates (*.toml)")
    rules: Path | None = Field(
        None, description="file of the site's routing rules; empty: all studies are drafted alike"
    )
