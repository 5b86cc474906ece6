"""Which font draws which character, and how wide: what no font can draw right is refused, never drawn as a box."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from fontTools.ttLib import TTFont, TTLibError

from dicom_io.errors import Refused, Unreadable

DEJAVU: Final = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"  # Latin, Greek, Cyrillic, symbols

_BIDIRECTIONAL: Final = frozenset({"R", "AL", "AN", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_LAST_LATIN_MARK: Final = "\u036f"  # combining diacritical marks up to here stand well on any letter


@dataclass(frozen=True, slots=True)
class Typeface:
    """A TrueType font: widths of the characters that it has, in units of its size."""

    file: Path
    widths: dict[str, float]

    @classmethod
    def read(cls, file: Path) -> Typeface:
        """Raises Unreadable where the file is absent, or no TrueType font of one face."""
        try:
            with file.open("rb") as stream, TTFont(stream, lazy=True) as font:
                if "glyf" not in font:
                    raise Unreadable(f"{file} has no TrueType outlines, which PDFs are made with; give a .ttf that has")
                advances, units = font["hmtx"].metrics, font["head"].unitsPerEm
                glyphs = font.getBestCmap()
                return cls(file, {chr(code): advances[glyph][0] / units for code, glyph in glyphs.items()})
        except (OSError, TTLibError, KeyError, AttributeError) as error:
            raise Unreadable(
                f"{file} cannot be used as a font ({type(error).__name__}); wanted is a TrueType file of one face"
            ) from None


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one typeface, and where it begins, from the beginning of its line."""

    typeface: Typeface
    text: str
    at: float


class Typefaces:
    """The one that comes along, then `further` ones, which are asked in their order for what those before lack."""

    def __init__(self, further: Sequence[Path] = ()) -> None:
        self._all = tuple(Typeface.read(file) for file in (DEJAVU, *further))

    def width(self, text: str, size: float) -> float:
        """Raises Refused where the text cannot be drawn."""
        return sum(self._of(character).widths[character] for character in text) * size

    def runs(self, text: str, size: float) -> Iterator[Run]:
        """One line of text by typeface.

        Raises:
            Refused: a character is in none of them, or is of a script that is more than letters in a row.
        """
        at = 0.0
        for _, group in groupby(text, key=lambda character: self._of(character).file):
            run = "".join(group)
            yield Run(self._of(run[0]), run, at)
            at += self.width(run, size)

    def _of(self, character: str) -> Typeface:
        for typeface in self._all:
            if character in typeface.widths:
                _require_plain(character)
                return typeface
        raise Refused(
            f"no font has U+{ord(character):04X}; add one that has it to pages.fonts, or send structured reports alone"
        )


def _require_plain(character: str) -> None:
    is_mark = unicodedata.category(character) in ("Mn", "Mc") and character > _LAST_LATIN_MARK
    if is_mark or unicodedata.bidirectional(character) in _BIDIRECTIONAL:
        raise Refused(
            f"U+{ord(character):04X} is of a script whose letters join or run from right to left, which pages cannot "
            "draw; send structured reports alone"
        )
