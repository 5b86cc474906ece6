"""Prompts that have been read, kept while there is room: the one longest unused goes first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from model_runtime.prompts.prefix import Prefix
from model_runtime.prompts.prompt import PromptFacts


def key_of(images: Sequence[NDArray[np.uint8]], facts: PromptFacts, adapter: str | None) -> str:
    """A prompt's key: sha256 of its pixels, of what is said beside them, and of the adapter that reads it."""
    digest = hashlib.sha256(repr((facts.line(), adapter)).encode())
    for image in images:
        digest.update(repr(image.shape).encode())
        digest.update(image.tobytes())
    return digest.hexdigest()


class PrefixShelf:
    """At most `most_bytes` of keys and values, and always the newest prompt, however long."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, Prefix] = OrderedDict()

    def get(self, key: str, read: Callable[[], Prefix]) -> Prefix:
        """The prefix kept under `key`; what `read` gives, and keep it, where there is none."""
        prefix = self._kept.pop(key, None) or read()
        self._kept[key] = prefix
        while self.bytes > self._most_bytes and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return prefix

    @property
    def bytes(self) -> int:
        return sum(prefix.bytes for prefix in self._kept.values())

    def __contains__(self, key: str) -> bool:
        return key in self._kept
