"""Stored values to grey: padding, Modality LUT, VOI LUT or window, polarity."""

from __future__ import annotations

import numpy as np
import pytest
from image_samples import image, item, part10
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_io.errors import Refused, Unreadable
from dicom_io.rendering import RenderedImage, render
from dicom_io.windowing import PRESETS, Window

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # of values that are wrong on purpose

RAMP = np.arange(-1024, 3072, dtype=np.int16).reshape(64, 64)
HU = {"RescaleSlope": 1, "RescaleIntercept": 0}


def grey(data_set: Dataset, **options: object) -> NDArray[np.uint8]:
    return render(part10(data_set), **options).pixels[..., 0]  # type: ignore[arg-type]


def rendered(data_set: Dataset, **options: object) -> RenderedImage:
    return render(part10(data_set), **options)  # type: ignore[arg-type]


def lut(descriptor: list[int], entries: list[int], vr: str) -> Dataset:
    table = Dataset()
    table.add_new("LUTDescriptor", "SS" if min(descriptor) < 0 else "US", descriptor)
    table.add_new("LUTData", vr, entries if vr == "US" else np.array(entries, "<u2").tobytes())
    return table


# Windows


def test_a_linear_window_is_the_formula_of_the_standard() -> None:
    values = np.array([-1000.0, 39.5 - 49.5, 39.5, 39.5 + 49.5, 1000.0])
    assert Window(40, 100).brightness(values).tolist() == [0, 0, 0.5, 1, 1]


def test_a_linear_window_of_width_one_is_a_threshold() -> None:
    values = np.array([39.0, 39.5, 39.6, 40.0])
    assert Window(40, 1).brightness(values).tolist() == [0, 0, 1, 1]


def test_linear_exact_and_sigmoid_windows() -> None:
    values = np.array([-10.0, 0.0, 10.0])
    assert Window(0, 20, "LINEAR_EXACT").brightness(values).tolist() == [0, 0.5, 1]
    sigmoid = Window(0, 20, "SIGMOID").brightness(values)
    assert sigmoid.tolist() == pytest.approx([1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-2))])
    assert Window(0, 1e-3, "SIGMOID").brightness(np.array([-1e9, 1e9])).tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize(
    ("window", "usable"),
    [
        (Window(0, 1), True),
        (Window(0, 0.5), False),
        (Window(0, 0.5, "LINEAR_EXACT"), True),
        (Window(0, 0, "LINEAR_EXACT"), False),
        (Window(0, -3, "SIGMOID"), False),
        (Window(float("nan"), 10), False),
        (Window(0, 10, "LOGARITHMIC"), False),
    ],
)
def test_which_windows_the_standard_allows(window: Window, usable: bool) -> None:
    assert window.usable is usable


def test_the_windows_of_a_header_are_chosen_by_their_index() -> None:
    data_set = image(RAMP, WindowCenter=[40, -600], WindowWidth=[400, 1500])
    first, second = rendered(data_set), rendered(data_set, voi_index=1)
    assert (first.window, first.voi) == (Window(40, 400), "window 1 of 2")
    assert (second.window, second.voi) == (Window(-600, 1500), "window 2 of 2")
    assert second.pixels.mean() > first.pixels.mean()
    with pytest.raises(Refused, match="VOI 3 is wanted of an image with 2"):
        render(part10(data_set), voi_index=2)


def test_the_voi_function_of_the_header_is_followed() -> None:
    window = {"WindowCenter": 1000, "WindowWidth": 2000, "VOILUTFunction": "SIGMOID"}
    assert grey(image(RAMP, **window))[0, 0] == round(255 / (1 + np.exp(4 * 2024 / 2000)))


def test_a_window_that_the_standard_does_not_allow_is_not_used_and_that_is_said() -> None:
    shown = rendered(image(RAMP, WindowCenter=40, WindowWidth=0))
    assert shown.voi == "the header's window is not valid: percentiles 0.5 to 99.5"
    assert shown.pixels.std() > 50


# No window


