"""Cases, their images and their documents for programs: what the pages show, as JSON under /api/v1."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from radplug.people import Right
from radplug.web import changes, images
from radplug.web.answers import BIGGEST, REFUSALS, WHO
from radplug.web.api import CaseId
from radplug.web.case_answers import DeliveryAnswer, PageAnswer, WholeCase, delivery_answer, page_answer, whole_case
from radplug.web.who import Acting, LookingOn, Site, needs
from radplug.web.worklist import Asked

router = APIRouter(prefix="/api/v1", responses=REFUSALS, dependencies=WHO)
looks = [Depends(needs(Right.CASES))]
sees_images = [Depends(needs(Right.PATIENTS))]
Count = Annotated[int, Path(ge=1, le=BIGGEST)]


class SeriesAnswer(BaseModel):
    name: str
    frames: list[tuple[str, int]] = Field(description="SOP Instance UID and frame, in their order")


class StackAnswer(BaseModel):
    series: list[SeriesAnswer]
    presets: dict[str, tuple[float, float]] = Field(description="Center and width of windows for CT")


class Resent(BaseModel):
    letters: int = Field(description="How many were put back in the queue")


def binary(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/cases", dependencies=looks, tags=["cases"])
def cases(house: Site, person: LookingOn, asked: Asked) -> PageAnswer:
    """A page of the worklist. Names and ids are searched and sorted by only for who may see them."""
    house.audit_by(person.name).note("worklist viewed")
    return page_answer(house.worklist.page(asked, house.now(), patients=person.may(Right.PATIENTS)), person)


@router.get("/cases/{case}", dependencies=looks, tags=["cases"])
def case(case: CaseId, house: Site, person: Acting) -> WholeCase:
    """A case with its drafts and deliveries, oldest first."""
    view = house.viewing.whole(case)
    house.audit_by(person.name).note("viewed", case, version=view.case.version)
    signals = house.signals.of_study(view.case.study_uid)
    return whole_case(view, house.drafting.order(view.case), signals, person)


@router.get("/cases/{case}/images", dependencies=sees_images, tags=["images"])
def stack(case: CaseId, house: Site, person: LookingOn) -> StackAnswer:
    """Every series with its frames."""
    house.audit_by(person.name).note("images viewed", case)
    return StackAnswer.model_validate(images.stack(case, house, person))


@router.get(
    "/cases/{case}/frames/{sop_instance_uid}/{frame}",
    dependencies=sees_images,
    tags=["images"],
    response_class=Response,
    responses=binary("application/octet-stream"),
)
def pixels(
    case: CaseId,
    sop_instance_uid: Annotated[str, Path(pattern="^[0-9.]{1,64}$")],
    frame: Count,
    house: Site,
    person: LookingOn,
) -> Response:
    """A frame's values after the Modality LUT, rows after rows, 16 bits little-endian with sign; 8 bits RGB in colour.

    The header X-Frame says in JSON what they are: rows, columns, colour, slope, intercept, window, inverted and
    hounsfield.
    """
    return images.pixels(case, sop_instance_uid, frame, house, person)


@router.get(
    "/cases/{case}/drafts/{version}/images/{number}.png",
    dependencies=sees_images,
    tags=["images"],
    response_class=Response,
    responses=binary("image/png"),
)
def key_image(case: CaseId, version: Count, number: Count, house: Site, person: LookingOn) -> Response:
    """An image as the model was shown it."""
    house.audit_by(person.name).note("images viewed", case)
    return images.key_image(case, version, number, house, person)


@router.get("/dead-letters", dependencies=looks, tags=["documents"])
def dead_letters(house: Site, person: LookingOn) -> list[DeliveryAnswer]:
    """Documents that did not arrive."""
    house.audit_by(person.name).note("dead letters viewed")
    return [delivery_answer(letter) for letter in house.viewing.dead_letters()]


@router.post("/cases/{case}/resend", dependencies=[Depends(needs(Right.DELIVERIES))], tags=["documents"])
def resend(case: CaseId, house: Site, person: Acting) -> Resent:
    """Put a case's dead letters back in the queue, as the same documents."""
    letters = house.delivering.resend(case, house.now())
    house.audit_by(person.name).note("resend asked for", case, letters=letters)
    return Resent(letters=letters)


router.get(
    "/changes",
    dependencies=looks,
    tags=["cases"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)(changes.changes)
