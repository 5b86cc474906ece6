"""Images that stand for one another: the slices of a series, the frames of a clip, the stills of a series.

Each function takes the images of one kind in the order of their study. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter
from typing import TypeAlias

from dicom_io import geometry
from dicom_io.study import Instance

Reasons: TypeAlias = dict[str, str]  # SOP Instance UID → why the image is left out

# CT by Body Part Examined (PS3.16 Annex L): the presets that a chosen slice may be shown in. A part that is not listed
# is shown in the window of its own header.
CT_PRESETS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("HEAD", "BRAIN"), ("brain",)),
    **dict.fromkeys(("NECK", "HEADNECK"), ("mediastinum",)),
    **dict.fromkeys(("CHEST", "LUNG", "NECKCHEST"), ("lung", "mediastinum")),
    **dict.fromkeys(("CHESTABDOMEN", "CHESTABDPELVIS", "NECKCHESTABDOMEN", "NECKCHESTABDPELV"), ("lung", "abdomen")),
    **dict.fromkeys(("ABDOMEN", "ABDOMENPELVIS", "PELVIS", "PANCREAS", "KIDNEY"), ("abdomen",)),
    "LIVER": ("liver",),
    **dict.fromkeys(("SPINE", "CSPINE", "TSPINE", "LSPINE", "TLSPINE", "SKULL"), ("bone",)),
    **dict.fromkeys(("EXTREMITY", "SHOULDER", "ELBOW", "WRIST", "HAND", "HIP", "KNEE", "ANKLE", "FOOT"), ("bone",)),
}

_REFORMATTED = frozenset({"CT", "PT"})  # whose series of one plane show the same; each MR series has its own contrast
_VIEWS = {"AP": (0, "frontal "), "PA": (0, "frontal "), "LL": (2, "lateral "), "RL": (2, "lateral ")}
_OTHER_VIEW = (1, "")


@dataclass(frozen=True, slots=True)
class Stack:
    """The frames of one image, or images of one frame each, in their order in space or time.

    Each may be shown in every one of the presets (None: the image's own window).
    """

    what: str
    images: tuple[Instance, ...]
    presets: tuple[str | None, ...] = (None,)

    @property
    def length(self) -> int:
        return len(self.images) if len(self.images) > 1 else self.images[0].frames

    def frame(self, at: int) -> tuple[Instance, int]:
        """The image at this place (from 0), and the number of its frame (from 1)."""
        return (self.images[at], 1) if len(self.images) > 1 else (self.images[0], at + 1)


def radiographs(images: Iterable[Instance]) -> list[Stack]:
    """Every image is a stack of its own; frontal views come first, lateral ones last."""
    stacks = [(*_VIEWS.get(image.view_position, _OTHER_VIEW), image) for image in images]
    return [Stack(f"{view}radiograph", (image,)) for _, view, image in sorted(stacks, key=lambda s: s[0])]


def clips_and_stills(images: Iterable[Instance]) -> list[Stack]:
    """Every clip is a stack of its own, and so are the stills of a series."""
    stacks: list[Stack] = []
    for _, series in groupby(images, key=attrgetter("series_uid")):
        members = list(series)
        stacks += [Stack("frame", (clip,)) for clip in members if clip.frames > 1]
        if stills := tuple(still for still in members if still.frames == 1):
            stacks.append(Stack("image", stills))
    return stacks


def cross_sections(images: Sequence[Instance], body_part: str) -> tuple[list[Stack], Reasons]:
    """The slices of each series in space, and each multi-frame object; and what is left out of them.

    Reformats and projections (DERIVED, SECONDARY) are used only where nothing original is there. Of the CT or PET
    series of one plane and body part the one with the most positions is taken: it is the longest or the thinnest.
    `body_part` stands in where a header names none.
    """
    originals = [i for i in images if not {"DERIVED", "SECONDARY"} <= set(i.image_type)] or images
    reasons = _because("derived from other slices", _all_but(originals, images))
    stacks = [Stack("frame", (i,), _presets(i, body_part)) for i in originals if i.frames > 1]
    rivals: dict[tuple[str, ...], list[list[Instance]]] = {}
    for uid, series in groupby((i for i in originals if i.frames == 1), key=attrgetter("series_uid")):
        main, *others = geometry.parallel_groups(series)
        reasons |= _because("turned otherwise than most of its series", chain(*others))
        if len(main) > 1 and not geometry.is_placed(main[0]):
            reasons |= _because("does not say where it lies among its series", main)
            continue
        slices = geometry.in_order(main)
        reasons |= _because("at the same place as another slice", _all_but(slices, main))
        first = slices[0]
        key = (first.modality, first.body_part, geometry.plane(first)) if first.modality in _REFORMATTED else (uid,)
        rivals.setdefault(key, []).append(slices)
    for candidates in sorted(rivals.values(), key=lambda series: _plane_rank(series[0][0])):
        best = max(candidates, key=len)
        plane = geometry.plane(best[0])
        stacks.append(Stack(f"{plane} slice".strip(), tuple(best), _presets(best[0], body_part)))
        reasons |= _because(f"another {plane} series shows more", chain(*(c for c in candidates if c is not best)))
    return stacks, reasons


def _plane_rank(slice_: Instance) -> int:
    """Axial first for CT and PET; MR stays in the order of its protocol."""
    ranks = (*geometry.PLANES, "")
    return ranks.index(geometry.plane(slice_)) if slice_.modality in _REFORMATTED else 0


def _presets(image: Instance, body_part: str) -> tuple[str | None, ...]:
    if image.modality != "CT":
        return (None,)
    return CT_PRESETS.get(image.body_part or body_part.upper(), (None,))


def _all_but(some: Iterable[Instance], images: Iterable[Instance]) -> list[Instance]:
    uids = {image.sop_instance_uid for image in some}
    return [image for image in images if image.sop_instance_uid not in uids]


def _because(reason: str, images: Iterable[Instance]) -> Reasons:
    return {image.sop_instance_uid: reason for image in images}
