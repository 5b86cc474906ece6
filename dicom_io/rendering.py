"""One frame as a person would see it on a screen: 8-bit RGB, with the record of what was done to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from dicom_io.decoding import MAX_SAMPLES, DecodedFrame, decode, translated_errors
from dicom_io.errors import Refused
from dicom_io.greyscale import Rescale, lookup_table, transform_of
from dicom_io.windowing import PRESETS, LookupTable, Window


@dataclass(frozen=True, slots=True, eq=False)
class RenderedImage:
    """One frame in 8-bit RGB at its native size; everything beside `pixels` is its provenance."""

    pixels: NDArray[np.uint8]  # (rows, columns, 3), read-only
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    frame: int  # from 1
    photometric_interpretation: str  # as the header has it
    modality_transform: str = "none"
    voi: str = "none: colours as stored"  # where the window or VOI LUT comes from
    window: Window | None = None  # as applied; None for a VOI LUT and for colours
    inverted: bool = False
    padding_pixels: int = 0  # shown black
    not_applied: tuple[str, ...] = ()  # what the object also asks for

    def provenance(self) -> dict[str, Any]:
        """All fields but the pixels, as JSON takes them."""
        record = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "pixels"}
        return record | {"window": self.window and asdict(self.window), "not_applied": list(self.not_applied)}

    def png(self) -> bytes:
        """A PNG without any text in it."""
        file = BytesIO()
        Image.fromarray(self.pixels).save(file, "PNG")
        return file.getvalue()


def render(
    source: Path | bytes,
    frame: int = 1,
    *,
    preset: str | None = None,
    voi_index: int = 0,
    max_samples: int = MAX_SAMPLES,
) -> RenderedImage:
    """Frame `frame` (from 1) of a Part 10 file, in its own window or in one of `PRESETS`.

    `voi_index` (from 0) chooses among several windows or VOI LUTs of the header; `max_samples` bounds the frame.

    Raises:
        Unreadable: the bytes do not decode, or are not what the header says.
        Refused: the frame is too large or not there, its encoding is not supported, or the preset is not for it.
        ValueError: there is no such preset.
    """
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}")
    decoded = decode(source, frame, max_samples=max_samples)
    header = decoded.header
    with translated_errors("the header"):
        found = {
            "sop_class_uid": str(header.get("SOPClassUID", "")),
            "sop_instance_uid": str(header.get("SOPInstanceUID", "")),
            "series_uid": str(header.get("SeriesInstanceUID", "")),
            "frame": frame,
            "photometric_interpretation": header.PhotometricInterpretation,
            "not_applied": _not_applied(header),
        }
        if header.PhotometricInterpretation in ("MONOCHROME1", "MONOCHROME2"):
            transform = transform_of(header, frame, decoded.bits, preset=preset, voi_index=voi_index)
        elif preset is not None:
            raise Refused(f"the preset {preset} is in HU, and this image is in colours")
        else:
            return RenderedImage(_read_only(_colours(decoded)), **found)
    grey = transform.apply(decoded.samples)
    return RenderedImage(
        _read_only(np.repeat(grey.pixels[..., np.newaxis], 3, axis=2)),
        modality_transform=_in_words(transform.modality),
        voi=transform.voi_source,
        window=grey.window,
        inverted=transform.inverted,
        padding_pixels=grey.padding_pixels,
        **found,
    )


def _colours(decoded: DecodedFrame) -> NDArray[np.uint8]:
    """8-bit RGB (rows, columns, 3); the decoder has turned YBR into RGB already."""
    if decoded.samples.ndim == 3:
        return _to_8_bits(decoded.samples, decoded.bits)
    if decoded.header.PhotometricInterpretation == "PALETTE COLOR":
        return _palette_colours(decoded.samples, decoded.header)
    raise Refused(f"{decoded.header.PhotometricInterpretation} cannot be shown from one sample per pixel")


def _palette_colours(stored: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    """PS3.3 C.7.6.3.1.5, C.7.9.2. `apply_color_lut` is for segmented tables: plain ones it takes as little endian."""
    number, first, bits = (int(value) for value in header.RedPaletteColorLookupTableDescriptor)
    if "SegmentedRedPaletteColorLookupTableData" in header:
        stored = np.clip(stored.astype(np.int64), first, first + (number or 2**16) - 1)
        return _to_8_bits(apply_color_lut(stored, header)[..., :3], bits)
    tables = [
        lookup_table(
            header[f"{colour}PaletteColorLookupTableDescriptor"].value,
            header[f"{colour}PaletteColorLookupTableData"].value,
            little_endian=header.original_encoding[1] is not False,
        )
        for colour in ("Red", "Green", "Blue")
    ]
    return np.stack([_to_8_bits(table.look_up(stored), table.bits) for table in tables], axis=-1)


def _to_8_bits(samples: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits == 8 and samples.dtype == np.uint8:
        return samples
    scaled: NDArray[np.uint8] = np.rint(np.clip(samples / (2**bits - 1), 0, 1) * 255).astype(np.uint8)
    return scaled


def _read_only(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels.flags.writeable = False
    return pixels


def _in_words(modality: Rescale | LookupTable | None) -> str:
    if isinstance(modality, Rescale):
        return f"{modality.slope:g} x stored + {modality.intercept:g}"
    return "lookup table" if modality else "none"


def _not_applied(header: Dataset) -> tuple[str, ...]:
    """What the object would also have drawn, cut off, stretched or coloured."""
    spacing = header.get("PixelSpacing") or header.get("ImagerPixelSpacing") or header.get("PixelAspectRatio") or (1, 1)
    asked_for = {
        "overlays": any(0x6000 <= tag.group <= 0x60FF for tag in header.keys()),  # noqa: SIM118
        "display shutter": "ShutterShape" in header,
        "pixels that are not square": float(spacing[0]) != float(spacing[1]),
        "supplemental palette": header.get("PixelPresentation") in ("COLOR", "MIXED"),
        "ICC profile": "ICCProfile" in header,
    }
    return tuple(name for name, asked in asked_for.items() if asked)