def test_without_a_window_the_data_set_their_own_and_padding_has_no_say() -> None:
    values = np.tile(np.linspace(1000, 1999, 100).astype(np.int16), (100, 1))
    values[:, :60] = -32768
    shown = rendered(image(values, PixelPaddingValue=-32768))
    low, high = np.percentile(values[:, 60:], [0.5, 99.5])
    assert shown.window == Window.between(low, high)
    assert shown.voi == "none in the header: percentiles 0.5 to 99.5"
    assert shown.padding_pixels == 6000


def test_8_bits_without_a_window_are_shown_as_they_are_stored() -> None:
    values = np.arange(50, 114, dtype=np.uint8).reshape(8, 8)
    shown = rendered(image(values))
    assert np.array_equal(shown.pixels[..., 0], values)
    assert shown.voi == "none in the header: shown as stored"


def test_an_image_of_one_value_is_grey() -> None:
    assert np.unique(grey(image(np.full((4, 4), 700, np.int16)))).tolist() == [128]


# Modality


def test_slope_and_intercept_come_before_the_window() -> None:
    shown = rendered(image(RAMP, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=40, WindowWidth=400))
    expected = np.clip(((RAMP * 2.0 - 100 - 39.5) / 399 + 0.5) * 255, 0, 255)
    assert np.abs(shown.pixels[..., 0] - expected).max() <= 0.5001
    assert shown.modality_transform == "2 x stored + -100"


@pytest.mark.parametrize("vr", ["US", "OW"])
def test_a_modality_lut_maps_stored_values_and_what_is_outside_takes_its_ends(vr: str) -> None:
    table = lut([4, 10, 16], [0, 100, 200, 65535], vr)
    stored = np.array([[0, 10, 11, 12, 13, 99]], np.int16)
    window = {"WindowCenter": 128, "WindowWidth": 256}
    shown = rendered(image(stored, ModalityLUTSequence=Sequence([table]), **window))
    assert shown.pixels[0, :, 0].tolist() == [0, 0, 100, 200, 255, 255]
    assert shown.modality_transform == "lookup table"


def test_a_rescale_that_is_no_number_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="not a number"):
        render(part10(image(RAMP, RescaleSlope="nan", RescaleIntercept=0)))


def test_a_long_modality_lut_of_8_bit_pixels_loses_no_entry() -> None:
    table = lut([4096, -3000, 16], list(range(4096)), "US")
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    window = {"WindowCenter": 3127.5, "WindowWidth": 255, "VOILUTFunction": "LINEAR_EXACT"}
    assert np.array_equal(grey(image(stored, ModalityLUTSequence=Sequence([table]), **window)), stored)


def test_a_voi_lut_goes_before_a_window() -> None:
    table = lut([3, -1, 8], [255, 128, 0], "US")
    stored = np.array([[-5, -1, 0, 1, 5]], np.int16)
    shown = rendered(image(stored, VOILUTSequence=Sequence([table]), WindowCenter=0, WindowWidth=9))
    assert shown.pixels[0, :, 0].tolist() == [255, 255, 128, 0, 0]
    assert (shown.voi, shown.window) == ("VOI LUT 1 of 1", None)


def test_a_lookup_table_shorter_than_it_says_is_unreadable() -> None:
    table = lut([9, 0, 8], [255, 128, 0], "US")
    with pytest.raises(Unreadable, match="9 entries of 8 bits has 3"):
        render(part10(image(RAMP, VOILUTSequence=Sequence([table]))))


# Presets


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_takes_the_place_of_the_headers_window(preset: str) -> None:
    shown = rendered(image(RAMP, WindowCenter=0, WindowWidth=5, **HU), preset=preset)
    assert (shown.window, shown.voi) == (PRESETS[preset], f"preset {preset}")


def test_presets_are_for_hounsfield_units_only() -> None:
    for elements in ({"Modality": "MR", **HU}, {}, {"RescaleType": "US", **HU}):
        with pytest.raises(Refused, match="the preset lung is in HU"):
            render(part10(image(RAMP, **elements)), preset="lung")


