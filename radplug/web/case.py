"""The page of one case: its images beside its report, with what whoever reads the draft should know of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from radplug.desk import Flaw
from radplug.people import Right
from radplug.web.who import Acting, LookingOn, Site, needs
from radplug.web.words import pages

router = APIRouter(include_in_schema=False)
CaseId = Annotated[str, Path(pattern="^[0-9a-f]{1,32}$")]


@router.get("/cases/{case_id}", response_class=HTMLResponse, dependencies=[Depends(needs(Right.CASES))])
def case(case_id: CaseId, request: Request, house: Site, person: Acting, version: int | None = None) -> Response:
    if not house.readers.others(case_id, "", house.now()):
        house.desks.renew(case_id)
    view = house.viewing.whole(case_id)
    draft = next((d for d in view.drafts if d.version == (version or view.case.version)), None)
    if version is not None and draft is None:
        raise HTTPException(404, f"this case has no draft {version}")
    house.audit_by(person.name).note("viewed", case_id, version=draft.version if draft else 0)
    context = {
        "person": person,
        "order": house.drafting.order(view.case),
        "signals": house.signals.of_study(view.case.study_uid),
        "patients": person.may(Right.PATIENTS),
        "reports": person.may(Right.REPORTS),
        "view": view,
        "case": view.case,
        "flaws": Flaw,
        "draft": draft,
        "steers": person.may(Right.STEER) and draft is not None and version in (None, view.case.version),
        "speech": house.settings.web.speech,
    }
    return pages.TemplateResponse(request, "case.html", context)


@router.get("/cases/{case_id}/sent", response_class=HTMLResponse, dependencies=[Depends(needs(Right.CASES))])
def sent(case_id: CaseId, request: Request, house: Site, person: LookingOn) -> Response:
    """What has become of its documents, for a page that is open already."""
    return pages.TemplateResponse(request, "sent.html", {"person": person, "view": house.viewing.whole(case_id)})


@router.get("/cases/{case_id}/version", dependencies=[Depends(needs(Right.CASES))])
def version(case_id: CaseId, house: Site) -> PlainTextResponse:
    """The number of the latest draft, for a page that shows an older one or none."""
    return PlainTextResponse(str(house.viewing.case(case_id).version))
