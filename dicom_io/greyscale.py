"""Stored values to 8-bit grey: padding, Modality LUT, VOI LUT or window, polarity (PS3.4 N.2.1.2).

pydicom's `apply_voi_lut` and `apply_presentation_lut` are not used: they ignore functional groups and MONOCHROME1, and
their brightness depends on the data. Here it runs from 0 to 255, whatever the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_io.errors import Refused, Unreadable
from dicom_io.windowing import PRESETS, Floats, LookupTable, Window

PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class Rescale:
    """Modality values are slope * stored + intercept (PS3.3 C.11.1)."""

    slope: float
    intercept: float


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """What takes the stored values of one frame to grey, as its header says.

    `voi` is None where the header has none: the data then set their own window. `voi_source` says in words where the
    VOI comes from.
    """

    padding: tuple[float, float] | None  # lowest and highest stored value that shows nothing
    modality: Rescale | LookupTable | None
    voi: Window | LookupTable | None
    voi_source: str
    inverted: bool

    def apply(self, stored: NDArray[Any]) -> Grey:
        """The grey image (rows, columns) of stored values (rows, columns)."""
        values, empty = self.values(stored)
        voi = self.voi_for(values[~empty])
        grey = np.rint(voi.brightness(values) * 255).astype(np.uint8)
        if self.inverted:
            grey = 255 - grey
        grey[empty] = 0  # black in either polarity
        return Grey(grey, voi if isinstance(voi, Window) else None, int(empty.sum()))

    def values(self, stored: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        """Modality values (rows, columns), and where there are none to be shown."""
        empty = ~np.isfinite(stored)
        if self.padding:
            empty |= (stored >= self.padding[0]) & (stored <= self.padding[1])
        return self._modality_values(stored), empty

    def voi_for(self, shown: Floats) -> Window | LookupTable:
        """The header's, or the window that the values themselves set."""
        return self.voi or _percentile_window(shown)

    def _modality_values(self, stored: NDArray[Any]) -> Floats:
        if isinstance(self.modality, LookupTable):
            return self.modality.look_up(stored)
        values: Floats = np.nan_to_num(stored.astype(np.float32 if stored.dtype.itemsize <= 2 else np.float64))
        if isinstance(self.modality, Rescale):
            values = values * self.modality.slope + self.modality.intercept
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Grey:
    pixels: NDArray[np.uint8]  # (rows, columns)
    window: Window | None  # None where a VOI LUT was applied
    padding_pixels: int


def transform_of(header: Dataset, frame: int, bits: int, *, preset: str | None, voi_index: int) -> Transform:
    """The transform that the header prescribes for a frame (from 1), or with a preset's window in place of its own.

    Raises:
        Refused: the preset is in HU and the image is not, or the header has no VOI of this index.
        Unreadable: a lookup table is shorter than it says, or the rescale is not a number.
    """
    values = _functional_group(header, frame, "PixelValueTransformationSequence")
    modality = _modality(values)
    voi: Window | LookupTable | None
    if preset is not None:
        _require_hounsfield(header, values, preset)
        voi, source = PRESETS[preset], f"preset {preset}"
    else:
        voi, source = _voi(_functional_group(header, frame, "FrameVOILUTSequence"), voi_index)
        if voi is None and modality is None and bits <= 8:
            voi, source = Window.between(0, 2**bits - 1), "none in the header: shown as stored"
    return Transform(_padding(header), modality, voi, source, _inverted(header))


def lookup_table(descriptor: Any, data: Any, *, little_endian: bool) -> LookupTable:
    """A table as a data set holds it: `descriptor` is (number of entries, first value, bits), `data` US or OW.

    Raises:
        Unreadable: there are fewer entries than the descriptor says.
    """
    number, first, bits = (int(value) for value in descriptor)
    number = number or 2**16
    if isinstance(data, bytes):
        wide = len(data) >= 2 * number
        entries = np.frombuffer(data, f"{'<' if little_endian else '>'}u{2 if wide else 1}")
    else:
        entries = np.atleast_1d(np.asarray(data, dtype=np.uint16))
    if len(entries) < number or not 1 <= bits <= 16:
        raise Unreadable(f"a lookup table of {number} entries of {bits} bits has {len(entries)} entries")
    return LookupTable(first, entries[:number], bits)


