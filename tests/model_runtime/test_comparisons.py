"""The prior guard: what the model compares with a study that it was not given does not stand in the report."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import torch

from model_runtime.canvas import FREE, Anchor, Code, Template
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.contradictions.comparisons import compares, invented, strike_comparisons
from model_runtime.denoising.infill import Filled
from model_runtime.draft_text import Author, DraftText, SectionText, Span, Struck, Why
from model_runtime.drafting import Drafting, Wish
from model_runtime.identity import identity_of
from model_runtime.phantoms.wording import every_sentence
from model_runtime.prompts.prefix import read
from model_runtime.prompts.prompt import EarlierReport, PromptFacts

MODEL, ANCHOR, ACCEPTED = Author.MODEL, Author.ANCHOR, Author.ACCEPTED
MARCH, MAY = date(2026, 3, 4), date(2026, 5, 17)


def section(*spans: tuple[str, Author]) -> SectionText:
    return SectionText("FINDINGS", "FINDINGS:", Code("59776-5", "LN", "Findings"), tuple(Span(t, a) for t, a in spans))


@pytest.mark.parametrize(
    "text",
    [
        "Compared with the radiograph of yesterday, the effusion is smaller.",
        "Comparison is made with the previous study.",
        "No prior examination is available for comparison.",
        "The cardiomediastinal silhouette is unchanged.",
        "There has been interval removal of the endotracheal tube.",
        "Since the prior, no new consolidation.",
        "No new focal opacity.",
        "The nodule previously measured 6 mm.",
        "Heart size remains enlarged.",
        "Stable cardiomegaly.",
        "Stable\npostoperative appearance.",
        "The pneumothorax has resolved.",
        "The pneumothorax has slightly increased.",
        "Pneumothorax is no longer seen.",
        "Again seen is a left basal opacity.",
        "Small left effusion, increased in size.",
        "Improved aeration of the left base.",
        "Worsening oedema.",
        "No significant change.",
        "Persistent left lower lobe atelectasis.",
        "The effusion is larger than on the earlier CT.",
        "Findings are similar to prior.",
        "The line is now in the right atrium.",
        "UNCHANGED.",
    ],
)
def test_what_compares(text: str) -> None:
    assert compares(text)


@pytest.mark.parametrize(
    "text",
    [
        "The lungs are clear. No pleural effusion or pneumothorax. Heart size is normal.",
        "Degenerative changes of the thoracic spine.",
        "Prior granulomatous disease.",
        "Status post median sternotomy.",
        "Mildly increased interstitial markings.",
        "Short-interval follow-up is recommended.",
        "Interval follow-up in three months is recommended.",
        "The lungs are hyperinflated with decreased vascularity.",
        "Large right pleural effusion.",
        "Old fracture of the left sixth rib.",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not compares(text)


@pytest.mark.parametrize(
    ("text", "supplied", "struck"),
    [
        ("Unchanged since the previous study.", (), True),
        ("Unchanged since the previous study.", (MARCH,), False),
        ("Compared with 2026-03-04, unchanged.", (MARCH,), False),
        ("Compared with 2026-03-05, unchanged.", (MARCH,), True),
        ("Compared with 04.03.2026, unchanged.", (MARCH,), False),
        ("Compared with 3/4/26, unchanged.", (MARCH,), False),
        ("Compared with 3/5/26, unchanged.", (MARCH,), True),
        ("Unchanged since 4 March 2026.", (MAY, MARCH), False),
        ("Unchanged since March 4th, 2026.", (MARCH,), False),
        ("Unchanged since March 2026.", (MARCH,), False),
        ("Unchanged since 4 March 2025.", (MARCH,), True),
        ("Unchanged since 4 March 2026 and May 16, 2026.", (MARCH, MAY), True),
        ("The lungs are clear.", (), False),
    ],
)
def test_a_comparison_needs_the_study_that_it_names(text: str, supplied: tuple[date, ...], struck: bool) -> None:
    assert invented(text, supplied) is struck


def test_a_comparison_is_struck_and_named_and_the_rest_stands() -> None:
    before = section(
        ("Compared with the prior study, the effusion is smaller.", MODEL),
        (" The lungs are clear. ", MODEL),
        ("Stable cardiomegaly.", ANCHOR),
        (" No new fracture. ", MODEL),
        ("Unchanged tube.", ACCEPTED),
    )
    (kept,), struck = strike_comparisons([before], ())
    assert kept.text == "The lungs are clear. Stable cardiomegaly. Unchanged tube."
    assert struck == (
        Struck("FINDINGS", "Compared with the prior study, the effusion is smaller.", Why.COMPARES),
        Struck("FINDINGS", "No new fracture.", Why.COMPARES),
    )
    assert strike_comparisons([before], (MARCH,)) == ((before,), ())


@pytest.mark.parametrize(
    ("spans", "left"),
    [
        ((("Small left effusion", ANCHOR), (", unchanged since the prior study.", MODEL)), "Small left effusion."),
        ((("Compared with the prior study, ", MODEL), ("small left effusion.", ANCHOR)), "small left effusion."),
        ((("No ", MODEL), ("effusion", ANCHOR), (", unchanged.", MODEL)), "No effusion."),
        ((("Left effusion", ANCHOR), (", unchanged, ", MODEL), ("is small.", ANCHOR)), "Left effusion is small."),
        ((("The heart is ", MODEL), ("unchanged since March.", ANCHOR)), "The heart is unchanged since March."),
    ],
)
def test_of_a_sentence_of_both_the_models_comparison_is_struck_alone(
    spans: tuple[tuple[str, Author], ...], left: str
) -> None:
    (kept,), _ = strike_comparisons([section(*spans)], ())
    assert kept.text == left
    assert [s for s in kept.spans if s.kind is ANCHOR] == [Span(t, a) for t, a in spans if a is ANCHOR]


def test_no_sentence_of_the_phantoms_reports_compares() -> None:
    assert not {sentence for sentence in every_sentence() if compares(sentence)}


@pytest.mark.parametrize("again", [False, True], ids=["draft", "redraft"])
def test_no_invented_comparison_leaves_the_model(loaded: LoadedModel, template: Template, again: bool) -> None:
    """A canvas on which the model has written one, beside the same words of the radiologist's."""
    words = "There is no new nodule."
    said = (Anchor("IMPRESSION", words),)
    prefix, identity = read(loaded, {"input_ids": torch.tensor([[2, 270, 271]])}), identity_of(loaded, 1)
    wish = Wish([], template, said, PromptFacts("DX", "CHEST"), seed=1)
    first = written(loaded, Drafting(loaded, wish, prefix, identity), words)
    if again:
        wish = replace(wish, present=first)
        first = written(loaded, Drafting(loaded, wish, prefix, identity), words)
    assert [section.text for section in first.sections] == ["", words]
    assert first.struck == (Struck("FINDINGS", words, Why.COMPARES),)
    assert DraftText.from_json(first.as_json()) == first
    supplied = replace(wish, facts=replace(wish.facts, earlier=(EarlierReport(MARCH, "No nodule."),)))
    assert written(loaded, Drafting(loaded, supplied, prefix, identity), words).sections[0].text == words


