"""How the learning rate falls."""

from __future__ import annotations

import math


def cosine(left: float) -> float:
    """From 1, with all of the training left, to 0.01."""
    return 0.01 + 0.99 * 0.5 * (1.0 - math.cos(math.pi * left))
