"""What stays of a present draft when the radiologist says something more."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_runtime.canvas import FREE, Anchor, Code, Template, lay
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.checkpoints.codec import TextCodec
from model_runtime.contradictions.agreement import stated
from model_runtime.draft_text import Author, DraftText, SectionText, Span
from model_runtime.drafter import Drafter
from model_runtime.drafting import Wish
from model_runtime.errors import AnchorRefused, Cancelled
from model_runtime.prompts.prefix import Prefix, read
from model_runtime.prompts.prefix_shelf import PrefixShelf
from model_runtime.prompts.prompt import PromptFacts
from model_runtime.redraft import Kept, Reach, keep, needs, start_of

FACTS = PromptFacts("DX", "CHEST")


def section(*spans: tuple[str, Author]) -> SectionText:
    return SectionText("FINDINGS", "FINDINGS:", Code("59776-5", "LN", "Findings"), tuple(Span(t, a) for t, a in spans))


PRESENT = section(
    ("The lungs are clear. ", Author.MODEL),
    ("No nodule.", Author.ANCHOR),
    (" heart size is normal.", Author.MODEL),
)


def said(*phrases: str) -> list[Anchor]:
    return [Anchor("FINDINGS", phrase) for phrase in phrases]


@pytest.mark.parametrize(
    ("anchors", "reach", "gaps"),
    [
        (said("No nodule."), Reach.GAP, ("The lungs are clear.", "heart size is normal.")),
        (said("No nodule.", "No effusion."), Reach.GAP, ("The lungs are clear.", None, None)),
        (said("No effusion.", "No nodule."), Reach.GAP, (None, None, "heart size is normal.")),
        (said("No effusion.", "No nodule."), Reach.SECTION, (None, None, None)),
        (said("No nodule."), Reach.SECTION, ("The lungs are clear.", "heart size is normal.")),
        (said("No nodule."), Reach.REPORT, (None, None)),
        ([], Reach.GAP, (None,)),  # a phrase that is withdrawn does not come back as the model's own
        (
            [Anchor("FINDINGS", "The lungs are clear.", accepted=True), *said("No nodule.")],
            Reach.GAP,
            ("", "", "heart size is normal."),
        ),
    ],
)
def test_text_away_from_the_change_is_kept(anchors: list[Anchor], reach: Reach, gaps: tuple[str | None, ...]) -> None:
    assert keep(PRESENT, anchors, reach, {}) == Kept("FINDINGS", gaps)


def test_text_that_opposes_a_phrase_is_written_anew_wherever_it_stands() -> None:
    """ "The lungs are clear" denies the nodule that a phrase of another section now asserts."""
    by_radiologist = stated(["Right upper zone nodule."])
    assert keep(PRESENT, said("No nodule."), Reach.GAP, by_radiologist).gaps == (None, "heart size is normal.")


def test_kept_text_begins_on_the_canvas_where_its_gap_is_and_fillers_follow(
    loaded: LoadedModel, template: Template
) -> None:
    codec = loaded.codec
    kept = [Kept("FINDINGS", ("The lungs are clear", None)), Kept("IMPRESSION", (None,))]
    layout = lay(
        template,
        said("No nodule"),
        encode=codec.encode,
        canvas_length=loaded.canvas_length,
        end_id=codec.end_id,
        needs=needs(kept, codec),
    )
    start = start_of(layout, kept, codec)
    first, second = layout.gaps("FINDINGS")
    written = start[first.start : first.stop]
    assert codec.decode([i for i in written if i != codec.filler_id]) == " The lungs are clear"
    assert written[-1] == codec.filler_id
    assert set(start[second.start : second.stop]) == {FREE}
    assert all(s == FREE for s, fixed in zip(start, layout.ids, strict=True) if fixed != FREE)


def test_a_gap_gets_the_room_that_its_kept_text_needs(loaded: LoadedModel, template: Template) -> None:
    codec, text = loaded.codec, "The lungs are clear " * 12
    kept = [Kept("FINDINGS", (text.strip(), None, ""))]
    layout = lay(
        template,
        said("nodule", "nodule"),
        encode=codec.encode,
        canvas_length=loaded.canvas_length,
        end_id=codec.end_id,
        needs=needs(kept, codec),
    )
    wide, *others = (gap.tokens for gap in layout.gaps("FINDINGS"))
    assert wide >= len(codec.encode(" " + text.strip())) > 64 // 3
    assert all(4 <= tokens < wide for tokens in others)
    assert codec.decode(start_of(layout, kept, codec)[layout.gaps("FINDINGS")[0].start :][:4]).startswith(" The lungs")


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (120, 96, 3), dtype=np.uint8)


def test_a_redraft_starts_from_the_present_one(
    loaded: LoadedModel, template: Template, image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that changes nothing: what was away from the new phrase comes out as it was."""
    drafter = Drafter(loaded)
    present = drafter.draft([image], template, [Anchor("IMPRESSION", "No nodule")], FACTS, seed=1)
    forward = loaded.model.forward

    def content(*args: object, **kwargs: object) -> object:
        output = forward(*args, **kwargs)
        output.logits = output.logits + 1e4 * torch.nn.functional.one_hot(
            kwargs["decoder_input_ids"],
            output.logits.shape[-1],  # type: ignore[arg-type]
        )
        return output

    monkeypatch.setattr(loaded.model, "forward", content)
    anchors = [Anchor("IMPRESSION", "No nodule"), Anchor("IMPRESSION", "effusion")]
    redraft = drafter.redraft([image], template, anchors, FACTS, present=present, reach=Reach.GAP, seed=2)
    assert redraft.sections[0].text == present.sections[0].text
    assert redraft.sections[1].text != present.sections[1].text
    assert [s.text for s in redraft.sections[1].spans if s.kind is Author.ANCHOR] == ["No nodule", "effusion"]


