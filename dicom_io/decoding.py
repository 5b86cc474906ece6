"""One frame of stored values out of a Part 10 file, its sizes checked before a decoder sees a byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options

from dicom_io.decoding_apart import decode_apart, decode_here
from dicom_io.errors import DicomError, Refused, Unreadable
from dicom_io.part10 import read_transfer_syntax

MAX_SAMPLES = 64 * 2**20  # of one frame: four times the largest mammogram
MAX_INFLATED_BYTES = 2**30  # of a deflated data set

# One decoder for each compressed syntax. They agree on whole streams; on a damaged one the laxer of two would
# show what the stricter one refused.
DECODERS = {
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",  # 8 bits of it; no decoder of 12 bits has a licence that we can take
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
    uid.RLELossless: "pydicom",  # pylibjpeg-rle answers bad bytes with a panic, which is no Exception
}
UNRULY = {"gdcm", "pyjpegls"}  # on a damaged stream gdcm aborts the process, and pyjpegls holds it for half a minute
NATIVE = {
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
}

_PIXEL_ELEMENTS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_UNDEFINED_LENGTH = 0xFFFFFFFF
_JPEG_START = b"\xff\xd8"
_JPEG_FILL = 0xFF
_JPEG_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF0..15 and, for JPEG-LS, SOF55
_JP2_START = b"\x00\x00\x00\x0cjP  "
_J2K_START = b"\xff\x4f\xff\x51"  # SOC, at once followed by SIZ


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One frame: `samples` is (rows, columns) of stored values, or (rows, columns, 3) of red, green and blue.

    `header` is the data set before its pixel data; `bits` is how many of a sample's bits are used.
    """

    header: Dataset
    samples: NDArray[Any]
    bits: int


class PixelElement(NamedTuple):
    """The head of the element that holds the pixels."""

    keyword: str
    vr: str
    length: int  # bytes, or 0xFFFFFFFF where the value is in fragments


def decode(source: Path | bytes, frame: int, *, max_samples: int = MAX_SAMPLES) -> DecodedFrame:
    """The frame with this number (from 1) of a Part 10 file; no other frame is read or decoded.

    Raises:
        Unreadable: the bytes are no Part 10 file, hold no pixel data, or fewer or other than the header says.
        Refused: the frame is not there or too large, or its encoding is not one that we decode.
    """
    with source.open("rb") if isinstance(source, Path) else BytesIO(source) as file:
        with translated_errors("the header"):
            syntax = uid.UID(read_transfer_syntax(file))
            header, body = _read_header(file, syntax)
            element = _pixel_element(body, *header.original_encoding)
            _check_plausible(header, frame, max_samples)
        with translated_errors(f"frame {frame}"):
            samples, properties = _decode_frame(header, body, syntax, element, frame)
    colours = str(properties["photometric_interpretation"])
    if samples.ndim == 3 and colours != "RGB":
        raise Refused(f"colours encoded as {colours} cannot be turned into RGB here")
    return DecodedFrame(header, samples, int(properties.get("bits_stored", properties["bits_allocated"])))


def _decode_frame(
    header: Dataset, body: BinaryIO, syntax: uid.UID, element: PixelElement, frame: int
) -> tuple[NDArray[Any], dict[str, str | int]]:
    """The frame's samples, and their Image Pixel module as pydicom leaves it after decoding."""
    options = as_pixel_options(header, pixel_keyword=element.keyword, pixel_vr=element.vr)
    if syntax in NATIVE:
        _check_native_length(header, body, element.length)
        return get_decoder(syntax).as_array(body, index=frame - 1, **options)
    if syntax == uid.JPEGExtended12Bit and header.BitsStored != 8:
        raise Refused("12-bit JPEG (Extended) has no decoder here: have it sent lossless or as JPEG 2000")
    stream = get_frame(
        body,
        frame - 1,
        extended_offsets=options.pop("extended_offsets", None),
        number_of_frames=options["number_of_frames"],
    )
    if syntax != uid.RLELossless:  # whose segments cannot hold more than 64 times their bytes
        _check_stream(stream, header)
    options["number_of_frames"] = 1
    decoder = DECODERS[syntax]
    decode_stream = decode_apart if decoder in UNRULY else decode_here
    return decode_stream(encapsulate([stream]), syntax, decoder, options)


@contextmanager
def translated_errors(what: str) -> Iterator[None]:
    """Let what pydicom and its decoders raise on the bad bytes of `what` leave as Unreadable.

    The cause is cut off on purpose: pydicom's texts quote values, and a value may name the patient.
    """
    try:
        yield
    except DicomError:
        raise
    except OSError as error:
        if error.errno is not None:  # the disk's, not pydicom's "No tag to read"
            raise
        raise Unreadable(f"{what} ends in the middle of a sequence") from None
    except _BAD_BYTES as error:
        raise Unreadable(f"{what} does not decode ({type(error).__name__})") from None


# pydicom hands on whatever its parsing of hostile bytes runs into; these are the families that it documents or that
# fuzzing has shown. RuntimeError is its answer to any failure of a decoder.
_BAD_BYTES = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
)


