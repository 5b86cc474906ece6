"""The report templates that come along, and the site's own: read from TOML, chosen by modality and body part."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model_runtime.canvas import Code, Section, Template

OURS = Path(__file__).parent


class BadTemplate(Exception):
    """A template file cannot be used; the text names the file and what is wrong with it."""


class _Code(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: str = Field(min_length=1)
    scheme: str = Field(min_length=1)
    meaning: str = Field(min_length=1)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[A-Z][A-Z0-9 _-]*$")
    heading: str = Field(min_length=1)
    code: _Code
    tokens: int = Field(gt=0)
    normal: str = ""
    required: bool = True


class _Template(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: _Code
    modalities: list[str] = []
    body_parts: list[str] = []
    section: list[_Section] = Field(min_length=1)


def read(file: Path) -> Template:
    """Raises BadTemplate."""
    try:
        raw = _Template.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise BadTemplate(f"{file}: {wrong}") from None
    except (OSError, ValueError) as error:
        raise BadTemplate(f"{file}: {error}") from None
    names = [section.name for section in raw.section]
    if len(set(names)) != len(names):
        raise BadTemplate(f"{file}: two sections have the same name; anchors could not tell them apart")
    return Template(
        name=raw.name,
        title=Code(**raw.title.model_dump()),
        sections=tuple(Section(**{**s.model_dump(), "code": Code(**s.code.model_dump())}) for s in raw.section),
        modalities=frozenset(m.upper() for m in raw.modalities),
        body_parts=frozenset(b.upper() for b in raw.body_parts),
    )


def read_all(site: Path | None) -> tuple[Template, ...]:
    """The site's templates, then ours; one of the site's takes the place of ours with the same name.

    Raises:
        BadTemplate: any file is wrong.
    """
    files = [*(sorted(site.glob("*.toml")) if site else ()), *sorted(OURS.glob("*.toml"))]
    by_name: dict[str, Template] = {}
    for template in map(read, files):
        by_name.setdefault(template.name, template)
    return tuple(by_name.values())


def choose(templates: Sequence[Template], modality: str, body_part: str) -> Template | None:
    """The first template that claims both modality and body part, else the first that claims neither."""
    for template in templates:
        if modality in template.modalities and body_part in template.body_parts:
            return template
    return next((t for t in templates if not t.modalities and not t.body_parts), None)
