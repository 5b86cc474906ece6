"""The findings that a phantom shows and that a text is searched for, one value for each. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

Side = Literal["right", "left"]
SIDES: tuple[Side, ...] = get_args(Side)

_EFFUSION = ("none", "small", "large")
_ZONE = ("none", "upper", "mid", "lower")
_PRESENT = ("none", "present")

# The first value of each is the normal one.
CHOICES: dict[str, tuple[str, ...]] = {
    "effusion_right": _EFFUSION,
    "effusion_left": _EFFUSION,
    "consolidation_right": _ZONE,
    "consolidation_left": _ZONE,
    "nodule_right": _ZONE,
    "nodule_left": _ZONE,
    "pneumothorax_right": _PRESENT,
    "pneumothorax_left": _PRESENT,
    "heart": ("normal", "mild", "marked"),
    "endotracheal_tube": _PRESENT,
    "central_line": ("none", "right", "left"),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """One value for each finding. Sides are the patient's: right is on the image's left.

    Raises ValueError for a value that CHOICES does not have.
    """

    effusion_right: str = "none"
    effusion_left: str = "none"
    consolidation_right: str = "none"  # the lung zone it lies in
    consolidation_left: str = "none"
    nodule_right: str = "none"  # the lung zone it lies in
    nodule_left: str = "none"
    pneumothorax_right: str = "none"
    pneumothorax_left: str = "none"
    heart: str = "normal"
    endotracheal_tube: str = "none"
    central_line: str = "none"  # the side it comes from

    def __post_init__(self) -> None:
        for finding, value in self.table().items():
            if value not in CHOICES[finding]:
                raise ValueError(f"{finding} cannot be {value!r}; it is one of {', '.join(CHOICES[finding])}")

    def table(self) -> dict[str, str]:
        return asdict(self)

    def of(self, finding: str, side: str) -> str:
        """The value of a finding that each side has for itself: `of("effusion", "left")`."""
        return str(getattr(self, f"{finding}_{side}"))

    def having(self, finding: str, value: str) -> Facts:
        """The same with one value changed."""
        return replace(self, **{finding: value})


def is_positive(finding: str, value: str) -> bool:
    """Whether the value is other than normal."""
    return value != CHOICES[finding][0]
