"""Seams: what stands between what the model wrote and what was dictated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model_runtime.assembly import Token, assemble
from model_runtime.canvas import Anchor, Code, Kind, Layout, Piece, Section, Template
from model_runtime.draft_text import Author, SectionText
from model_runtime.errors import AnchorMoved

CODE = Code("59776-5", "LN", "Procedure findings")
TEMPLATE = Template("one", CODE, (Section("FINDINGS", "FINDINGS:", CODE, tokens=20),))


def section(*pieces: str | Anchor | list[Token]) -> SectionText:
    """A section of anchors and gaps; a gap is its tokens, or one text whose words are tokens with a space before."""
    canvas: list[Token] = [Token(" FINDINGS:", 1.0)]
    laid = [Piece(Kind.HEADING, "FINDINGS", 0, 1, "FINDINGS:")]
    for piece in pieces:
        start = len(canvas)
        if isinstance(piece, Anchor):
            canvas.append(Token("whatever the ids say", 1.0))
            laid.append(Piece(Kind.ANCHOR, "FINDINGS", start, start + 1, piece.text))
            continue
        tokens = [Token(part, 0.9) for part in piece.replace(" ", "| ").split("|")] if isinstance(piece, str) else piece
        canvas.extend(tokens)
        laid.append(Piece(Kind.GAP, "FINDINGS", start, len(canvas)))
    anchors = [piece for piece in pieces if isinstance(piece, Anchor)]
    (made,) = assemble(TEMPLATE, anchors, Layout(tuple([0] * len(canvas)), tuple(laid)), canvas)
    return made


def said(text: str) -> Anchor:
    return Anchor("FINDINGS", text)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([" The lungs are clear."], "The lungs are clear."),
        ([" The lungs", said("are clear"), " today."], "The lungs are clear today."),
        ([" The lungs", said("are clear"), "."], "The lungs are clear."),
        ([" The lungs ", said("are clear")], "The lungs are clear"),
        (["", said("Clear."), ""], "Clear."),
        ([" ", said("Clear."), " "], "Clear."),
        (["", said("Clear."), "", said("Dry."), ""], "Clear. Dry."),
        (["", said("Clear."), "  ", said("Dry.")], "Clear. Dry."),
        (["", said("  Clear. \r\n"), ""], "  Clear. \r\n"),
        ([" Lungs:", said(" clear. "), " Heart:", said("normal ")], "Lungs:  clear.  Heart: normal "),
        ([""], ""),
    ],
)
def test_anchors_keep_every_character_and_seams_one_space(pieces: list[str | Anchor], text: str) -> None:
    assert section(*pieces).text == text


def test_each_sentence_of_the_model_is_a_span_and_an_anchor_is_one() -> None:
    made = section(" Lungs are clear. Heart is 1.5 times", said("as wide. As before."), ". No nodule.")
    assert [(s.text, s.kind) for s in made.spans] == [
        ("Lungs are clear.", Author.MODEL),
        (" Heart is 1.5 times ", Author.MODEL),
        ("as wide. As before.", Author.ANCHOR),
        (".", Author.MODEL),
        (" No nodule.", Author.MODEL),
    ]


def test_a_full_stop_that_carries_its_own_space_ends_a_sentence_too() -> None:
    made = section([Token(part, 0.9) for part in ("Clear", ". ", "Dry", ". ")])
    assert [s.text for s in made.spans] == ["Clear. ", "Dry."]


def test_confidence_is_the_geometric_mean_over_a_sentence_s_own_tokens() -> None:
    tokens = [(" Clear", 0.9), ("", 0.001), (".", 0.4), (" Dry", 0.2), ("", 0.5), ("", 0.5)]
    made = section([Token(*token) for token in tokens], said("Yes"))
    assert [s.confidence for s in made.spans] == [pytest.approx(0.6), pytest.approx(0.2), None]


@pytest.mark.parametrize(
    ("losses", "image"),
    [
        ([(0.1, 3.0), (0.2, -0.5)], 2),  # the sum decides
        ([(0.4, 0.3), (0.4, 0.3)], 1),
        ([(-0.1, 0.0), (0.0, -2.0)], None),  # as likely without any
        ([(0.0,), (0.0,)], 1),  # there is one image only
        ([(), ()], None),  # nobody asked
    ],
)
def test_a_sentence_refers_to_the_image_without_which_it_loses_most(
    losses: list[tuple[float, ...]], image: int | None
) -> None:
    made = section([Token(text, 0.9, lost) for text, lost in zip((" Clear", "."), losses, strict=True)])
    assert [span.image for span in made.spans] == [image]


def test_a_joining_space_between_two_anchors_claims_no_confidence() -> None:
    made = section(said("Clear."), said("Dry."))
    assert [(s.text, s.kind, s.confidence) for s in made.spans][1] == (" ", Author.MODEL, None)


def test_anchors_that_are_not_the_dictated_ones_are_refused() -> None:
    pieces = (Piece(Kind.ANCHOR, "FINDINGS", 0, 1, "One."), Piece(Kind.ANCHOR, "FINDINGS", 1, 2, "Two."))
    layout = Layout((5, 6), pieces)
    canvas = [Token("One.", 1.0), Token("Two.", 1.0)]
    assert assemble(TEMPLATE, [said("One."), said("Two.")], layout, canvas)[0].text == "One. Two."
    for anchors in ([said("Two."), said("One.")], [said("One.")], [said("One."), said("Two"), said("Three")]):
        with pytest.raises(AnchorMoved):
            assemble(TEMPLATE, anchors, layout, canvas)
    decomposed = replace(said("One."), text="One.\u0301")
    with pytest.raises(AnchorMoved):
        assemble(TEMPLATE, [decomposed, said("Two.")], layout, canvas)
