"""How drafts fare: a page with figures and plots, and the same as CSV without patient data."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from radplug import insight
from radplug.insight import Fate
from radplug.people import Right
from radplug.web.who import Acting, Site, needs
from radplug.web.words import pages

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Right.REPORTS))])
Days = Annotated[int, Query(ge=1, le=3660)]


@router.get("/insight", response_class=HTMLResponse)
def page(request: Request, house: Site, person: Acting, days: Days = 30) -> Response:
    fates = house.fates.since(house.now() - timedelta(days=days))
    house.audit_by(person.name).note("viewed insight", days=days)
    by_day = insight.by_day(fates)
    context = {
        "person": person,
        "days": days,
        "fates": len(fates),
        "groups": insight.groups(fates),
        "reasons": insight.reasons(fates),
        "edited": insight.most_edited(fates),
        "told_from": insight.TOLD_FROM,
        "by_day": by_day,
        "tallest": max((accepted + discarded for _, accepted, discarded in by_day), default=1),
    }
    return pages.TemplateResponse(request, "insight.html", context)


@router.get("/insight.csv")
def export(house: Site, person: Acting, days: Days = 30) -> Response:
    """One row for each case: what drafted, how it ended, how long it took; nothing that names a person or a study."""
    fates = house.fates.since(house.now() - timedelta(days=days))
    house.audit_by(person.name).note("exported insight", days=days)
    sections = sorted({name for fate in fates for name in fate.changed})
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*COLUMNS, *(f"changed: {name}" for name in sections)])
    for fate in fates:
        writer.writerow([*_row(fate), *(_number(fate.changed.get(name)) for name in sections)])
    name = f'attachment; filename="radplug-insight-{days}-days.csv"'
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})


COLUMNS = ("template", "model", "adapter", "ending", "reason", "anchors", "seconds to draft", "seconds open")


def _row(fate: Fate) -> list[object]:
    open_for = (fate.ended_at - fate.opened_at).total_seconds() if fate.ended_at and fate.opened_at else None
    kind = fate.kind
    return [
        *(_plain(text) for text in (kind.template, kind.model, kind.adapter)),
        fate.ending or "",
        fate.reason,
        fate.anchors,
        _number((fate.drafted_at - fate.arrived_at).total_seconds()),
        _number(open_for),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _plain(text: str) -> str:
    """A spreadsheet takes a cell that begins so for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
