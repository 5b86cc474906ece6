"""How drafts fare: a page with figures and plots, and the same as JSON, and as CSV, without patient data."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from radplug import insight
from radplug.insight import Fate, Group
from radplug.people import Right
from radplug.web.answers import REFUSALS, WHO
from radplug.web.who import Acting, Site, needs
from radplug.web.words import pages
from radplug.wiring import House

reads = Depends(needs(Right.REPORTS))
api = APIRouter(prefix="/api/v1", tags=["insight"], responses=REFUSALS, dependencies=[*WHO, reads])
router = APIRouter(include_in_schema=False, dependencies=[reads])
Days = Annotated[int, Query(ge=1, le=3660, description="Of drafts made in so many days until now")]


class GroupAnswer(BaseModel):
    """How drafts of one kind fared. Times are medians, in seconds; null of nothing."""

    template: str
    model: str
    adapter: str = Field(description="The beginning of its fingerprint; empty: none")
    drafts: int
    opened: int
    accepted: int
    discarded: int
    acceptance: float | None = Field(description="Accepted, as a share of those ended")
    anchors: float | None = Field(description="Mean, of those ended")
    changed: dict[str, float] = Field(description="Words that went or came, as a share of both texts, by section")
    to_draft: float | None = Field(description="From the first image's arrival")
    to_end: float | None = Field(description="From opening the case")


class ReasonAnswer(BaseModel):
    reason: str
    drafts: int


class EditedAnswer(BaseModel):
    sentence: str
    cases: int


class DayAnswer(BaseModel):
    day: date
    accepted: int
    discarded: int


class InsightAnswer(BaseModel):
    drafts: int
    groups: list[GroupAnswer]
    days: list[DayAnswer] = Field(description="Those on which something ended")
    discarded: list[ReasonAnswer] = Field(description="Most frequent first")
    edited: list[EditedAnswer] = Field(
        description=f"Sentences of the model's that were edited away, in {insight.TOLD_FROM} cases or more"
    )


@router.get("/insight", response_class=HTMLResponse)
def page(request: Request, house: Site, person: Acting, days: Days = 30) -> Response:
    fates = _fates(house, days)
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


@api.get("/insight")
def figures(house: Site, person: Acting, days: Days = 30) -> InsightAnswer:
    """How drafts fare, by template, model and adapter."""
    fates = _fates(house, days)
    house.audit_by(person.name).note("viewed insight", days=days)
    return InsightAnswer(
        drafts=len(fates),
        groups=[_group(group) for group in insight.groups(fates)],
        days=[DayAnswer(day=day, accepted=a, discarded=d) for day, a, d in insight.by_day(fates)],
        discarded=[ReasonAnswer(reason=reason, drafts=count) for reason, count in insight.reasons(fates)],
        edited=[EditedAnswer(sentence=sentence, cases=cases) for sentence, cases in insight.most_edited(fates)],
    )


def _group(group: Group) -> GroupAnswer:
    return GroupAnswer(
        template=group.kind.template,
        model=group.kind.model,
        adapter=group.kind.adapter,
        drafts=group.drafts,
        opened=group.opened,
        accepted=group.accepted,
        discarded=group.discarded,
        acceptance=group.acceptance,
        anchors=group.anchors,
        changed=dict(group.changed),
        to_draft=group.to_draft,
        to_end=group.to_end,
    )


@api.get(
    "/insight.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
@router.get("/insight.csv")
def export(house: Site, person: Acting, days: Days = 30) -> Response:
    """One row for each case: what drafted, how it ended, how long it took; nothing that names a person or a study."""
    fates = _fates(house, days)
    house.audit_by(person.name).note("exported insight", days=days)
    sections = sorted({name for fate in fates for name in fate.changed})
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*COLUMNS, *(f"changed: {name}" for name in sections)])
    for fate in fates:
        writer.writerow([*_row(fate), *(_number(fate.changed.get(name)) for name in sections)])
    name = f'attachment; filename="radplug-insight-{days}-days.csv"'
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})


def _fates(house: House, days: int) -> Sequence[Fate]:
    return house.fates.since(house.now() - timedelta(days=days))


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
