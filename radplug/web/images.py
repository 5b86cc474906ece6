"""A case's images for its page: those that the model was shown, and every frame of the study for the viewer."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path
from fastapi.responses import FileResponse, Response

from dicom_io.errors import DicomError
from dicom_io.study import Study
from dicom_io.viewing import view
from dicom_io.windowing import PRESETS
from radplug.people import Right
from radplug.web.who import LookingOn, Site, needs, note_view

CACHED = {"Cache-Control": "private, max-age=3600, immutable"}  # bytes of an instance never change

router = APIRouter(prefix="/cases/{case_id}", include_in_schema=False, dependencies=[Depends(needs(Right.PATIENTS))])
CaseId = Annotated[str, Path(pattern="^[0-9a-f]{1,32}$")]


@router.get("/images/{version}/{number}.png")
def key_image(case_id: CaseId, version: int, number: int, house: Site, person: LookingOn) -> Response:
    """The `number`th (from 1) image that the model was shown for a draft."""
    drafts = {draft.version: draft for draft in house.viewing.drafts(case_id)}
    images = drafts[version].images if version in drafts else ()
    if not 1 <= number <= len(images):
        raise HTTPException(404, "there is no such image")
    note_view(house, person, case_id)
    return FileResponse(house.store.path(images[number - 1].file), media_type="image/png", headers=CACHED)


@router.get("/stack")
def stack(case_id: CaseId, house: Site, person: LookingOn) -> dict[str, Any]:
    """Every series with its frames in their order, and the window presets of CT."""
    house.viewing.case(case_id)
    note_view(house, person, case_id)
    images = [kept.instance for kept in house.drafting.instances(case_id) if kept.instance.is_image]
    return {
        "series": [
            {
                "name": f"{series.instances[0].series_description or series.modality}",
                "frames": [[i.sop_instance_uid, frame] for i in series.instances for frame in range(1, i.frames + 1)],
            }
            for series in (Study.of(images).series if images else ())
        ],
        "presets": {name: [window.center, window.width] for name, window in PRESETS.items()},
    }


@router.get("/frames/{sop_instance_uid}/{frame}")
def pixels(
    case_id: CaseId,
    sop_instance_uid: Annotated[str, Path(pattern="^[0-9.]{1,64}$")],
    frame: Annotated[int, Path(ge=1)],
    house: Site,
    person: LookingOn,
) -> Response:
    """A frame's values, rows after rows, as dicom_io.viewing has them; what they are stands in the header X-Frame."""
    file = house.viewing.file_of(case_id, sop_instance_uid)
    if file is None:
        raise HTTPException(404, "there is no such image")
    try:
        shown = view(house.store.path(file), frame)
    except DicomError as error:
        raise HTTPException(422, str(error)) from error
    about = {
        "rows": shown.pixels.shape[0],
        "columns": shown.pixels.shape[1],
        "colour": shown.pixels.ndim == 3,
        "slope": shown.slope,
        "intercept": shown.intercept,
        "window": [shown.window.center, shown.window.width] if shown.window else None,
        "curve": shown.window.function if shown.window else None,
        "inverted": shown.inverted,
        "hounsfield": shown.hounsfield,
    }
    headers = {**CACHED, "X-Frame": json.dumps(about)}
    return Response(shown.pixels.tobytes(), media_type="application/octet-stream", headers=headers)
