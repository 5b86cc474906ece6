"""The templates that are files: the site's, then ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_runtime.canvas import Template
from radplug.templates.reading import parse
from radplug.texts.lines import line_of
from radplug.texts.reading import UnusableText, text_of

OURS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A template, its text, and the file that it was read from."""

    path: Path
    text: str
    template: Template

    @property
    def ours(self) -> bool:
        return self.path.parent == OURS

    @property
    def where(self) -> str:
        return str(self.path)


def read(file: Path) -> TemplateFile:
    """Raises UnusableText, which names all that is wrong with the file at once."""
    text = text_of(file)
    return TemplateFile(file, text, parse(text, str(file)))


def read_all(site: Path | None) -> tuple[TemplateFile, ...]:
    """The templates in the directory `site`, then ours, by file name; the site's replace ours of the same name.

    Raises:
        UnusableText: the directory is not there, or files cannot be used: all of them are named.
    """
    if site is not None and not site.is_dir():
        raise UnusableText(f"{site}: there is no such directory; mend drafting.templates")
    found: dict[str, TemplateFile] = {}
    faults: list[str] = []
    for path in [*(sorted(site.glob("*.toml")) if site else ()), *sorted(OURS.glob("*.toml"))]:
        try:
            one = read(path)
        except UnusableText as error:
            faults.append(str(error))
            continue
        first = found.setdefault(one.template.name, one)
        if first.ours == one.ours and first is not one:
            line = line_of(one.text, ("name",))
            faults.append(f"{path}, line {line}: name: {first.path} has it already; give each template its own")
    if faults:
        raise UnusableText("\n".join(faults))
    return tuple(found.values())
