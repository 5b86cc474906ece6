"""Where in a TOML text something stands. tomllib tells the lines of syntax errors only.

A text is cut into statements by reading ever longer beginnings of it: tomllib refuses those that end within one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any


def line_of(text: str, path: Sequence[str | int]) -> int:
    """Line, counted from 1, of the statement that brings the key at `path`; where there is none, that of its parent.

    `text` is valid TOML. A statement of several lines is known by its first.
    """
    (line,) = lines_of(text, [path])
    return line


def lines_of(text: str, paths: Iterable[Sequence[str | int]]) -> list[int]:
    """`line_of` for each of the paths; the text is cut into statements once."""
    statements = list(_statements(text))

    def line_of(path: Sequence[str | int]) -> int:
        found = next((line for line, table in statements if _holds(table, path)), None)
        return found or (line_of(path[:-1]) if path else 1)

    return [line_of(path) for path in paths]


def line_of_error(text: str, error: tomllib.TOMLDecodeError) -> int:
    """Line of a syntax error; where tomllib knows the document's end only, of the statement that never ends."""
    if told := re.search(r"\(at line (\d+), column \d+\)$", str(error)):
        return int(told[1])
    return 1 + max((text.count("\n", 0, end) for end in _ends(text)), default=0)


def _statements(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each statement's first line, and all that the text says up to its last."""
    line = 1
    for end in _ends(text):
        yield line, tomllib.loads(text[:end])
        line = 1 + text.count("\n", 0, end)


def _ends(text: str) -> Iterator[int]:
    """Offsets at which a statement is over, with the comments and empty lines that follow it."""
    for end in (*(match.end() for match in re.finditer(r"\n(?=[ \t]*[^\s#])", text)), len(text)):
        try:
            tomllib.loads(text[:end])
        except (ValueError, RecursionError):
            continue
        yield end


def _holds(table: Any, path: Sequence[str | int]) -> bool:
    for step in path:
        try:
            table = table[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
