"""Windows, their presets and lookup tables: numbers in, brightness from 0 to 1 out (PS3.3 C.11.1, C.11.2)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Window:
    """The values around `center` that are spread over the greys; `width` and `center` are in the image's own unit."""

    center: float
    width: float
    function: str = "LINEAR"

    @classmethod
    def between(cls, darkest: float, brightest: float) -> Window:
        """The window in which these two are the first black and the first white value."""
        return cls((darkest + brightest) / 2, (brightest - darkest) or 1.0, "LINEAR_EXACT")

    @property
    def usable(self) -> bool:
        """Whether the standard allows it: LINEAR wants a width of at least 1, the others one above 0."""
        known = self.function in {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
        wide = self.width >= 1 if self.function == "LINEAR" else self.width > 0
        return known and wide and isfinite(self.center) and isfinite(self.width)

    def brightness(self, values: Floats) -> Floats:
        """PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT)."""
        if self.function == "SIGMOID":
            exponent = np.clip(-4 * (values - self.center) / self.width, -80, 80)  # e to the 80 fits a float32
            sigmoid: Floats = 1 / (1 + np.exp(exponent))
            return sigmoid
        darkest, width = self.center - self.width / 2, self.width
        if self.function == "LINEAR":
            width = max(width - 1, 1e-6)  # a width of 1 is a threshold
        line: Floats = np.clip((values - darkest) / width, 0, 1)
        return line


# In Hounsfield units: for CT only.
PRESETS = {
    "lung": Window(-600, 1500),
    "mediastinum": Window(40, 400),
    "abdomen": Window(50, 400),
    "liver": Window(60, 160),
    "bone": Window(400, 1800),
    "brain": Window(40, 80),
    "subdural": Window(75, 215),
    "stroke": Window(40, 40),
    "angio": Window(300, 600),
}


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """`entries` stand for the values from `first` on; what lies outside takes the nearest of them (PS3.3 C.11.1.1)."""

    first: int
    entries: NDArray[np.integer[Any]]
    bits: int  # that an entry may use

    def look_up(self, values: NDArray[Any]) -> Floats:
        places = np.rint(values.astype(np.float64)) - self.first
        index = np.clip(places, 0, len(self.entries) - 1).astype(np.intp)
        found: Floats = self.entries[index].astype(np.float32)
        return found

    def brightness(self, values: Floats) -> Floats:
        share: Floats = np.clip(self.look_up(values) / (2**self.bits - 1), 0, 1)
        return share
