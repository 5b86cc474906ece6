"""What a checkpoint says of itself: model_card.toml, which travels with the weights. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_runtime.checkpoints.card_file import read_card, text
from model_runtime.errors import UnusableCheckpoint

FILE_NAME = "model_card.toml"


@dataclass(frozen=True, slots=True)
class Sampler:
    """How the canvas is denoised; fixed for a loaded model, since a compiled sampler keeps its first settings.

    `entropy_bound` and `confidence_threshold` are in nats, the latter as a mean over the free positions.
    """

    steps: int
    entropy_bound: float
    t_min: float
    t_max: float
    confidence_threshold: float
    stability_threshold: int

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Sampler:
        """Raises KeyError where a setting is absent, TypeError or ValueError where one is no number."""
        return cls(
            steps=int(table["steps"]),
            entropy_bound=float(table["entropy_bound"]),
            t_min=float(table["t_min"]),
            t_max=float(table["t_max"]),
            confidence_threshold=float(table["confidence_threshold"]),
            stability_threshold=int(table["stability_threshold"]),
        )


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Who the model is, what it was made for, and how it wants to be used."""

    name: str
    version: str
    purpose: str
    modalities: tuple[str, ...]  # DICOM modality codes; empty: any
    body_parts: tuple[str, ...]  # DICOM body part codes; empty: any
    end: str  # the token that fills the canvas behind the report
    sampler: Sampler
    filler: str | None  # the token that leaves a position of a gap empty; None where the model has not learnt one
    prompt: Mapping[str, Any]  # `pattern`: the prompt's text; `images`, `earlier`: see most_images, most_earlier
    training: Mapping[str, Any]  # facts for people: data, steps, measured quality

    @classmethod
    def read(cls, directory: Path) -> ModelCard:
        """Raises UnusableCheckpoint where the card is missing, is not TOML, or lacks a key."""
        return read_card(
            Path(directory) / FILE_NAME, cls._of, UnusableCheckpoint, "a checkpoint travels with its model card"
        )

    @classmethod
    def _of(cls, table: Mapping[str, Any]) -> ModelCard:
        return cls(
            name=text(table["name"]),
            version=text(table["version"]),
            purpose=text(table["purpose"]),
            modalities=_codes(table["modalities"]),
            body_parts=_codes(table["body_parts"]),
            end=text(table["end"]),
            filler=text(table["filler"]) if "filler" in table else None,
            sampler=Sampler.of(table["sampler"]),
            prompt=table.get("prompt", {}),
            training=table.get("training", {}),
        )

    @property
    def most_images(self) -> int:
        """How many images of a study one prompt may hold, as the model has learnt it."""
        return int(self.prompt.get("images", 1))

    @property
    def most_earlier(self) -> int:
        """How many reports on earlier studies it may hold."""
        return int(self.prompt.get("earlier", 0))

    def covers(self, modality: str, body_part: str) -> str | None:
        """Why a study is outside what the model was made for, in plain words; None where it is inside."""
        for what, found, known in (("modality", modality, self.modalities), ("body part", body_part, self.body_parts)):
            if known and found.strip().upper() not in known:
                stated = f"{what} {found.strip()}" if found.strip() else f"a study without {what}"
                return f"the model {self.name} does not cover {stated}; it was made for {', '.join(known)}"
        return None


def _codes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"a list of codes is wanted, not {value!r}")
    return tuple(text(code).upper() for code in value)
