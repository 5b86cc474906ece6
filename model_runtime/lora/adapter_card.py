"""What an adapter says of itself: adapter_card.toml, which travels with its weights. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_runtime.checkpoints.card_file import assignments, read_card, text
from model_runtime.errors import UnusableAdapter

FILE_NAME = "adapter_card.toml"


@dataclass(frozen=True, slots=True)
class AdapterCard:
    """Who the adapter is, what it was made for, and which weights it was trained on."""

    name: str  # unique among the adapters of a site
    version: str
    purpose: str
    base_fingerprint: str  # as `checkpoint.fingerprint` gives it
    training: Mapping[str, Any]  # facts for people: data, steps, measured quality

    @classmethod
    def read(cls, directory: Path) -> AdapterCard:
        """Raises UnusableAdapter where the card is missing, is not TOML, or lacks a key."""
        path = Path(directory) / FILE_NAME
        card = read_card(path, cls._of, UnusableAdapter, "an adapter travels with its card")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", card.name):  # it becomes part of the names of modules
            raise UnusableAdapter(f"{path} names the adapter {card.name!r}; use letters, digits, - and _ only")
        return card

    @classmethod
    def _of(cls, table: Mapping[str, Any]) -> AdapterCard:
        return cls(
            name=text(table["name"]),
            version=text(table["version"]),
            purpose=text(table["purpose"]),
            base_fingerprint=text(table["base_fingerprint"]),
            training=table.get("training", {}),
        )

    def as_toml(self) -> str:
        """The card as `read` takes it."""
        own = {name: getattr(self, name) for name in ("name", "version", "purpose", "base_fingerprint")}
        return "\n".join([*assignments(own), "", "[training]", *assignments(self.training)]) + "\n"
