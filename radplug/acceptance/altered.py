"""Synthetic studies that are made unusual: other names, other polarity, other pixels, damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import encapsulate

from dicom_io.offered import DOCUMENTS, VERIFICATION, offered
from dicom_io.uids import mint_uid
from radplug.acceptance.flat_codestreams import GREY, htj2k, jpeg_lossless

SIDE = 64  # rows and columns of a generated instance
SHADES: NDArray[np.uint8] = np.tile(np.arange(SIDE, dtype=np.uint8) * 3, (SIDE, 1))
FLAT: NDArray[np.uint8] = np.full((SIDE, SIDE), GREY, dtype=np.uint8)  # where nothing here encodes anything else
ENCODED = {uid.RLELossless, uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000}
WRITTEN = {
    uid.JPEGLossless: jpeg_lossless(SIDE),
    uid.JPEGLosslessSV1: jpeg_lossless(SIDE),
    uid.HTJ2KLossless: htj2k(SIDE, reversible=True),
    uid.HTJ2KLosslessRPCL: htj2k(SIDE, reversible=True, rpcl=True),
    uid.HTJ2K: htj2k(SIDE, reversible=False),
}
LOSSY = {uid.JPEGBaseline8Bit, uid.JPEG2000, uid.JPEGLSNearLossless}


def file_with(source: Path, change: Callable[[Dataset], None]) -> Path:
    """`source`, changed in place."""
    data_set = dcmread(source)
    change(data_set)
    data_set.save_as(source, enforce_file_format=True)
    return source


def under_new_uid(source: Path, change: Callable[[Dataset], None] = lambda data_set: None) -> Path:
    """Another instance of the same study, beside `source`."""
    data_set = dcmread(source)
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = uid.UID(mint_uid())
    change(data_set)
    path = source.with_name(f"{data_set.SOPInstanceUID}.dcm")
    data_set.save_as(path, enforce_file_format=True)
    return path


def with_words(image: Dataset, lines: str) -> None:
    """Burn words into a radiograph, as bright as its brightest pixel."""
    pixels = image.pixel_array
    page = Image.fromarray(np.zeros(pixels.shape, dtype=np.uint8))
    ImageDraw.Draw(page).multiline_text((8, 8), lines, fill=255)
    burned = np.where(np.asarray(page) > 0, pixels.max(), pixels)
    image.PixelData = burned.astype(pixels.dtype).tobytes()


def every_offered(source: Path) -> Iterator[tuple[uid.UID, list[Dataset]]]:
    """Instances of `source`'s study, by SOP Class: one in each transfer syntax that the listener takes it in."""
    in_syntax: dict[uid.UID, Dataset] = {}
    for context in offered():
        sop_class = uid.UID(context.abstract_syntax or "")
        if sop_class == VERIFICATION:
            continue
        made: list[Dataset] = []
        for syntax in context.transfer_syntax:
            if syntax not in in_syntax:
                in_syntax[syntax] = image_in(source, syntax)
            one = _as_new(deepcopy(in_syntax[syntax]), sop_class)
            if sop_class in DOCUMENTS:
                del one.PixelData
            made.append(one)
        yield sop_class, made


def image_in(source: Path, syntax: uid.UID) -> Dataset:
    """An image of `source`'s series in that transfer syntax: `shown_in` says of what."""
    data_set = _as_new(dcmread(source, stop_before_pixels=True), None)
    data_set.Rows = data_set.Columns = SIDE
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = 8, 8, 7
    data_set.PixelRepresentation, data_set.SamplesPerPixel = 0, 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.add_new("PixelData", "OB", SHADES.tobytes())
    if syntax in ENCODED:
        ratio = [10.0] if syntax == uid.JPEG2000 else None
        data_set.compress(syntax, j2k_cr=ratio, generate_instance_uid=False)
    elif syntax == uid.JPEGBaseline8Bit:
        stream = BytesIO()
        Image.fromarray(SHADES).save(stream, "JPEG")
        data_set.PixelData = encapsulate([stream.getvalue()])
    elif syntax in WRITTEN:
        data_set.PixelData = encapsulate([WRITTEN[syntax]])
    data_set.file_meta.TransferSyntaxUID = syntax
    return data_set


def shown_in(syntax: uid.UID) -> NDArray[np.uint8]:
    """The pixels of `image_in`."""
    return FLAT if syntax in WRITTEN else SHADES


def _as_new(data_set: Dataset, sop_class: uid.UID | None) -> Dataset:
    meta = data_set.file_meta = deepcopy(data_set.file_meta)
    data_set.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = uid.UID(mint_uid())
    if sop_class:
        data_set.SOPClassUID = meta.MediaStorageSOPClassUID = sop_class
    return data_set
