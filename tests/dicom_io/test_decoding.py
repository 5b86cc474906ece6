"""Frames out of files: sizes are checked first, only the wanted frame is read, damage is named."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from image_samples import bundled, image, part10
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from dicom_io import decoding, offered
from dicom_io.decoding import DECODERS, NATIVE, decode
from dicom_io.errors import Refused, Unreadable

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # of values that are wrong on purpose

FRAMES = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)


def encapsulated(name: str) -> tuple[bytes, bytes]:
    """A bundled file's bytes, and the only code stream in them."""
    file = bundled(name).read_bytes()
    return file, get_frame(dcmread(bundled(name)).PixelData, 0, number_of_frames=1)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_frame_asked_for_is_the_frame_given(syntax: str, tmp_path: Path) -> None:
    file = part10(image(FRAMES), syntax)
    path = tmp_path / "image"
    path.write_bytes(file)
    for number in (1, 2, 3):
        assert np.array_equal(decode(file, number).samples, FRAMES[number - 1])
        assert np.array_equal(decode(path, number).samples, FRAMES[number - 1])


@pytest.mark.parametrize("frame", [0, 4])
def test_a_frame_that_is_not_there_is_refused(frame: int) -> None:
    with pytest.raises(Refused, match=f"frame {frame} is wanted of an object of 3"):
        decode(part10(image(FRAMES)), frame)


def test_of_compressed_frames_the_right_one_is_decoded() -> None:
    path = bundled("examples_ybr_color.dcm")
    expected = dcmread(path).pixel_array
    assert np.array_equal(decode(path, 17).samples, expected[16])


@pytest.mark.parametrize("missing", ["Rows", "SamplesPerPixel", "PhotometricInterpretation"])
def test_a_header_that_does_not_describe_its_pixels_is_named(missing: str) -> None:
    with pytest.raises(Unreadable, match=f"the header lacks {missing}"):
        decode(part10(image(FRAMES, **{missing: None})), 1)


def test_a_frame_larger_than_the_limit_is_refused_before_its_bytes_are_looked_at() -> None:
    liar = image(FRAMES, Rows=65535, Columns=65535)
    with pytest.raises(Refused, match="65535 x 65535 x 1 samples is too large"):
        decode(part10(liar), 1)
    with pytest.raises(Refused, match="too large: 19 are the limit"):
        decode(part10(image(FRAMES)), 1, max_samples=19)
    assert decode(part10(image(FRAMES)), 1, max_samples=20).samples.size == 20


def test_pixel_data_shorter_than_the_header_says_are_unreadable() -> None:
    with pytest.raises(Unreadable, match="must hold 120 bytes, and 100 are there"):
        decode(part10(image(FRAMES, PixelData=FRAMES.tobytes()[:100])), 1)
    cut = part10(image(FRAMES))[:-20]
    with pytest.raises(Unreadable, match="must hold 120 bytes, and 100 are there"):
        decode(cut, 1)


def test_an_object_without_pixels_and_bytes_that_are_no_file_are_unreadable() -> None:
    with pytest.raises(Unreadable, match="no pixel data"):
        decode(bundled("test-SR.dcm"), 1)
    with pytest.raises(Unreadable, match="DICM"):
        decode(b"no DICOM file at all" * 20, 1)


def test_a_transfer_syntax_without_decoder_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="MPEG2"):
        decode(part10(image(FRAMES, PixelData=encapsulate([b"\0\0"])), MPEG2MPML), 1)


def test_every_syntax_that_the_listener_takes_can_be_decoded() -> None:
    assert {*offered.UNCOMPRESSED, *offered.COMPRESSED} <= NATIVE | DECODERS.keys()


def test_12_bit_jpeg_is_refused() -> None:
    with pytest.raises(Refused, match="12-bit"):
        decode(bundled("JPGExtended.dcm"), 1)


def test_a_code_stream_larger_than_its_header_never_reaches_a_decoder() -> None:
    file, stream = encapsulated("MR_small_jp2klossless.dcm")
    bomb = stream[:8] + struct.pack(">2L", 60000, 60000) + stream[16:]
    with pytest.raises(Unreadable, match="60000 x 60000 x 1 samples, the header says 64 x 64 x 1"):
        decode(file.replace(stream[:200], bomb[:200]), 1)
    file, stream = encapsulated("SC_rgb_jpeg_dcmtk.dcm")
    at = stream.index(b"\xff\xc0") + 5
    bomb = stream[:at] + struct.pack(">2H", 65000, 65000) + stream[at + 4 :]
    with pytest.raises(Unreadable, match="65000 x 65000 x 3"):
        decode(file.replace(stream[: at + 4], bomb[: at + 4]), 1)


