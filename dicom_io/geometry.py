"""Where slices lie: their plane, and their order along the normal (PS3.3 C.7.6.2.1.1). Standard library only."""

from __future__ import annotations

from collections.abc import Iterable

from dicom_io.study import Instance

PLANES = ("axial", "coronal", "sagittal")

_SAME_DIRECTION = 0.01  # difference of direction cosines: about half a degree
_SAME_POSITION = 0.1  # mm


def is_placed(slice_: Instance) -> bool:
    """Whether the slice says where it lies."""
    return slice_.position is not None and slice_.orientation is not None


def plane(slice_: Instance) -> str:
    """The plane that the slice is nearest to; empty where it does not say how it is turned."""
    if slice_.orientation is None:
        return ""
    x, y, z = map(abs, _normal(slice_))
    return max(zip((z, y, x), PLANES, strict=True))[1]


def parallel_groups(slices: Iterable[Instance]) -> list[list[Instance]]:
    """Slices of one orientation and frame of reference together, the largest group first.

    Those that do not say where they lie are one group, and the last.
    """
    groups: list[list[Instance]] = []
    for slice_ in slices:
        for group in groups:
            if _parallel(group[0], slice_):
                group.append(slice_)
                break
        else:
            groups.append([slice_])
    return sorted(groups, key=lambda group: (is_placed(group[0]), len(group)), reverse=True)


def in_order(slices: Iterable[Instance]) -> list[Instance]:
    """Parallel slices along their normal, and of several at one position (phases, b-values) the first only.

    The instance number plays no part: it may run against the anatomy, or through phases and echoes.
    """
    ordered: list[Instance] = []
    for slice_ in sorted(slices, key=_along_normal):
        if not ordered or _along_normal(slice_) - _along_normal(ordered[-1]) > _SAME_POSITION:
            ordered.append(slice_)
    return ordered


def _parallel(one: Instance, other: Instance) -> bool:
    if not (is_placed(one) and is_placed(other)):
        return is_placed(one) == is_placed(other)
    cosines = zip(one.orientation or (), other.orientation or (), strict=True)
    same_frame = one.frame_of_reference_uid == other.frame_of_reference_uid
    return same_frame and all(abs(a - b) < _SAME_DIRECTION for a, b in cosines)


def _normal(slice_: Instance) -> tuple[float, float, float]:
    """The cross product of the row's and the column's direction."""
    a, b, c, d, e, f = slice_.orientation or (1, 0, 0, 0, 1, 0)
    return (b * f - c * e, c * d - a * f, a * e - b * d)


def _along_normal(slice_: Instance) -> float:
    """Where on its normal the slice lies, in mm."""
    return sum(p * n for p, n in zip(slice_.position or (0, 0, 0), _normal(slice_), strict=True))
