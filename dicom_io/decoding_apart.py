"""Decoding in a process of its own, for decoders that may end or hold the process that hands them a damaged stream.

`python -m dicom_io.decoding_apart` reads a line of JSON and the pixel data; it answers a line of JSON and an .npy file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder

from dicom_io.errors import Unreadable

TIME_LIMIT = 60  # s

# The frame, and its Image Pixel module as pydicom leaves it after decoding.
Decoded: TypeAlias = tuple[NDArray[Any], dict[str, str | int]]


def decode_here(pixel_data: bytes, syntax: str, plugin: str, options: Mapping[str, Any]) -> Decoded:
    """The only frame of encapsulated pixel data, by one of pydicom's decoding plugins."""
    return get_decoder(syntax).as_array(pixel_data, index=0, decoding_plugin=plugin, **options)


def decode_apart(pixel_data: bytes, syntax: str, plugin: str, options: Mapping[str, Any]) -> Decoded:
    """The same in a new process.

    Raises:
        Unreadable: that process failed, ended, or took longer than TIME_LIMIT.
    """
    request = json.dumps({"syntax": syntax, "plugin": plugin, "options": dict(options)}).encode() + b"\n" + pixel_data
    command = [sys.executable, "-m", "dicom_io.decoding_apart"]
    try:
        answer = subprocess.run(command, input=request, capture_output=True, timeout=TIME_LIMIT, check=True).stdout
    except subprocess.SubprocessError as failure:
        raise Unreadable(f"the frame's code stream is damaged: {plugin} gave up ({type(failure).__name__})") from None
    properties, _, frame = answer.partition(b"\n")
    return np.load(BytesIO(frame)), json.loads(properties)


def main() -> None:
    line, _, pixel_data = sys.stdin.buffer.read().partition(b"\n")
    frame, properties = decode_here(pixel_data, **json.loads(line))
    sys.stdout.buffer.write(json.dumps(properties).encode() + b"\n")
    np.save(sys.stdout.buffer, frame)


if __name__ == "__main__":
    main()
