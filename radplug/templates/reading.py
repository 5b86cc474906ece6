"""A template file → a Template, or what is wrong with it: file, line and reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from model_runtime.canvas import SMALLEST_GAP, Code, Section, Template
from radplug.templates.lines import line_of, line_of_error

CANVAS = 256  # tokens that the models draft at a time: a section is drafted whole

Fault = tuple[Sequence[str | int], str]  # path of a key, and what is wrong with it


class BadTemplate(Exception):
    """Template files cannot be used; the text names, a line each, the file, the line in it and the reason."""


def _wrong(reason: str) -> PydanticCustomError:
    return PydanticCustomError("template", "{reason}", {"reason": reason})


def _like(pattern: str, reason: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise _wrong(reason)
        return text

    return AfterValidator(check)


def _one_line(text: str) -> str:
    if not text.strip():
        raise _wrong("is empty")
    if text != text.strip() or not text.isprintable():
        raise _wrong("must be one line of printable characters, without space at its ends")
    return text


def _writable(text: str) -> str:
    if "\\" in text:
        raise _wrong("holds a backslash, which separates values in DICOM")
    return _one_line(text)


def _code_string(text: str) -> str:
    if not re.fullmatch(r"[A-Z0-9_ ]{1,16}", text.strip().upper()):
        raise _wrong("holds what is no DICOM code; those are at most 16 letters, digits, spaces and underscores")
    return text.strip().upper()


Writable = AfterValidator(_writable)
OneLine = Annotated[str, AfterValidator(_one_line)]
CodeString = Annotated[str, AfterValidator(_code_string)]  # PS3.5 section 6.2, CS


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
            raise _wrong(f"a canvas has {CANVAS} tokens: with its heading, the section's slot may have {most} at most")
        return tokens

    @field_validator("normal")
    @classmethod
    def _is_text_that_fits_the_slot(cls, normal: str, info: ValidationInfo) -> str:
        if not all(line.isprintable() for line in normal.split("\n")):
            raise _wrong("holds characters that cannot be printed")
        words, tokens = len(normal.split()), info.data.get("tokens", CANVAS)
        if words > tokens:
            raise _wrong(f"has {words} words and does not fit the section's slot of {tokens} tokens")
        return normal.strip()


class _Template(_Strict):
    name: Annotated[str, _like(r"[a-z0-9][a-z0-9-]*", "must be small letters, digits and -")]
    title: _Code
    procedures: list[_Procedure] = []
    modalities: list[CodeString] = []
    body_parts: list[CodeString] = []
    section: list[_Section] = Field(min_length=1)


def read(file: Path) -> Template:
    """Raises BadTemplate, which names all that is wrong with the file at once."""
    text = _text(file)
    try:
        raw = _Template.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadTemplate(f"{file}, line {line_of_error(text, error)}: {error}") from None
    except ValidationError as error:
        raise _bad(file, text, map(_fault, error.errors(include_url=False))) from None
    if twice := list(_said_twice(raw)):
        raise _bad(file, text, twice)
    return Template(
        name=raw.name,
        title=Code(**raw.title.model_dump()),
        sections=tuple(Section(**{**dict(s), "code": Code(**s.code.model_dump())}) for s in raw.section),
        modalities=frozenset(raw.modalities),
        body_parts=frozenset(raw.body_parts),
        procedures=frozenset((procedure.value, procedure.scheme) for procedure in raw.procedures),
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadTemplate(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise BadTemplate(f"{file}, line {line}: holds a byte that is not UTF-8; save the file as UTF-8") from None


def _fault(error: ErrorDetails) -> Fault:
    reasons = {"missing": "is missing", "extra_forbidden": "is no key of a template; see docs/templates.md"}
    return error["loc"], reasons.get(error["type"], error["msg"])


def _said_twice(raw: _Template) -> Iterator[Fault]:
    for key, what in (("name", "anchors could not tell them apart"), ("heading", "readers could not tell them apart")):
        seen: set[Any] = set()
        for number, section in enumerate(raw.section):
            value = getattr(section, key)
            if value in seen:
                yield ("section", number, key), f"an earlier section has it already; {what}"
            seen.add(value)


def _bad(file: Path, text: str, faults: Iterable[Fault]) -> BadTemplate:
    found = sorted((line_of(text, path), _words(path), reason) for path, reason in faults)
    return BadTemplate("\n".join(f"{file}, line {line}: {key}: {reason}" for line, key, reason in found))


def _words(path: Sequence[str | int]) -> str:
    """A key as people write it; which section is meant, the line tells."""
    return ".".join(step for step in path if isinstance(step, str))
