"""Dictated text, divided among the sections of a report by the names that its sender gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from model_runtime.canvas import Section


def sections_by_name(templates: Iterable[Section], site: Mapping[str, str]) -> dict[str, str]:
    """What a section may be called, in lower case: by its code, its name, its heading, or as the site says."""
    known = {
        called.lower(): section.name
        for section in templates
        for called in (section.code.value, section.code.meaning, section.name, section.heading.rstrip(":"))
    }
    return known | {called.lower(): name for called, name in site.items()}


def parts(called: Iterable[str], text: str, sections: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Section and text of each part of a passage; without a section, the model chooses one.

    What the passage is called tells the section, or a heading on a line, alone or with a colon behind it.
    """
    section = next((sections[name.lower()] for name in called if name.lower() in sections), "")
    lines: list[str] = []
    for line in text.split("\n"):
        heading, _, rest = line.partition(":")
        named = sections.get(heading.strip().lower())
        if named is None:
            lines.append(line)
            continue
        yield from _part(section, lines)
        section, lines = named, [rest.strip()]
    yield from _part(section, lines)


def _part(section: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    if text := "\n".join(lines).strip():
        yield section, text
