"""One frame for a viewer that sets the window itself: 16-bit values with their unit, or 8-bit colours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_io.decoding import MAX_SAMPLES, decode, translated_errors
from dicom_io.greyscale import transform_of
from dicom_io.rendering import render
from dicom_io.windowing import LookupTable, Window

EMPTY = -32768  # where nothing is to be shown
_LARGEST = 32767


@dataclass(frozen=True, slots=True, eq=False)
class ViewFrame:
    """`pixels` is (rows, columns) of int16, a value is `slope * pixel + intercept`; or (rows, columns, 3) of uint8."""

    pixels: NDArray[Any]  # little endian
    slope: float = 1.0
    intercept: float = 0.0
    window: Window | None = None  # to begin with; None for colours
    inverted: bool = False
    hounsfield: bool = False  # whether values are in HU, so that the presets of CT are for them


def view(source: Path | bytes, frame: int = 1, *, max_samples: int = MAX_SAMPLES) -> ViewFrame:
    """Frame `frame` (from 1) of a Part 10 file.

    Values are those after the Modality LUT. Where the header has a VOI LUT, they are what comes out of that, and the
    window spans them all. Values that do not fit 16 bits are scaled, by less than half of one in 65,000 of their range.

    Raises:
        Unreadable, Refused: see rendering.render.
    """
    decoded = decode(source, frame, max_samples=max_samples)
    header = decoded.header
    with translated_errors("the header"):
        if header.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
            return ViewFrame(render(source, frame, max_samples=max_samples).pixels)
        transform = transform_of(header, frame, decoded.bits, preset=None, voi_index=0)
        hounsfield = header.get("Modality") == "CT" and header.get("RescaleIntercept") is not None
    values, empty = transform.values(decoded.samples)
    voi = transform.voi_for(values[~empty])
    if isinstance(voi, LookupTable):
        values, voi, hounsfield = voi.brightness(values) * 4095, Window.between(0, 4095), False
    lowest, highest = (float(values[~empty].min()), float(values[~empty].max())) if not empty.all() else (0.0, 0.0)
    whole = lowest >= -_LARGEST and highest <= _LARGEST and bool(np.array_equal(np.rint(values), values))
    slope, intercept = (1.0, 0.0) if whole else ((highest - lowest) / (2 * _LARGEST) or 1.0, (highest + lowest) / 2)
    pixels = np.rint((values - intercept) / slope).clip(-_LARGEST, _LARGEST).astype("<i2")
    pixels[empty] = EMPTY
    return ViewFrame(pixels, slope, intercept, voi, transform.inverted, hounsfield)
