"""Which part of the body a study shows, when the header's own field does not say."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Words of descriptions, by the Body Part Examined that they stand for (PS3.16 annex L).
WORDS = {
    "CHEST": r"chest|thorax|thoracic|cxr|lungs?|torax|pulmonary",
    "ABDOMEN": r"abdomen|abdominal|kub",
    "HEAD": r"head|brain|skull|cranium|cerebral",
}


def body_part(stated: str, descriptions: Iterable[str], assumed: str = "") -> str:
    """Body Part Examined as stated, else the one part that the descriptions name, else what the site assumes.

    Descriptions that name two parts name none.
    """
    if stated.strip():
        return stated.strip().upper()
    text = " ".join(descriptions)
    named = [part for part, words in WORDS.items() if re.search(rf"(?<![a-z])({words})(?![a-z])", text, re.IGNORECASE)]
    return named[0] if len(named) == 1 else assumed.upper()