def _functional_group(header: Dataset, frame: int, keyword: str) -> Dataset:
    """The frame's own macro, else the one that all frames share, else the header itself (PS3.3 C.7.6.16)."""
    for groups, index in (("PerFrameFunctionalGroupsSequence", frame - 1), ("SharedFunctionalGroupsSequence", 0)):
        items = header.get(groups) or ()
        if index < len(items) and items[index].get(keyword):
            macro: Dataset = items[index][keyword].value[0]
            return macro
    return header


def _padding(header: Dataset) -> tuple[float, float] | None:
    """PS3.3 C.7.5.1.1.2: both ends of the range belong to it, and either may be the lower."""
    for kind in ("", "Float", "DoubleFloat"):
        value = header.get(f"{kind}PixelPaddingValue")
        if value is not None:
            limit = header.get(f"{kind}PixelPaddingRangeLimit")
            ends = (float(value), float(value if limit is None else limit))
            return min(ends), max(ends)
    return None


def _modality(module: Dataset) -> Rescale | LookupTable | None:
    if module.get("ModalityLUTSequence"):
        return _table_in(module.ModalityLUTSequence[0])
    if module.get("RescaleSlope") is None or module.get("RescaleIntercept") is None:
        return None
    rescale = Rescale(float(module.RescaleSlope), float(module.RescaleIntercept))
    if not (isfinite(rescale.slope) and isfinite(rescale.intercept)):
        raise Unreadable("the rescale slope or intercept is not a number")
    return rescale


def _require_hounsfield(header: Dataset, module: Dataset, preset: str) -> None:
    """Rescaled CT values are in HU unless Rescale Type says otherwise (PS3.3 C.8.2.1.1.2)."""
    rescaled = module.get("RescaleIntercept") is not None and (module.get("RescaleType") or "HU") == "HU"
    if header.get("Modality") != "CT" or not rescaled:
        raise Refused(f"the preset {preset} is in HU, and this image's values are not")


def _voi(module: Dataset, index: int) -> tuple[Window | LookupTable | None, str]:
    """The VOI of this index, and where it comes from; a lookup table is what the maker of the image prefers."""
    tables = module.get("VOILUTSequence") or ()
    if tables:
        _require_index(index, len(tables))
        return _table_in(tables[index]), f"VOI LUT {index + 1} of {len(tables)}"
    centers, widths = (_numbers(module.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    function = str(module.get("VOILUTFunction") or "LINEAR").upper()
    windows = [Window(center, width, function) for center, width in zip(centers, widths, strict=False)]
    if not windows:
        return None, "none in the header: percentiles {} to {}".format(*PERCENTILES)
    _require_index(index, len(windows))
    if not windows[index].usable:
        return None, "the header's window is not valid: percentiles {} to {}".format(*PERCENTILES)
    return windows[index], f"window {index + 1} of {len(windows)}"


def _require_index(index: int, number: int) -> None:
    if not 0 <= index < number:
        raise Refused(f"VOI {index + 1} is wanted of an image with {number}")


def _numbers(value: Any) -> list[float]:
    """A DS of one value, several or none."""
    if value is None or value == "":
        return []
    return [float(number) for number in value] if hasattr(value, "__iter__") else [float(value)]


def _table_in(item: Dataset) -> LookupTable:
    return lookup_table(item.LUTDescriptor, item.LUTData, little_endian=item.original_encoding[1] is not False)


def _inverted(header: Dataset) -> bool:
    """Presentation LUT Shape where it stands, else the photometric interpretation (PS3.3 C.11.6.1.2, C.7.6.3.1.2)."""
    shape = str(header.get("PresentationLUTShape") or "").upper()
    return shape == "INVERSE" if shape else header.PhotometricInterpretation == "MONOCHROME1"


def _percentile_window(values: Floats) -> Window:
    if not values.size:
        return Window.between(0, 1)
    darkest, brightest = np.percentile(values, PERCENTILES)
    return Window.between(float(darkest), float(brightest))
