"""How DICOM's and the domain's values are written for people; everything else escapes itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from fastapi.templating import Jinja2Templates

from radplug.people import Right


def person_name(name: str) -> str:
    """A PN as people write it: family name, given names; each of its groups (PS3.5 6.2.1.2)."""
    return " · ".join(filter(None, map(_group, name.split("="))))


def _group(group: str) -> str:
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    called = " ".join(filter(None, (prefix, given, middle, suffix)))
    return ", ".join(filter(None, (family, called))).strip()


def date(da: str) -> str:
    """A DA (YYYYMMDD) with hyphens; as it is where it is none."""
    return f"{da[:4]}-{da[4:6]}-{da[6:]}" if len(da) == 8 and da.isdigit() else da


def ago(at: datetime, now: datetime | None = None) -> str:
    seconds = int(((now or datetime.now(UTC)) - at).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def sureness(confidence: float | None) -> str:
    """The style class of a span: how sure the model was of it."""
    if confidence is None:
        return "sure-unknown"
    return f"sure-{sum(confidence >= step for step in (0.5, 0.8, 0.95))}"


pages = Jinja2Templates(Path(__file__).parent / "pages")
pages.env.globals["Right"] = Right
pages.env.filters.update(person_name=person_name, date=date, ago=ago, sureness=sureness)