def filled(loaded: LoadedModel, drafting: Drafting, words: str) -> tuple[int, ...]:
    """The next canvas with these words in its first gap, and with nothing in the others."""
    job = drafting.job()
    ids = [loaded.codec.filler_id if i == FREE else i for i in job.layout.ids]
    (gap,) = job.layout.gaps("FINDINGS")
    begun = loaded.codec.encode(words)
    ids[gap.start : gap.start + len(begun)] = begun
    return tuple(i for i in ids if i is not None)


def written(loaded: LoadedModel, drafting: Drafting, words: str) -> DraftText:
    """The draft when the model fills its first gap with these words, and the others with nothing."""
    ids = filled(loaded, drafting, words)
    drafting.take(Filled(ids, (1.0,) * len(ids), 1))
    assert drafting.finished
    return drafting.result()


@pytest.mark.parametrize("supplied", [False, True])
def test_none_is_shown_while_the_draft_is_under_way(loaded: LoadedModel, template: Template, supplied: bool) -> None:
    facts = PromptFacts("DX", "CHEST", earlier=(EarlierReport(MARCH, "No nodule."),) if supplied else ())
    prefix = read(loaded, {"input_ids": torch.tensor([[2, 270, 271]])})
    drafting = Drafting(loaded, Wish([], template, (), facts, seed=1), prefix, identity_of(loaded, 1))
    shown = drafting.so_far(filled(loaded, drafting, "There is no new nodule."))
    assert ("new nodule" in shown[0].text) is supplied