def test_a_jp2_file_in_place_of_a_code_stream_is_measured_too() -> None:
    file, stream = encapsulated("GDCMJ2K_TextGBR.dcm")
    assert decode(file, 1).samples.shape == (400, 400, 3)
    size = stream.index(b"\xff\x4f\xff\x51") + 8
    bomb = stream[:size] + struct.pack(">2L", 60000, 60000) + stream[size + 8 :]
    with pytest.raises(Unreadable, match="60000 x 60000"):
        decode(file.replace(stream, bomb), 1)


def test_a_jp2_box_of_no_length_does_not_hold_the_reader_for_ever() -> None:
    file, stream = encapsulated("GDCMJ2K_TextGBR.dcm")
    endless = stream[:12] + bytes(4) + stream[16:]
    with pytest.raises(Unreadable, match="without a code stream"):
        decode(file.replace(stream, endless), 1)


def test_fill_bytes_between_jpeg_segments_are_allowed() -> None:
    data_set = dcmread(bundled("SC_rgb_jpeg_dcmtk.dcm"))
    stream = get_frame(data_set.PixelData, 0, number_of_frames=1)
    at = stream.index(b"\xff\xc0")
    expected = data_set.pixel_array
    data_set.PixelData = encapsulate([stream[:at] + b"\xff\xff" + stream[at:]])
    assert np.array_equal(decode(part10(data_set, data_set.file_meta.TransferSyntaxUID), 1).samples, expected)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_jp2klossless.dcm",  # openjpeg
        "MR_small_jpeg_ls_lossless.dcm",  # CharLS
        "MR_small_RLE.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",  # libjpeg
        "SC_rgb_jpeg_gdcm.dcm",  # gdcm
    ],
)
def test_a_code_stream_cut_in_half_is_unreadable_not_half_an_image(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_io.decoding_apart.TIME_LIMIT", 3)  # CharLS would go on for longer
    data_set = dcmread(bundled(name))
    stream = get_frame(data_set.PixelData, 0, number_of_frames=1)
    data_set.PixelData = encapsulate([stream[: len(stream) // 2]])
    with pytest.raises(Unreadable):
        decode(part10(data_set, data_set.file_meta.TransferSyntaxUID), 1)


def test_a_jpeg_stream_that_makes_gdcm_abort_does_not_end_this_process() -> None:
    data_set = dcmread(bundled("SC_rgb_jpeg_gdcm.dcm"))
    stream = get_frame(data_set.PixelData, 0, number_of_frames=1)
    assert data_set.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    at = stream.index(b"\xff\xc4")
    data_set.PixelData = encapsulate([stream[: at + 1] + b"\x00" + stream[at + 2 :]])
    with pytest.raises(Unreadable, match="gdcm gave up"):
        decode(part10(data_set, JPEGLosslessSV1), 1)


def test_a_decoder_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_io.decoding_apart.TIME_LIMIT", 0.01)
    with pytest.raises(Unreadable, match="TimeoutExpired"):
        decode(bundled("MR_small_jpeg_ls_lossless.dcm"), 1)


def test_a_deflated_data_set_is_inflated_up_to_a_limit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    file = part10(image(np.zeros((100, 100), np.uint8)), DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr(decoding, "MAX_INFLATED_BYTES", 10_000)
    with pytest.raises(Refused, match="more than 10000 bytes"):
        decode(file, 1)


def test_a_deflated_data_set_that_is_cut_short_is_unreadable() -> None:
    file = part10(image(np.zeros((100, 100), np.uint8)), DeflatedExplicitVRLittleEndian)
    with pytest.raises(Unreadable):
        decode(file[:-9], 1)


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "CT_small.dcm", "image_dfl.dcm", "MR_small_RLE.dcm"])
def test_damaged_bytes_are_decoded_or_unreadable_or_refused_and_nothing_else(name: str) -> None:
    file = bundled(name).read_bytes()
    noise = np.random.default_rng(8)
    for _ in range(150):
        damaged = bytearray(file)
        for at in noise.integers(132, min(len(file), 4000), size=noise.integers(1, 20)):
            damaged[at] = noise.integers(256)
        with suppress(Unreadable, Refused):
            decode(bytes(damaged), 1)


def test_a_sign_that_the_header_and_a_jpeg_2000_stream_tell_differently_follows_the_header() -> None:
    decoded = decode(bundled("J2K_pixelrep_mismatch.dcm"), 1)
    assert decoded.samples.dtype == np.int16
    assert decoded.samples.min() == -2000


def test_a_text_about_damage_holds_no_value_of_the_header() -> None:
    broken = image(FRAMES)
    broken.PatientName = "Doe^Jane"
    file = part10(broken).replace(b"US\x02\x00\x04\x00", b"DS\x04\x00Doe^")
    with pytest.raises(Unreadable) as caught:
        decode(file, 1)
    assert "Doe" not in str(caught.value)
    assert caught.value.__suppress_context__
