"""Each detector fires on what it is for, and on nothing else."""

from __future__ import annotations

import pytest

from model_runtime.canvas import Code
from model_runtime.draft_text import Author, SectionText, Span
from model_runtime.evaluation.seams import SeamErrors, seam_errors, stuttered


def section(*parts: str) -> SectionText:
    """Dictated parts stand in brackets."""
    spans = [Span(p[1:-1], Author.ANCHOR) if p.startswith("[") else Span(p, Author.MODEL) for p in parts]
    return SectionText("FINDINGS", "FINDINGS:", Code("59776-5", "LN", "Findings"), tuple(spans))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("There is a ", "[small left]", " effusion.", " The heart is normal."), SeamErrors(4)),
        (("[No effusion.]", " ", "[No pneumothorax.]"), SeamErrors(3)),
        (("[No effusion.]", " The heart is normal."), SeamErrors(3)),
        (("Nodule in the left zone, ", "[CT is recommended.]"), SeamErrors(3)),
        (("There is a left ", "[left pleural]", " effusion."), SeamErrors(4, double_words=1)),
        (("There is a ", "[left Pleural]", " pleural effusion."), SeamErrors(4, double_words=1)),
        (("A nodule", "[in the left zone.]"), SeamErrors(3, missing_spaces=1)),
        (("[No effusion.]", "The heart is normal."), SeamErrors(3, missing_spaces=1)),
        (("[Small left]", " There is a nodule."), SeamErrors(3, broken_sentences=1)),
        (("No effusion. ", "[in the left zone.]"), SeamErrors(3, broken_sentences=1)),
        (("[in the left zone.]",), SeamErrors(2, broken_sentences=1)),
        (("No effusion. ", "[Small left]"), SeamErrors(3, broken_sentences=1)),
        (("[Small left]", " A nodule."), SeamErrors(3, broken_sentences=1)),
        (("left left effusion.", " small."), SeamErrors()),  # nothing was dictated, so there is no seam
        (("  ", "[No effusion.]", " \n"), SeamErrors(2)),
    ],
)
def test_errors_at_seams(parts: tuple[str, ...], expected: SeamErrors) -> None:
    assert seam_errors(section(*parts)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("No pleural effusion. No pneumothorax. No nodule.", 0),
        ("the the the heart", 2),
        ("left pleural left pleural effusion", 2),
        ("No effusion. No effusion. No effusion.", 4),
        ("The heart is normal. the Heart is normal.", 4),
        ("very, very small", 0),  # a comma says that it is meant
    ],
)
def test_words_that_stutter(text: str, words: int) -> None:
    assert stuttered(text) == words
