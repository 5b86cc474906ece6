"""The images of a study that matter, rendered to PNG files, each with how it was made."""

from __future__ import annotations

from collections.abc import Sequence

from dicom_io.errors import DicomError
from dicom_io.rendering import render
from dicom_io.selection import select
from dicom_io.study import Study
from radplug.domain import Case, KeptInstance, KeyImage, NotDraftable, Plan
from radplug.study_store import StudyStore, write_durably


class KeyImages:
    """Renders at most `limit` images of a study."""

    def __init__(self, store: StudyStore, limit: int) -> None:
        self._store = store
        self._limit = limit

    def render(self, case: Case, version: int, plan: Plan, instances: Sequence[KeptInstance]) -> tuple[KeyImage, ...]:
        """Select, render and write the key images.

        Raises:
            NotDraftable: nothing can or should be rendered; the text says why for each image that was left out.
        """
        files = {kept.instance.sop_instance_uid: kept.file for kept in instances}
        study = Study.of(kept.instance for kept in instances)
        selection = select(study, min(self._limit, plan.images), modalities={plan.modality}, body_part=plan.body_part)
        reasons = [left_out.reason for left_out in selection.left_out]
        folder = self._store.case_folder(case.id, version)
        made: list[KeyImage] = []
        for choice in selection.chosen:
            instance = choice.instance
            try:
                path = self._store.path(files[instance.sop_instance_uid])
                image = render(path, choice.frame, preset=choice.preset)
            except DicomError as error:
                reasons.append(str(error))
                continue
            file = folder / f"image-{len(made) + 1}.png"
            write_durably(file, image.png())
            made.append(
                KeyImage(
                    file=str(file.relative_to(self._store.root)),
                    sop_class_uid=instance.sop_class_uid,
                    sop_instance_uid=instance.sop_instance_uid,
                    frame=choice.frame,
                    provenance=image.provenance(),
                )
            )
        if not made:
            raise NotDraftable("no image can be rendered: " + "; ".join(dict.fromkeys(reasons)))
        return tuple(made)
