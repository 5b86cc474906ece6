"""A template's text → a Template, or all that is wrong with it: line and reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from model_runtime.canvas import SMALLEST_GAP, Code, Section, Template
from radplug.texts.reading import CodeString, Fault, OneLine, bad, one_line, validated, wrong

CANVAS = 256  # tokens that the models draft at a time: a section is drafted whole


def _like(pattern: str, reason: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise wrong(reason)
        return text

    return AfterValidator(check)


def _writable(text: str) -> str:
    if "\\" in text:
        raise wrong("holds a backslash, which separates values in DICOM")
    return one_line(text)


Writable = AfterValidator(_writable)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Code(_Strict):
    value: Annotated[str, Field(max_length=64), Writable]
    scheme: Annotated[str, Field(max_length=16), Writable]
    meaning: Annotated[str, Field(max_length=64), Writable]


class _Procedure(_Strict):
    value: OneLine
    scheme: str  # empty where codes come without


class _Section(_Strict):
    name: Annotated[str, _like(r"[A-Z][A-Z0-9 _-]*", "must be capital letters, digits, spaces, - and _")]
    heading: OneLine
    code: _Code
    tokens: int = Field(ge=SMALLEST_GAP)
    normal: str = ""
    required: bool = True

    @field_validator("tokens")
    @classmethod
    def _fits_the_canvas(cls, tokens: int, info: ValidationInfo) -> int:
        # no tokenizer is asked: none makes more tokens than there are bytes; one is the space before, one the end
        most = CANVAS - 2 - len(info.data.get("heading", "").encode())
        if tokens > most:
            raise wrong(f"a canvas has {CANVAS} tokens: with its heading, the section's slot may have {most} at most")
        return tokens

    @field_validator("normal")
    @classmethod
    def _is_text_that_fits_the_slot(cls, normal: str, info: ValidationInfo) -> str:
        if not all(line.isprintable() for line in normal.split("\n")):
            raise wrong("holds characters that cannot be printed")
        words, tokens = len(normal.split()), info.data.get("tokens", CANVAS)
        if words > tokens:
            raise wrong(f"has {words} words and does not fit the section's slot of {tokens} tokens")
        return normal.strip()


class _Template(_Strict):
    name: Annotated[str, _like(r"[a-z0-9][a-z0-9-]{0,63}", "must be small letters, digits and -, 64 at most")]
    title: _Code
    procedures: list[_Procedure] = []
    modalities: list[CodeString] = []
    body_parts: list[CodeString] = []
    section: list[_Section] = Field(min_length=1)


def parse(text: str, where: str) -> Template:
    """The template that a TOML text is; `where` it stands, for people.

    Raises:
        BadText: it is none; all that is wrong with it is named at once.
    """
    raw = validated(_Template, text, where, "is no key of a template; see docs/templates.md")
    if twice := list(_said_twice(raw)):
        raise bad(where, text, twice)
    return Template(
        name=raw.name,
        title=Code(**raw.title.model_dump()),
        sections=tuple(Section(**{**dict(s), "code": Code(**s.code.model_dump())}) for s in raw.section),
        modalities=frozenset(raw.modalities),
        body_parts=frozenset(raw.body_parts),
        procedures=frozenset((procedure.value, procedure.scheme) for procedure in raw.procedures),
    )


def _said_twice(raw: _Template) -> Iterator[Fault]:
    for key, what in (("name", "anchors could not tell them apart"), ("heading", "readers could not tell them apart")):
        seen: set[Any] = set()
        for number, section in enumerate(raw.section):
            value = getattr(section, key)
            if value in seen:
                yield ("section", number, key), f"an earlier section has it already; {what}"
            seen.add(value)
