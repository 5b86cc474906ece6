"""Codestreams of mid-grey squares, by hand, for the transfer syntaxes that no encoder here writes.

Such an image is zero after the level shift, so that JPEG Lossless needs one bit a pixel, and HTJ2K no bit at all.
"""

from __future__ import annotations

import struct

GREY = 128


def jpeg_lossless(side: int) -> bytes:
    """Process 14, selection value 1 (ITU-T T.81 annex H): every difference has category 0, whose code is one 0 bit."""
    frame = struct.pack(">BHHB3B", 8, side, side, 1, 1, 0x11, 0)
    table = bytes([0, 1, *[0] * 15, 0])  # one code of one bit: category 0
    scan = struct.pack(">B2B3B", 1, 1, 0, 1, 0, 0)  # predictor 1, no point transform
    segments = _segment(0xFFC3, frame) + _segment(0xFFC4, table) + _segment(0xFFDA, scan)
    return b"\xff\xd8" + segments + bytes(side * side // 8) + b"\xff\xd9"


def htj2k(side: int, *, reversible: bool, rpcl: bool = False) -> bytes:
    """ITU-T T.814, of one tile; with `rpcl` in that order, and with the lengths of its tile parts (TLM)."""
    size = struct.pack(">H8IH3B", 0x4000, side, side, 0, 0, side, side, 0, 0, 1, 7, 1, 1)
    capabilities = struct.pack(">IH", 1 << 17, 0 if reversible else 1 << 5)  # part 15; what its wavelet is
    coding = struct.pack(">BBHB5B", 0, 2 if rpcl else 0, 1, 0, 1, 4, 4, 0x40, reversible)  # one level, HT blocks
    if reversible:
        steps = bytes([2 << 5, *(exponent << 3 for exponent in (8, 9, 9, 10))])
    else:
        steps = struct.pack(">B4H", 2 << 5 | 2, *(exponent << 11 for exponent in (8, 9, 9, 10)))
    packets = bytes(2)  # one of each resolution, both empty
    length = 14 + len(packets)
    return (
        b"\xff\x4f"
        + _segment(0xFF51, size)
        + _segment(0xFF50, capabilities)
        + _segment(0xFF52, coding)
        + _segment(0xFF5C, steps)
        + (_segment(0xFF55, struct.pack(">BBI", 0, 0x40, length)) if rpcl else b"")
        + _segment(0xFF90, struct.pack(">HIBB", 0, length, 0, 1))
        + b"\xff\x93"
        + packets
        + b"\xff\xd9"
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content
