"""Rendered images: colours, provenance, and agreement with highdicom."""

from __future__ import annotations

import json
from io import BytesIO

import highdicom
import numpy as np
import pytest
from image_samples import CT, bundled, image, part10
from PIL import Image
from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from dicom_io.errors import Refused
from dicom_io.rendering import render

COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]], np.uint8)

# Bundled images of one sample with a VOI that highdicom reads: no big-endian ones, which it refuses, and none whose
# slope is not 1, where it applies the window in stored units and so is off by up to one grey value.
WITH_VOI = (
    "693_J2KI.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
    "examples_overlay.dcm",
    "dicomdirtests/77654033/CT2/17106",
    "dicomdirtests/98892003/MR1/4919",
)
IN_COLOURS = (
    "GDCMJ2K_TextGBR.dcm",
    "SC_jpeg_no_color_transform.dcm",
    "SC_jpeg_no_color_transform_2.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "SC_rgb_dcmtk_+eb+cy+s4.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_jpeg_lossy_gdcm.dcm",
    "SC_rgb_rle.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_jpeg2k.dcm",
    "examples_rgb_color.dcm",
    "examples_ybr_color.dcm",
)


@pytest.mark.parametrize("name", WITH_VOI)
def test_grey_agrees_with_highdicom_within_half_a_grey_value(name: str) -> None:
    other = highdicom.Image.from_dataset(dcmread(bundled(name))).get_frame(
        1, apply_voi_transform=True, apply_real_world_transform=False, voi_output_range=(0, 255)
    )
    assert np.abs(render(bundled(name)).pixels[..., 0] - other).max() <= 0.501


def test_an_inverted_radiograph_agrees_with_highdicom_within_half_a_grey_value() -> None:
    film = dcmread(bundled("dicomdirtests/77654033/CR1/6154"))
    film.RescaleSlope = 1
    other = highdicom.Image.from_dataset(film).get_frame(
        1, apply_voi_transform=True, apply_real_world_transform=False, voi_output_range=(0, 255)
    )
    rendered = render(part10(film))
    assert rendered.inverted
    assert np.abs(rendered.pixels[..., 0] - other).max() <= 0.501


@pytest.mark.parametrize("name", IN_COLOURS)
def test_colours_agree_with_highdicom(name: str) -> None:
    other = highdicom.Image.from_dataset(dcmread(bundled(name))).get_frame(1, apply_icc_profile=False)
    assert np.array_equal(render(bundled(name)).pixels, other)


# Colours


def test_colours_come_out_as_they_went_in_whichever_way_the_planes_lie() -> None:
    assert np.array_equal(render(part10(image(COLOURS))).pixels, COLOURS)
    planes = np.ascontiguousarray(COLOURS.transpose(2, 0, 1))
    by_plane = image(COLOURS, PlanarConfiguration=1, PixelData=planes.tobytes())
    assert np.array_equal(render(part10(by_plane)).pixels, COLOURS)


def test_ybr_is_turned_into_rgb_once() -> None:
    red = np.array([[[76, 85, 255], [76, 85, 255]]], np.uint8)
    shown = render(part10(image(red, PhotometricInterpretation="YBR_FULL")))
    assert np.abs(shown.pixels.astype(int) - [254, 0, 0]).max() <= 1


@pytest.mark.parametrize(("dtype", "top"), [(np.uint16, 2**16 - 1), (np.uint32, 2**32 - 1)])
def test_deep_colours_keep_their_brightness(dtype: type, top: int) -> None:
    deep = np.array([[[top, 0, top // 2]]], dtype)
    assert np.abs(render(part10(image(deep))).pixels[0, 0].astype(int) - [255, 0, 127.5]).max() <= 0.5


def test_colours_that_cannot_be_converted_are_refused() -> None:
    with pytest.raises(Refused, match="YBR_PARTIAL_420"):
        render(part10(image(COLOURS, PhotometricInterpretation="YBR_PARTIAL_420")))
    grey = image(np.zeros((2, 2), np.uint8), PhotometricInterpretation="RGB")
    with pytest.raises(Refused, match="RGB cannot be shown from one sample"):
        render(part10(grey))
    with pytest.raises(Refused, match="in colours"):
        render(part10(image(COLOURS)), preset="lung")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_palette_gives_its_colours_whatever_the_byte_order(syntax: str) -> None:
    order = "<u2" if syntax == ExplicitVRLittleEndian else ">u2"
    tables = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour, entries in (("Red", [0, 65535, 65280]), ("Green", [0, 0, 32768]), ("Blue", [65535, 0, 0]))
        for part, value in (("Descriptor", [3, 5, 16]), ("Data", np.array(entries, order).tobytes()))
    }
    stored = np.array([[0, 5, 6, 7, 200]], np.uint8)
    palette = image(stored, PhotometricInterpretation="PALETTE COLOR", **tables)
    blue, red, orange = [0, 0, 255], [255, 0, 0], [254, 128, 0]
    assert render(part10(palette, syntax)).pixels.tolist() == [[blue, blue, red, orange, orange]]


def test_a_segmented_palette_is_expanded() -> None:
    ramp = np.array([0, 1, 0, 1, 255, 65535], "<u2").tobytes()  # one entry of 0, then a line up to 65535
    tables = {
        f"{prefix}{colour}PaletteColorLookupTable{part}": value
        for colour in ("Red", "Green", "Blue")
        for prefix, part, value in (("", "Descriptor", [256, 0, 16]), ("Segmented", "Data", ramp))
    }
    stored = np.array([[0, 128, 255]], np.uint8)
    shown = render(part10(image(stored, PhotometricInterpretation="PALETTE COLOR", **tables)))
    assert np.abs(shown.pixels[..., 0].astype(int) - stored).max() <= 1


# Provenance


def test_provenance_names_the_image_and_what_was_done_and_is_json() -> None:
    source = image(
        np.zeros((2, 4, 4), np.int16),
        SOPInstanceUID="1.2.3",
        SeriesInstanceUID="1.2",
        RescaleSlope=1,
        RescaleIntercept=-1024,
        PatientName="Doe^Jane",
    )
    record = render(part10(source), 2, preset="brain").provenance()
    assert json.loads(json.dumps(record)) == {
        "sop_class_uid": CT,
        "sop_instance_uid": "1.2.3",
        "series_uid": "1.2",
        "frame": 2,
        "photometric_interpretation": "MONOCHROME2",
        "modality_transform": "1 x stored + -1024",
        "voi": "preset brain",
        "window": {"center": 40, "width": 80, "function": "LINEAR"},
        "inverted": False,
        "padding_pixels": 0,
        "not_applied": [],
    }


def test_provenance_of_colours_has_no_window() -> None:
    record = render(part10(image(COLOURS))).provenance()
    assert (record["voi"], record["window"]) == ("none: colours as stored", None)
    assert json.dumps(record)


def test_what_is_not_applied_is_said() -> None:
    assert render(bundled("examples_overlay.dcm")).not_applied == ("overlays",)
    odd = image(COLOURS, PixelAspectRatio=[2, 1], ShutterShape="CIRCULAR", ICCProfile=b"\0\0")
    assert render(part10(odd)).not_applied == ("display shutter", "pixels that are not square", "ICC profile")


def test_the_image_is_of_native_size_read_only_and_written_as_png() -> None:
    rendered = render(bundled("CT_small.dcm"))
    assert rendered.pixels.shape == (128, 128, 3)
    assert rendered.pixels.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        rendered.pixels[0, 0] = 0
    png = Image.open(BytesIO(rendered.png()))
    assert np.array_equal(np.asarray(png), rendered.pixels)
    assert png.info == {}