def test_a_preset_that_does_not_exist_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no preset 'lungs'"):
        render(part10(image(RAMP, **HU)), preset="lungs")


# Polarity


def test_monochrome1_is_the_exact_complement() -> None:
    window = {"WindowCenter": 41, "WindowWidth": 777}
    light = rendered(image(RAMP, **window))
    dark = rendered(image(RAMP, PhotometricInterpretation="MONOCHROME1", **window))
    assert np.array_equal(dark.pixels, 255 - light.pixels)
    assert (light.inverted, dark.inverted) == (False, True)


def test_an_inverse_presentation_lut_shape_inverts_once() -> None:
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        elements = {"PhotometricInterpretation": photometric, "PresentationLUTShape": "INVERSE"}
        assert rendered(image(RAMP, **elements)).inverted


def test_padding_is_black_in_either_polarity_and_its_range_is_of_stored_values() -> None:
    stored = np.array([[-2000, -1995, -1990, 0, 100]], np.int16)
    elements = {
        "PixelPaddingValue": -1990,
        "PixelPaddingRangeLimit": -2000,
        "RescaleSlope": 1,
        "RescaleIntercept": 3000,
    }
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        shown = rendered(
            image(stored, PhotometricInterpretation=photometric, WindowCenter=3050, WindowWidth=200, **elements)
        )
        assert shown.pixels[0, :3].max() == 0
        assert shown.padding_pixels == 3
        assert shown.pixels[0, 3:].max() > 0


# Multi-frame objects


def test_functional_groups_of_the_frame_go_before_shared_ones() -> None:
    def voi(center: float) -> Sequence:
        return Sequence([item(WindowCenter=center, WindowWidth=100)])

    shared = item(
        FrameVOILUTSequence=voi(500),
        PixelValueTransformationSequence=Sequence([item(RescaleSlope=1, RescaleIntercept=-1000, RescaleType="HU")]),
    )
    volume = image(
        np.stack([RAMP, RAMP]),
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence([item(), item(FrameVOILUTSequence=voi(900))]),
    )
    first, second = rendered(volume, frame=1), rendered(volume, frame=2)
    assert (first.window, second.window) == (Window(500, 100), Window(900, 100))
    assert first.modality_transform == second.modality_transform == "1 x stored + -1000"
    assert rendered(volume, frame=2, preset="lung").voi == "preset lung"


# Other sample types


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
def test_integers_of_every_size_and_sign_give_the_same_grey(dtype: type) -> None:
    stored = np.array([[0, 20, 50, 100]], dtype)
    window = {"WindowCenter": 50, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}
    assert grey(image(stored, **window)).tolist() == [[0, 51, 128, 255]]


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)])
def test_floating_point_pixels_are_windowed_and_what_is_no_number_is_black(keyword: str, dtype: type) -> None:
    stored = np.array([[0.0, 0.5, 1.0, np.nan]], dtype)
    window = {"WindowCenter": 0.5, "WindowWidth": 1, "VOILUTFunction": "LINEAR_EXACT"}
    gone = dict.fromkeys(("PixelData", "BitsStored", "HighBit", "PixelRepresentation"))
    shown = rendered(image(stored, **window, **gone, **{keyword: stored.tobytes()}))
    assert shown.pixels[0, :, 0].tolist() == [0, 128, 255, 0]
    assert shown.padding_pixels == 1


def test_single_bits_are_black_and_white() -> None:
    bits = image(np.zeros((2, 8), np.uint8), BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=b"\x0f\x81")
    assert grey(bits).tolist() == [[255] * 4 + [0] * 4, [255] + [0] * 6 + [255]]


def test_unused_high_bits_are_not_part_of_the_value() -> None:
    stored = np.array([[0xF000, 0xF800, 0xFFFF]], np.uint16)
    elements = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 2048, "WindowWidth": 4096}
    assert grey(image(stored, **elements)).tolist() == [[0, 128, 255]]