def _read_header(file: BinaryIO, syntax: uid.UID) -> tuple[Dataset, BinaryIO]:
    """The data set up to its pixel data, and the stream that stands there."""
    if syntax not in NATIVE and syntax not in DECODERS:
        raise Refused(f"the transfer syntax {syntax.name} has no decoder here")
    body = BytesIO(_inflate(file.read())) if syntax == uid.DeflatedExplicitVRLittleEndian else file
    header = read_dataset(
        body, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=lambda tag, vr, length: tag in _PIXEL_ELEMENTS
    )
    return header, body


def _inflate(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise Refused(f"the deflated data set holds more than {MAX_INFLATED_BYTES} bytes")
    if not inflater.eof:
        raise Unreadable("the deflated data set is cut short")
    return inflated


def _check_plausible(header: Dataset, frame: int, max_samples: int) -> None:
    """Hold what the header declares against what a frame may be (PS3.3 C.7.6.3)."""
    wanted = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation")
    missing = [keyword for keyword in wanted if not header.get(keyword)]
    if missing:
        raise Unreadable(f"the header lacks {', '.join(missing)}")
    frames = int(header.get("NumberOfFrames") or 1)
    if not 1 <= frame <= frames:
        raise Refused(f"frame {frame} is wanted of an object of {frames}")
    rows, columns, samples = header.Rows, header.Columns, header.SamplesPerPixel
    if rows * columns * samples > max_samples:
        raise Refused(f"a frame of {rows} x {columns} x {samples} samples is too large: {max_samples} are the limit")


def _pixel_element(body: BinaryIO, implicit_vr: bool, little_endian: bool) -> PixelElement:
    """Read the head of the element that `body` stands at, up to its value (PS3.5 7.1.2)."""
    order = "<" if little_endian else ">"
    head = body.read(8 if implicit_vr else 12)
    if not head:
        raise Unreadable("the data set holds no pixel data")
    if implicit_vr:
        group, element, length = struct.unpack(f"{order}HHL", head)
        vr = b"OW"
    else:
        group, element, vr, length = struct.unpack(f"{order}HH2s2xL", head)
    return PixelElement(_PIXEL_ELEMENTS[group << 16 | element], vr.decode("ascii"), length)


def _check_native_length(header: Dataset, body: BinaryIO, declared: int) -> None:
    """Uncompressed pixel data must be there, whole: half an image is not something to report on."""
    bits = header.Rows * header.Columns * header.SamplesPerPixel * header.BitsAllocated
    bits *= int(header.get("NumberOfFrames") or 1)
    if header.PhotometricInterpretation == "YBR_FULL_422":
        bits = bits // 3 * 2
    start = body.tell()
    available = body.seek(0, SEEK_END) - start
    body.seek(start)
    wanted = ceil(bits / 8)
    if declared == _UNDEFINED_LENGTH or min(declared, available) < wanted:
        raise Unreadable(f"the pixel data must hold {wanted} bytes, and {min(declared, available)} are there")


def _check_stream(stream: bytes, header: Dataset) -> None:
    """A code stream must be of the size that was found plausible: a decoder believes the stream, not the header."""
    size = _stream_size(stream)
    declared = (header.Rows, header.Columns, header.SamplesPerPixel)
    if size != declared:
        raise Unreadable(
            "the code stream holds {} x {} x {} samples, the header says {} x {} x {}".format(*size, *declared)
        )


def _stream_size(stream: bytes) -> tuple[int, int, int]:
    """Rows, columns and components as the stream itself states them.

    JPEG: ISO 10918-1 B.2.2; JPEG-LS: ISO 14495-1 C.2.2; JPEG 2000: ISO 15444-1 A.5.1.
    """
    at = _start_in_jp2(stream)
    if stream.startswith(_J2K_START, at):
        right, bottom, left, top = struct.unpack_from(">4L", stream, at + 8)
        (components,) = struct.unpack_from(">H", stream, at + 40)
        return bottom - top, right - left, components
    if not stream.startswith(_JPEG_START):
        raise Unreadable("the frame does not begin as a JPEG, JPEG-LS or JPEG 2000 stream does")
    at = len(_JPEG_START)
    while (marker := stream[at + 1]) not in _JPEG_FRAME_HEADERS:
        at += 1 if marker == _JPEG_FILL else 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    rows, columns, components = struct.unpack_from(">HHB", stream, at + 5)
    return rows, columns, components


def _start_in_jp2(stream: bytes) -> int:
    """Where the code stream begins if it lies in a JP2 file (ISO 15444-1 I.4): DICOM forbids it, and it happens."""
    if not stream.startswith(_JP2_START):
        return 0
    at = 0
    while stream[at + 4 : at + 8] != b"jp2c":
        length = int.from_bytes(stream[at : at + 4], "big")
        if length < 8:  # pydicom would stand still at such a box for ever
            raise Unreadable("the frame is a JP2 file without a code stream")
        at += length
    return at + 8
