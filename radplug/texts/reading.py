"""A TOML text → a pydantic model, or all that is wrong with it: line and reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from radplug.texts.lines import line_of_error, lines_of

Model = TypeVar("Model", bound=BaseModel)
Fault = tuple[Sequence[str | int], str]  # path of a key, and what is wrong with it

MOST_LINES = 400  # where a mistake stands is found by reading ever more of a text


@dataclass(frozen=True, slots=True)
class Mistake:
    line: int  # counted from 1
    reason: str


class UnusableText(Exception):
    """Texts cannot be used; the message names, a line each, where they stand, the line there and the reason."""


class BadText(UnusableText):
    """One text cannot be used: every mistake in it, in the order of its lines."""

    def __init__(self, where: str, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(f"{where}, line {mistake.line}: {mistake.reason}" for mistake in mistakes))
        self.mistakes = mistakes


def text_of(file: Path) -> str:
    """Raises UnusableText."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UnusableText(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise BadText(str(file), [Mistake(line, "holds a byte that is not UTF-8; save the file as UTF-8")]) from None


def bearable(text: str, where: str) -> None:
    """Raises BadText where it is longer than anybody waits for while it is checked."""
    if text.count("\n") > MOST_LINES:
        raise BadText(
            where, [Mistake(MOST_LINES, f"goes on; a text that is saved here has {MOST_LINES} lines at most")]
        )


def validated(model: type[Model], text: str, where: str, unknown_key: str) -> Model:
    """The model that a TOML text is; `where` it stands and what an `unknown_key` is, for people.

    Raises:
        BadText: it is none; all that is wrong with it is named at once.
    """
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadText(where, [Mistake(line_of_error(text, error), str(error))]) from None
    except ValidationError as error:
        faults = [_fault(each, unknown_key) for each in error.errors(include_url=False)]
        raise bad(where, text, faults) from None
    except (ValueError, RecursionError):  # tomllib lets Python's own limits through
        raise BadText(where, [Mistake(1, "holds a number or a nesting beyond all measure")]) from None


def bad(where: str, text: str, faults: Iterable[Fault]) -> BadText:
    """What is wrong with keys of a text that is TOML."""
    paths, reasons = zip(*faults, strict=True)
    found = sorted(zip(lines_of(text, paths), map(_words, paths), reasons, strict=True))
    return BadText(where, [Mistake(line, f"{key}: {reason}") for line, key, reason in found])


def _fault(error: ErrorDetails, unknown_key: str) -> Fault:
    return error["loc"], {"missing": "is missing", "extra_forbidden": unknown_key}.get(error["type"], error["msg"])


def _words(path: Sequence[str | int]) -> str:
    """A key as people write it; which of several is meant, the line tells."""
    return ".".join(step for step in path if isinstance(step, str))


# ── values ──


def wrong(reason: str) -> PydanticCustomError:
    return PydanticCustomError("text", "{reason}", {"reason": reason})


def one_line(text: str) -> str:
    if not text.strip():
        raise wrong("is empty")
    if text != text.strip() or not text.isprintable():
        raise wrong("must be one line of printable characters, without space at its ends")
    return text


def _code_string(text: str) -> str:
    if not re.fullmatch(r"[A-Z0-9_ ]{1,16}", text.strip().upper()):
        raise wrong("holds what is no DICOM code; those are at most 16 letters, digits, spaces and underscores")
    return text.strip().upper()


OneLine = Annotated[str, AfterValidator(one_line)]
CodeString = Annotated[str, AfterValidator(_code_string)]  # PS3.5 section 6.2, CS
