"""Synthetic studies that are made unusual: other names, other polarity, other pixels, damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import encapsulate

from dicom_io.offered import COMPRESSED, DOCUMENTS, IMAGES, UNCOMPRESSED
from dicom_io.uids import mint_uid

# What can be written without the network here; the others are for a site's own modalities to send.
ENCODED = {uid.RLELossless, uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000}
SIDE = 64  # rows and columns of a generated instance


def file_with(source: Path, change: Callable[[Dataset], None]) -> Path:
    """`source`, changed in place."""
    data_set = dcmread(source)
    change(data_set)
    data_set.save_as(source, enforce_file_format=True)
    return source


def under_new_uid(source: Path, change: Callable[[Dataset], None] = lambda data_set: None) -> Path:
    """Another instance of the same series, beside `source`."""
    data_set = dcmread(source)
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = uid.UID(mint_uid())
    change(data_set)
    path = source.with_name(f"{data_set.SOPInstanceUID}.dcm")
    data_set.save_as(path, enforce_file_format=True)
    return path


def every_class_and_syntax(source: Path) -> Iterator[Dataset]:
    """An instance of `source`'s study for each SOP Class in each transfer syntax that can be written here."""
    for sop_class in IMAGES:
        for syntax in (*UNCOMPRESSED, *COMPRESSED):
            if syntax in ENCODED or syntax in UNCOMPRESSED or syntax == uid.JPEGBaseline8Bit:
                yield _image(source, sop_class, syntax)
    for sop_class in DOCUMENTS:
        for syntax in UNCOMPRESSED:
            yield _document(source, sop_class, syntax)


def not_written() -> list[str]:
    """Transfer syntaxes that no instance is generated in."""
    return [syntax.keyword for syntax in COMPRESSED if syntax not in ENCODED and syntax != uid.JPEGBaseline8Bit]


def _document(source: Path, sop_class: uid.UID, syntax: uid.UID) -> Dataset:
    data_set = dcmread(source, stop_before_pixels=True)
    meta = data_set.file_meta
    data_set.SOPClassUID = meta.MediaStorageSOPClassUID = sop_class
    data_set.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = uid.UID(mint_uid())
    meta.TransferSyntaxUID = syntax
    return data_set


def _image(source: Path, sop_class: uid.UID, syntax: uid.UID) -> Dataset:
    data_set = _document(source, sop_class, uid.ExplicitVRLittleEndian)
    pixels = np.tile(np.arange(SIDE, dtype=np.uint8) * 3, (SIDE, 1))
    data_set.Rows = data_set.Columns = SIDE
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = 8, 8, 7
    data_set.PixelRepresentation, data_set.SamplesPerPixel = 0, 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.add_new("PixelData", "OB", pixels.tobytes())
    if syntax == uid.JPEGBaseline8Bit:
        stream = BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG")
        data_set.PixelData = encapsulate([stream.getvalue()])
        data_set.file_meta.TransferSyntaxUID = syntax
    elif syntax in ENCODED:
        ratio = [10.0] if syntax == uid.JPEG2000 else None
        data_set.compress(syntax, j2k_cr=ratio, generate_instance_uid=False)
    else:
        data_set.file_meta.TransferSyntaxUID = syntax
    return data_set
