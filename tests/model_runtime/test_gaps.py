"""Reports taken apart and put together again: the true text scores full marks, and worse text worse."""

from __future__ import annotations

import pytest

from model_runtime.canvas import Code
from model_runtime.draft_text import Author, SectionText, Span
from model_runtime.evaluation.gaps import GapCase, GapScores, gap_case, token_f1
from model_runtime.phantoms.phantom import HELD_OUT

CODE = Code("59776-5", "LN", "Findings")


def characters(text: str) -> list[int]:
    return [ord(c) for c in text]


def report(case: GapCase) -> list[SectionText]:
    """The case's own report, as assembly would make it of the true gaps."""
    sections = []
    for name, gaps in case.gaps.items():
        spans: list[Span] = []
        said = [anchor.text for anchor in case.anchors if anchor.section == name]
        for gap, anchor in zip(gaps, [*said, None], strict=True):
            spans += [Span(" " * bool(spans) + gap, Author.MODEL)] if gap else []
            if anchor is not None:
                spans += [Span(" ", Author.MODEL)] if spans else []
                spans.append(Span(anchor, Author.ANCHOR))
        sections.append(SectionText(name, f"{name}:", CODE, tuple(spans)))
    return sections


@pytest.mark.parametrize("mid_sentence", [False, True])
def test_the_true_report_has_full_marks(mid_sentence: bool) -> None:
    scores = GapScores()
    for seed in range(HELD_OUT, HELD_OUT + 200):
        case = gap_case(seed, mid_sentence=mid_sentence)
        assert 1 <= len(case.anchors) <= 4
        scores.add(case, report(case), characters)
    seams, facts = scores.seams, scores.facts
    assert scores.f1 == scores.gaps > 400
    assert (scores.length_error, scores.surplus, scores.stuttered) == (0, 0, 0)
    assert (seams.double_words, seams.missing_spaces, seams.broken_sentences) == (0, 0, 0)
    assert facts.overall.right == facts.overall.total
    assert facts.garbled == 0


def test_dictated_parts_leave_a_sentence_to_be_finished() -> None:
    for seed in range(HELD_OUT, HELD_OUT + 50):
        parts, sentences = gap_case(seed, mid_sentence=True), gap_case(seed, mid_sentence=False)
        assert len(parts.anchors) == len(sentences.anchors)
        assert all(a.text in b.text and a.text != b.text for a, b in zip(parts.anchors, sentences.anchors, strict=True))


def test_a_gap_left_empty_and_one_overfull_are_counted_in_tokens() -> None:
    case = gap_case(HELD_OUT, mid_sentence=False)
    empty = [
        SectionText(name, name, CODE, tuple(Span(a.text, Author.ANCHOR) for a in case.anchors if a.section == name))
        for name in case.gaps
    ]
    scores = GapScores()
    scores.add(case, empty, characters)
    true = sum(len(gap) + 1 for gaps in case.gaps.values() for gap in gaps if gap)
    assert (scores.length_error, scores.surplus) == (true, -true)
    assert scores.f1 < scores.gaps
    fuller = GapScores()
    more = [SectionText(s.name, s.name, CODE, (*s.spans, Span(" the the", Author.MODEL))) for s in report(case)]
    fuller.add(case, more, characters)
    assert fuller.surplus == fuller.length_error > 0
    assert fuller.stuttered == 2


@pytest.mark.parametrize(
    ("written", "true", "f1"),
    [
        ("", "", 1.0),
        ("", "No effusion.", 0.0),
        ("No effusion.", "", 0.0),
        ("no Effusion", "No effusion.", 1.0),
        ("effusion, small", "small effusion", 1.0),
        ("no no effusion", "no effusion", 0.8),
    ],
)
def test_token_f1(written: str, true: str, f1: float) -> None:
    assert token_f1(written, true) == pytest.approx(f1)
