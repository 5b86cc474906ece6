"""The values of a header, taken from their bytes: what is absent or damaged is None or empty, never an error.

pydicom's own conversion raises at some damaged values, and quotes others in its warnings, where no name may be.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Final, TypeAlias

from pydicom.charset import convert_encodings, decode_bytes, default_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence_item
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS, VR

# What pydicom raises when the bytes make no sense.
DAMAGE: Final = (
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

Element: TypeAlias = DataElement | RawDataElement


class Header:
    """The elements of one data set or sequence item, asked for by their keywords (PS3.6)."""

    def __init__(self, elements: Iterable[Element], encodings: Sequence[str] = (default_encoding,)) -> None:
        self._elements = {keyword_for_tag(element.tag): element for element in elements}
        charset = self.codes("SpecificCharacterSet")
        self._encodings = _python_encodings(charset) if charset else encodings

    def text(self, keyword: str) -> str:
        """A text in the data set's character set; bytes that it cannot decode become replacement characters."""
        value = self._value(keyword)
        try:
            return _plain(decode_bytes(value, self._encodings, TEXT_VR_DELIMS | PN_DELIMS))
        except DAMAGE:
            return _plain(value.decode("ascii", "replace"))

    def codes(self, keyword: str) -> tuple[str, ...]:
        """The values of an element that is ASCII by its VR, such as CS, DA, DS, IS, TM and UI; () when it is empty."""
        text = _plain(self._value(keyword).decode("ascii", "replace"))
        return tuple(value.strip() for value in text.split("\\")) if text else ()

    def code(self, keyword: str) -> str:
        """The first of `codes`, or empty."""
        return next(iter(self.codes(keyword)), "")

    def decimals(self, keyword: str) -> tuple[float, ...]:
        """The numbers of a DS or IS element; () unless all of them are numbers."""
        try:
            numbers = tuple(float(value) for value in self.codes(keyword))
        except ValueError:
            return ()
        return numbers if all(map(math.isfinite, numbers)) else ()

    def decimal(self, keyword: str) -> float | None:
        """The first of `decimals`, or None."""
        return next(iter(self.decimals(keyword)), None)

    def integer(self, keyword: str) -> int | None:
        """The number of a US element, or the first of an IS element within the range of that VR (PS3.5 6.2)."""
        if dictionary_VR(keyword) == VR.US:
            element, value = self._elements.get(keyword), self._value(keyword)
            little = isinstance(element, RawDataElement) and element.is_little_endian
            return int.from_bytes(value, "little" if little else "big") if len(value) == 2 else None
        number = self.decimal(keyword)
        return int(number) if number is not None and -(2**31) <= number < 2**31 else None

    def item(self, keyword: str) -> Header:
        """The first item of a sequence; a header without elements where there is none."""
        element = self._elements.get(keyword)
        item: Dataset | None = None
        if isinstance(element, RawDataElement):
            with suppress(*DAMAGE):
                stream, encodings = BytesIO(element.value or b""), list(self._encodings)
                item = read_sequence_item(stream, element.is_implicit_VR, element.is_little_endian, encodings)
        elif element and element.value:
            item = element.value[0]
        return Header(_unconverted(item) if item else (), self._encodings)

    def _value(self, keyword: str) -> bytes:
        element = self._elements.get(keyword)
        return element.value or b"" if isinstance(element, RawDataElement) else b""


def _unconverted(item: Dataset) -> Iterator[Element]:
    for tag in item.keys():  # noqa: SIM118 - to iterate over a Dataset itself is to convert its elements
        element = item.get_item(tag, keep_deferred=True)
        if isinstance(element, Element):
            yield element


def _plain(text: str) -> str:
    """Without padding (PS3.5 6.2), and without the NULs inside that no database takes."""
    return text.replace("\0", "").strip()


def _python_encodings(charset: Sequence[str]) -> Sequence[str]:
    try:
        return convert_encodings(list(charset))
    except DAMAGE:
        return (default_encoding,)
