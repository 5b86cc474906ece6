"""What the pages of templates and of rules share: a text that is sent, its versions, and what is wrong with it."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from radplug.texts.history import File, History
from radplug.texts.reading import BadText


class Written(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=16_000, description="TOML, as the documentation describes it")


def text_of(past: History[File], version: int) -> str:
    """Raises HTTPException."""
    text = past.texts.get(version)
    if text is None:
        raise HTTPException(404, f"{past.name} has no text of version {version}")
    return text


def versions_of(past: History[File]) -> list[dict[str, Any]]:
    return [
        {"version": v.version, "by": v.by, "at": v.at, "why": v.why, "taken_out": v.text is None} for v in past.versions
    ]


def mistakes_of(error: BadText) -> dict[str, Any]:
    """What a page shows of them."""
    first, *others = error.mistakes
    more = f" (and {len(others)} more)" if others else ""
    return {"mistakes": error.mistakes, "verdict": f"Line {first.line}: {first.reason}{more}"}
