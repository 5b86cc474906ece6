"""Cards, the TOML files that travel with weights: read with a plain word about what is wrong, and written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from model_runtime.errors import DraftingError

Card = TypeVar("Card")


def read_card(path: Path, build: Callable[[dict[str, Any]], Card], wrong: type[DraftingError], why: str) -> Card:
    """What `build` makes of the file's table; `why` there must be one, in words.

    Raises `wrong` where the file is missing, is not TOML, lacks a key that `build` asks for, or holds a value that
    `build` refuses with TypeError or ValueError.
    """
    try:
        return build(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise wrong(f"{path} is missing; {why}") from None
    except KeyError as error:
        raise wrong(f"{path} lacks the key {error}; add it") from error
    except (OSError, TypeError, ValueError) as error:  # TOML and UTF-8 errors are ValueErrors
        raise wrong(f"{path} cannot be read: {error}; mend it") from error


def text(value: object) -> str:
    """Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"text is wanted, not {value!r}")
    return value


def assignments(table: Mapping[str, object]) -> list[str]:
    """A table's lines; JSON's strings, numbers and lists are TOML's too."""
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
