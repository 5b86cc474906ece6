"""What is chosen from: the files, and over them what was saved in the page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from model_runtime.canvas import Template
from radplug.templates.files import TemplateFile
from radplug.templates.reading import parse
from radplug.texts.history import Version
from radplug.texts.reading import bad, bearable


@dataclass(frozen=True, slots=True)
class SavedTemplate:
    """A template that was saved in the page, with its version there."""

    version: Version
    text: str
    template: Template

    @property
    def ours(self) -> bool:
        return False

    @property
    def where(self) -> str:
        return f"saved in the page, version {self.version.version}"


InUse = TemplateFile | SavedTemplate


def in_use(files: Sequence[TemplateFile], newest: Iterable[Version]) -> tuple[InUse, ...]:
    """The templates in the order in which they are asked; the page's replace files of the same name.

    One that replaces a site's file takes its place in the order, so that an edit of its words moves no study to
    another template; the page's others go first.

    Raises:
        UnusableText: a saved text cannot be used by this version of radplug.
    """
    saved = {version.name: _read(version, version.text) for version in newest if version.text is not None}
    placed = [file if file.ours else saved.pop(file.template.name, file) for file in files]
    return (*saved.values(), *(one for one in placed if one.template.name not in saved))


def _read(version: Version, text: str) -> SavedTemplate:
    return SavedTemplate(version, text, parse(text, f"template {version.name}, version {version.version}"))


def check(text: str, name: str | None, taken: Collection[str]) -> Template:
    """The template that somebody has written: one called `name`, or, where that is None, one not yet `taken`.

    Raises:
        BadText: it cannot be saved.
    """
    where = f"template {name}" if name else "the new template"
    bearable(text, where)
    template = parse(text, where)
    if name and template.name != name:
        raise bad(where, text, [(["name"], f"must stay {name}; for another name, make a new template")])
    if not name and template.name in taken:
        raise bad(where, text, [(["name"], f"there is a template {template.name} already; give this one its own")])
    return template
