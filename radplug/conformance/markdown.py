"""A document as a tree of sections, and that tree as Markdown with numbers and a table of contents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: tuple[str, ...] = ()  # paragraphs, lists and tables
    parts: tuple[Section, ...] = ()


def document(title: str, cover: Sequence[str], sections: Sequence[Section]) -> str:
    """Title, cover, contents, and the sections, numbered from 1."""
    numbered = list(_numbered(sections, ""))
    contents = [f"{'  ' * number.count('.')}- {number} {section.title}" for number, section in numbered]
    blocks = [f"# {title}", *cover, "## Contents", "\n".join(contents)]
    for number, section in numbered:
        blocks += [f"{'#' * (number.count('.') + 2)} {number} {section.title}", *section.blocks]
    return "\n\n".join(filter(None, blocks)) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Empty where there are no rows."""
    lines = [_row(row) for row in rows]
    return "\n".join((_row(head), _row(["---"] * len(head)), *lines)) if lines else ""


def bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def code(text: str) -> str:
    """As it stands, whatever it holds; empty for nothing."""
    return f"`{text}`" if text else ""


def _numbered(sections: Sequence[Section], prefix: str) -> Iterator[tuple[str, Section]]:
    for number, section in enumerate(sections, 1):
        yield f"{prefix}{number}", section
        yield from _numbered(section.parts, f"{prefix}{number}.")


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
