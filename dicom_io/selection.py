"""Which frames of a study deserve to be rendered, and why the others do not. Pure rules, standard library only."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from dicom_io.stacks import Reasons, Stack, clips_and_stills, cross_sections, radiographs
from dicom_io.study import Instance, Study


class Kind(Enum):
    """How the images of a SOP class show the patient; in a mixed study they come in this order."""

    RADIOGRAPH = auto()
    CROSS_SECTION = auto()
    MOVING = auto()  # clips, and the stills between them
    CAPTURE = auto()  # pictures of a screen or a film


# By SOP Class UID (PS3.4 B.5). What is not listed is not rendered: "for processing", RT, segmentations, maps.
KINDS = {
    "1.2.840.10008.5.1.4.1.1.1": Kind.RADIOGRAPH,  # CR
    "1.2.840.10008.5.1.4.1.1.1.1": Kind.RADIOGRAPH,  # DX for presentation
    "1.2.840.10008.5.1.4.1.1.1.2": Kind.RADIOGRAPH,  # MG for presentation
    "1.2.840.10008.5.1.4.1.1.2": Kind.CROSS_SECTION,  # CT
    "1.2.840.10008.5.1.4.1.1.2.1": Kind.CROSS_SECTION,  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2": Kind.CROSS_SECTION,  # Enhanced CT, converted
    "1.2.840.10008.5.1.4.1.1.4": Kind.CROSS_SECTION,  # MR
    "1.2.840.10008.5.1.4.1.1.4.1": Kind.CROSS_SECTION,  # Enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4": Kind.CROSS_SECTION,  # Enhanced MR, converted
    "1.2.840.10008.5.1.4.1.1.128": Kind.CROSS_SECTION,  # PET
    "1.2.840.10008.5.1.4.1.1.128.1": Kind.CROSS_SECTION,  # Enhanced PET, converted
    "1.2.840.10008.5.1.4.1.1.6": Kind.MOVING,  # US, retired
    "1.2.840.10008.5.1.4.1.1.6.1": Kind.MOVING,  # US
    "1.2.840.10008.5.1.4.1.1.3.1": Kind.MOVING,  # US multi-frame
    "1.2.840.10008.5.1.4.1.1.12.1": Kind.MOVING,  # XA
    "1.2.840.10008.5.1.4.1.1.12.2": Kind.MOVING,  # RF
    "1.2.840.10008.5.1.4.1.1.20": Kind.MOVING,  # NM
    "1.2.840.10008.5.1.4.1.1.7": Kind.CAPTURE,  # SC
    "1.2.840.10008.5.1.4.1.1.7.1": Kind.CAPTURE,  # multi-frame SC of single bits,
    "1.2.840.10008.5.1.4.1.1.7.2": Kind.CAPTURE,  # of 8-bit grey,
    "1.2.840.10008.5.1.4.1.1.7.3": Kind.CAPTURE,  # of 16-bit grey
    "1.2.840.10008.5.1.4.1.1.7.4": Kind.CAPTURE,  # and of colours
}

_CROSS_SECTIONAL = frozenset({"CT", "MR", "PT"})


@dataclass(frozen=True, slots=True)
class Choice:
    instance: Instance
    frame: int  # from 1
    preset: str | None  # a name of `windowing.PRESETS`; None for the image's own window
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    series_uid: str
    sop_instance_uids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be rendered, in the order in which it is to be shown.

    `left_out` names what a rule or the limit kept away; what lies between the chosen slices of a stack is not in it.
    """

    chosen: tuple[Choice, ...]
    left_out: tuple[LeftOut, ...]


def select(study: Study, limit: int, *, modalities: Collection[str] | None = None, body_part: str = "") -> Selection:
    """At most `limit` frames that stand for the study: each stack has a fair share, and evenly spaced frames of it.

    `modalities` are those that the model was made for (None: any); `body_part` stands in where a CT header names none.

    Raises:
        ValueError: the limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"a limit of at least 1 is wanted, found {limit}")
    reasons = {i.sop_instance_uid: reason for i in study.instances if (reason := _objection(i, modalities))}
    of_kind: dict[Kind, list[Instance]] = {kind: [] for kind in Kind}
    for image in study.instances:
        if image.sop_instance_uid not in reasons:
            of_kind[KINDS[image.sop_class_uid]].append(image)
    slices, needless = cross_sections(of_kind[Kind.CROSS_SECTION], body_part)
    reasons |= needless
    stacks = [
        *radiographs(of_kind[Kind.RADIOGRAPH]),
        *slices,
        *clips_and_stills(of_kind[Kind.MOVING]),
        *clips_and_stills(of_kind[Kind.CAPTURE]),
    ]
    shares = _fair_shares([stack.length * len(stack.presets) for stack in stacks], limit)
    chosen: list[Choice] = []
    for stack, share in zip(stacks, shares, strict=True):
        chosen += _representatives(stack, share)
        if not share:
            reasons |= {i.sop_instance_uid: f"the limit of {limit} images is reached" for i in stack.images}
    return Selection(tuple(chosen), _left_out(study, reasons))


def _objection(image: Instance, modalities: Collection[str] | None) -> str:
    """What speaks against an image by itself; empty where nothing does."""
    if not image.is_image:
        return "shows no image"
    kind = KINDS.get(image.sop_class_uid)
    if kind is None:
        return "of a SOP class that is not rendered"
    if modalities is not None and image.modality not in modalities:
        return f"the model does not cover modality {image.modality or '(none given)'}"
    if image.burned_in_annotation == "YES":  # absent is not NO, but US and captures rarely say
        return "burned-in text is declared"
    if kind is Kind.CROSS_SECTION and "LOCALIZER" in image.image_type:
        return "localizer"
    if kind is Kind.CAPTURE and image.modality in _CROSS_SECTIONAL:
        return "secondary capture, no slice"
    return ""


def _fair_shares(sizes: list[int], limit: int) -> list[int]:
    """Share the limit by rounds: each size gets one more until it is full, those in front first."""
    shares = [0] * len(sizes)
    while (left := limit - sum(shares)) > 0:
        hungry = [at for at, size in enumerate(sizes) if shares[at] < size][:left]
        if not hungry:
            break
        for at in hungry:
            shares[at] += 1
    return shares


def _representatives(stack: Stack, number: int) -> Iterator[Choice]:
    """The middles of equal stretches of the stack, for its ends show the least; its presets share the number."""
    shares = _fair_shares([stack.length] * len(stack.presets), number)
    for preset, share in zip(stack.presets, shares, strict=True):
        for nth in range(share):
            at = (2 * nth + 1) * stack.length // (2 * share)
            place = f" {at + 1} of {stack.length}" if stack.length > 1 else ""
            yield Choice(*stack.frame(at), preset, stack.what + place)


def _left_out(study: Study, reasons: Reasons) -> tuple[LeftOut, ...]:
    left_out: list[LeftOut] = []
    for series in study.series:
        uids_of: dict[str, list[str]] = {}
        for instance in series.instances:
            if reason := reasons.get(instance.sop_instance_uid):
                uids_of.setdefault(reason, []).append(instance.sop_instance_uid)
        left_out += [LeftOut(series.uid, tuple(uids), reason) for reason, uids in uids_of.items()]
    return tuple(left_out)
