"""What reads wrong where dictated and written text meet, and text that stutters. Standard library only.

For languages that put spaces between words and begin a sentence with a capital letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from model_runtime.draft_text import Author, SectionText

_SENTENCE_END = re.compile(r"[.!?][\"')\]]*$")
_LAST_WORD = re.compile(r"\w+$")
_FIRST_WORD = re.compile(r"\w+")
_WANTS_SPACE_BEHIND = re.compile(r"[\w.,;:!?)\]]$")
_WANTS_SPACE_BEFORE = re.compile(r"[\w(\[]")
_LONGEST_STUTTER = 12  # words; a sentence said twice


@dataclass(frozen=True, slots=True)
class SeamErrors:
    """Counts. The start and the end of a section that holds dictated text are seams as well."""

    seams: int = 0
    double_words: int = 0  # "left left effusion"
    missing_spaces: int = 0  # "effusion.The heart"
    broken_sentences: int = 0  # "Small left There is", "effusion. is seen"

    def __add__(self, other: SeamErrors) -> SeamErrors:
        return SeamErrors(
            self.seams + other.seams,
            self.double_words + other.double_words,
            self.missing_spaces + other.missing_spaces,
            self.broken_sentences + other.broken_sentences,
        )


def seam_errors(section: SectionText) -> SeamErrors:
    """Of all seams of one section."""
    found = SeamErrors()
    for before, behind in _seams(section):
        found += SeamErrors(
            seams=1,
            double_words=_is_doubled(before, behind),
            missing_spaces=bool(_WANTS_SPACE_BEHIND.search(before) and _WANTS_SPACE_BEFORE.match(behind)),
            broken_sentences=_is_broken(before, behind.lstrip()),
        )
    return found


def stuttered(text: str) -> int:
    """How many of the words only repeat the words before them: 2 of "the the the", 2 of "a b a b"."""
    words = re.findall(r"\w+|[^\w\s]", text.casefold())
    return sum(_repeats(words, at) and words[at].isalnum() for at in range(len(words)))


def _seams(section: SectionText) -> Iterator[tuple[str, str]]:
    """The section's text before and behind each seam; white space at a seam stands behind it."""
    text = section.text.strip()
    if all(span.kind is Author.MODEL for span in section.spans):
        return
    skipped = len(section.text) - len(section.text.lstrip())
    borders = {0, len(text)}
    end = -skipped
    for span, following in pairwise(section.spans):
        end += len(span.text)
        if (span.kind is Author.MODEL) is not (following.kind is Author.MODEL):
            borders.add(len(text[: max(end, 0)].rstrip()))
    for border in sorted(borders):
        yield text[:border], text[border:]


def _is_doubled(before: str, behind: str) -> bool:
    last, first = _LAST_WORD.search(before), _FIRST_WORD.match(behind.lstrip())
    return bool(last and first and last[0].casefold() == first[0].casefold())


def _is_broken(before: str, behind: str) -> bool:
    """A sentence that ends too late or never, or one that begins small."""
    if not before or _SENTENCE_END.search(before):
        return behind[:1].islower()
    return not behind or (behind[0].isupper() and not behind[1:2].isupper())  # "CT" begins no sentence


def _repeats(words: Sequence[str], at: int) -> bool:
    """Whether the word at `at` is part of some words that stand there twice in a row, and is not in the first."""
    for length in range(1, _LONGEST_STUTTER + 1):
        for start in range(max(at - length + 1, length), at + 1):
            if list(words[start : start + length]) == list(words[start - length : start]):
                return True
    return False