def test_what_was_accepted_stays_as_the_models_own_words(
    loaded: LoadedModel, template: Template, image: NDArray[np.uint8]
) -> None:
    drafter = Drafter(loaded)
    kept = Anchor("FINDINGS", "heart size is normal", accepted=True)
    draft = drafter.draft([image], template, [kept, *said("nodule")], FACTS, seed=1)
    fixed = [(s.text, s.kind) for s in draft.sections[0].spans if s.kind is not Author.MODEL]
    assert fixed == [("heart size is normal", Author.ACCEPTED), ("nodule", Author.ANCHOR)]


def test_a_prompt_is_read_once_for_all_drafts_of_it(
    loaded: LoadedModel, template: Template, image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    encoder = loaded.model.model.encoder
    forward = encoder.forward

    def counting(*args: object, **kwargs: object) -> object:
        nonlocal reads
        reads += 1
        return forward(*args, **kwargs)

    monkeypatch.setattr(encoder, "forward", counting)
    drafter = Drafter(loaded)
    drafter.prepare([image], FACTS)
    assert reads == 1
    present = drafter.draft([image], template, (), FACTS, seed=1)
    drafter.redraft([image], template, said("nodule"), FACTS, present=present, seed=1)
    assert reads == 1
    drafter.draft([image[::-1]], template, (), FACTS, seed=1)
    drafter.draft([image], template, (), replace(FACTS, indication="cough"), seed=1)
    assert reads == 3


def test_the_prompt_longest_unused_goes_first(loaded: LoadedModel) -> None:
    def prefix() -> Prefix:
        return read(loaded, {"input_ids": torch.tensor([[2, 270, 271]])})

    one = read(loaded, {"input_ids": torch.tensor([[2, 270, 271]])}).bytes
    shelf = PrefixShelf(most_bytes=2 * one)
    for key in ("a", "b", "a", "c"):
        shelf.get(key, prefix)
    assert [key in shelf for key in "abc"] == [True, False, True]
    assert shelf.bytes == 2 * one
    tiny = PrefixShelf(most_bytes=0)
    tiny.get("a", prefix)
    assert "a" in tiny  # the one that is being drafted from


def test_a_newer_phrase_stops_a_draft_within_a_step(
    loaded: LoadedModel, template: Template, image: NDArray[np.uint8]
) -> None:
    stop, steps = Event(), []

    def frame(wish: int, step: int, sections: object) -> None:
        steps.append(step)
        if step == 2:
            stop.set()

    with pytest.raises(Cancelled):
        Drafter(loaded).draft([image], template, (), FACTS, seed=1, on_frame=frame, stop=stop)
    assert steps in ([1, 2], [1, 2, 3])  # a frame is told while the next step runs


def test_frames_come_no_more_often_than_asked_for(
    loaded: LoadedModel, template: Template, image: NDArray[np.uint8]
) -> None:
    def steps_told(seconds: float) -> list[int]:
        told: list[int] = []
        Drafter(loaded).draft(
            [image],
            template,
            said("No nodule."),
            FACTS,
            seed=1,
            on_frame=lambda wish, step, sections: told.append(step),
            frame_seconds=seconds,
        )
        return told

    assert steps_told(0.0) == [1, 2, 3, 4, 5, 6]
    assert steps_told(3600.0) == [1]


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_cases_of_a_batch_are_drafted_as_if_alone_and_fail_alone(
    batch: int, loaded: LoadedModel, template: Template, image: NDArray[np.uint8]
) -> None:
    drafter = Drafter(loaded, batch=batch)
    wishes = [
        Wish([image], template, said("No nodule."), FACTS, 3),
        Wish([image], template, [Anchor("TECHNIQUE", "axial")], FACTS, 3),
        Wish([], template, (), FACTS, 3),
        Wish([image[::-1]], template, (), replace(FACTS, indication="cough"), 4),
        Wish([image], template, (), FACTS, 5, adapter="none such"),
    ]
    first, refused, empty, other, unknown = drafter.draft_all(wishes)
    assert isinstance(refused, AnchorRefused)
    assert isinstance(empty, ValueError)
    assert "no adapter" in str(unknown)
    alone = drafter.draft([image], template, said("No nodule."), FACTS, seed=3)
    assert isinstance(first, DraftText)
    assert [section.text for section in first.sections] == [section.text for section in alone.sections]
    alone = drafter.draft([image[::-1]], template, (), replace(FACTS, indication="cough"), seed=4)
    assert isinstance(other, DraftText)
    assert [section.text for section in other.sections] == [section.text for section in alone.sections]


def test_a_report_longer_than_a_canvas_is_drafted_section_by_section(
    loaded: LoadedModel, template: Template, image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tuple(replace(template.sections[0], name=f"PART {k}", heading=f"PART {k}:", tokens=90) for k in range(3))
    long = replace(template, sections=parts)
    anchors = [Anchor("PART 2", "No nodule."), Anchor("PART 0", "heart size is normal"), Anchor("PART 2", "clear")]
    seen: list[int] = []
    forward = loaded.model.forward

    def noting(*args: object, **kwargs: object) -> object:
        seen.append(int(kwargs["decoder_position_ids"][0, 0]))  # type: ignore[index]
        return forward(*args, **kwargs)

    monkeypatch.setattr(loaded.model, "forward", noting)
    draft = Drafter(loaded).draft([image], long, anchors, FACTS, seed=1)
    assert [s.name for s in draft.sections] == ["PART 0", "PART 1", "PART 2"]
    fixed = {s.name: [x.text for x in s.spans if x.kind is Author.ANCHOR] for s in draft.sections}
    assert fixed == {"PART 0": ["heart size is normal"], "PART 1": [], "PART 2": ["No nodule.", "clear"]}
    starts = list(dict.fromkeys(seen))
    assert starts == sorted(starts)
    assert len(starts) == 3, "each canvas stands behind the sections before it"


def test_a_model_without_a_filler_gets_gaps_of_the_size_that_it_is_surest_of(
    loaded: LoadedModel, template: Template, image: NDArray[np.uint8]
) -> None:
    """The tiny model as if it had learnt none."""
    card = replace(loaded.card, filler=None)
    codec = TextCodec(loaded.tokenizer, card, loaded.vocabulary_size)
    bare = replace(loaded, card=card, codec=codec)
    draft = Drafter(bare).draft([image], template, said("No nodule."), FACTS, seed=1)
    assert [s.text for s in draft.sections[0].spans if s.kind is Author.ANCHOR] == ["No nodule."]
    assert Drafter(bare).draft([image], template, said("No nodule."), FACTS, seed=1) == draft
