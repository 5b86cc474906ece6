"""What an adapter says of itself: adapter_card.toml, which travels with its weights. Standard library only."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            card = cls(
                name=_text(table["name"]),
                version=_text(table["version"]),
                purpose=_text(table["purpose"]),
                base_fingerprint=_text(table["base_fingerprint"]),
                training=table.get("training", {}),
            )
        except FileNotFoundError:
            raise UnusableAdapter(f"{path} is missing; an adapter travels with its card") from None
        except KeyError as error:
            raise UnusableAdapter(f"{path} lacks the key {error}; add it") from error
        except (OSError, TypeError, ValueError) as error:  # TOML and UTF-8 errors are ValueErrors
            raise UnusableAdapter(f"{path} cannot be read: {error}; mend it") from error
        if not re.fullmatch(r"[A-Za-z0-9_-]+", card.name):  # it becomes part of the names of modules
            raise UnusableAdapter(f"{path} names the adapter {card.name!r}; use letters, digits, - and _ only")
        return card

    def as_toml(self) -> str:
        """The card as `read` takes it; JSON's strings, numbers and lists are TOML's too."""
        own = {name: getattr(self, name) for name in ("name", "version", "purpose", "base_fingerprint")}
        return "\n".join([*_assignments(own), "", "[training]", *_assignments(self.training)]) + "\n"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text is wanted, not {value!r}")
    return value


def _assignments(table: Mapping[str, object]) -> list[str]:
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
