"""A template's text → a Template, or all that is wrong with it: line and reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from model_runtime.canvas import SMALLEST_GAP, Code, Section, Template
from radplug.templates.lines import line_of_error, lines_of

CANVAS = 256  # tokens that the models draft at a time: a section is drafted whole

Fault = tuple[Sequence[str | int], str]  # path of a key, and what is wrong with it


@dataclass(frozen=True, slots=True)
class Mistake:
    line: int  # counted from 1
    reason: str


class BadTemplate(Exception):
    """Templates cannot be used; the text names, a line each, where they stand, the line there and the reason."""


class BadText(BadTemplate):
    """One template's text cannot be used: every mistake in it, in the order of its lines."""

    def __init__(self, where: str, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(f"{where}, line {mistake.line}: {mistake.reason}" for mistake in mistakes))
        self.mistakes = mistakes


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
    try:
        raw = _Template.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadText(where, [Mistake(line_of_error(text, error), str(error))]) from None
    except ValidationError as error:
        raise bad(where, text, map(_fault, error.errors(include_url=False))) from None
    except (ValueError, RecursionError):  # tomllib lets Python's own limits through
        raise BadText(where, [Mistake(1, "holds a number or a nesting beyond all measure")]) from None
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


def bad(where: str, text: str, faults: Iterable[Fault]) -> BadText:
    """What is wrong with keys of a text that is TOML."""
    paths, reasons = zip(*faults, strict=True)
    found = sorted(zip(lines_of(text, paths), map(_words, paths), reasons, strict=True))
    return BadText(where, [Mistake(line, f"{key}: {reason}") for line, key, reason in found])


def _words(path: Sequence[str | int]) -> str:
    """A key as people write it; which section is meant, the line tells."""
    return ".".join(step for step in path if isinstance(step, str))
