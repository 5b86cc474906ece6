"""Frames for a viewer: with the window that they begin with, they look as they are rendered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from image_samples import BUNDLED, bundled, image, part10
from numpy.typing import NDArray

from dicom_io.errors import DicomError, Refused
from dicom_io.rendering import render
from dicom_io.viewing import EMPTY, ViewFrame, view

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # of values that are wrong on purpose


CURVES: dict[str, Callable[[Any, float, float], Any]] = {
    "LINEAR": lambda values, center, width: (values - center + width / 2) / max(width - 1, 1e-6),
    "LINEAR_EXACT": lambda values, center, width: (values - center + width / 2) / width,
    "SIGMOID": lambda values, center, width: 1 / (1 + np.exp(-4 * (values - center) / width)),
}


def seen(frame: ViewFrame) -> NDArray[np.uint8]:
    """What the viewer's page draws, in its own arithmetic."""
    if frame.window is None:
        return np.asarray(frame.pixels)
    values = frame.pixels.astype(np.float64) * frame.slope + frame.intercept
    share = np.clip(CURVES[frame.window.function](values, frame.window.center, frame.window.width), 0, 1)
    grey = np.rint((1 - share if frame.inverted else share) * 255)
    grey[frame.pixels == EMPTY] = 0
    return np.repeat(grey.astype(np.uint8)[..., np.newaxis], 3, axis=2)


def test_every_bundled_image_looks_in_the_viewer_as_it_is_rendered() -> None:
    compared = 0
    for path in sorted(BUNDLED.rglob("*.dcm")):
        try:
            rendered = render(path)
        except DicomError:
            with pytest.raises(DicomError):
                view(path)
            continue
        frame = view(path)
        off = np.abs(seen(frame).astype(int) - rendered.pixels)
        assert off.max() <= 2, path.name
        compared += 1
    assert compared > 60


def test_values_are_in_their_own_unit() -> None:
    ct = view(bundled("CT_small.dcm"))
    assert (ct.hounsfield, ct.slope, ct.intercept) == (True, 1.0, 0.0)
    assert ct.pixels.dtype == np.dtype("<i2")
    assert ct.pixels.min() < -800  # air


def test_values_that_are_no_whole_numbers_are_scaled() -> None:
    stored = np.array([[0, 1], [2, 1000]], np.uint16)
    frame = view(part10(image(stored, RescaleSlope="0.001", RescaleIntercept="0", WindowCenter="0.5", WindowWidth="1")))
    values = frame.pixels * frame.slope + frame.intercept
    assert np.abs(values - stored * 0.001).max() < 1 / 65_000


def test_padding_is_empty_and_polarity_is_kept() -> None:
    stored = np.array([[7, 0], [100, 4095]], np.uint16)
    frame = view(part10(image(stored, PixelPaddingValue=7, PhotometricInterpretation="MONOCHROME1")))
    assert (frame.pixels == EMPTY).tolist() == [[True, False], [False, False]]
    assert frame.inverted


def test_a_frame_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused):
        view(bundled("CT_small.dcm"), 2)
