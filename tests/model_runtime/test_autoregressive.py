"""The left-to-right baseline, on a tiny random Gemma 4: what is said stands, in both ways."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoint
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import Gemma4Config, Gemma4ForConditionalGeneration
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

from model_runtime.autoregressive import AutoregressiveDrafter, Infill, write_sections
from model_runtime.baseline import left_to_right, outline
from model_runtime.baseline.splicing import splice
from model_runtime.canvas import FREE, Anchor, Template, lay
from model_runtime.checkpoints.checkpoint import LoadedModel, load
from model_runtime.draft_text import Author, DraftText, SectionText, Span
from model_runtime.errors import AnchorDoesNotFit, AnchorMoved, AnchorRefused, UnusableCheckpoint
from model_runtime.prompts.prompt import PromptFacts

FACTS = PromptFacts("DX", "CHEST")
ANCHORS = (
    Anchor("FINDINGS", "No pleural effusion."),
    Anchor("FINDINGS", "肺野 e\u0301 <eos>"),
    Anchor("IMPRESSION", "heart size"),
)
WAYS = list(Infill)


@pytest.fixture(scope="session")
def gemma4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny_gemma4")
    tokenizer = tiny_checkpoint.tiny_tokenizer()
    torch.manual_seed(0)
    image, start, stop = (tokenizer.convert_tokens_to_ids(t) for t in ("<|image|>", "<|image>", "<image|>"))
    text = {
        "vocab_size": len(tokenizer) + 8,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"],
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_global_key_value_heads": 1,
        "head_dim": 16,
        "global_head_dim": 16,
        "attention_k_eq_v": True,
        "hidden_size_per_layer_input": 0,
        "enable_moe_block": True,
        "num_experts": 4,
        "top_k_experts": 2,
        "moe_intermediate_size": 16,
        "final_logit_softcapping": 30.0,
        "use_bidirectional_attention": "vision",
        "max_position_embeddings": 1024,
    }
    vision = {
        "model_type": "gemma4_vision",
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "position_embedding_size": 64,
    }
    config = Gemma4Config(
        text_config=text, vision_config=vision, image_token_id=image, boi_token_id=start, eoi_token_id=stop
    )
    Gemma4ForConditionalGeneration(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    Gemma4ImageProcessorPil(max_soft_tokens=70).save_pretrained(directory)
    (directory / "model_card.toml").write_text(tiny_checkpoint.CARD.format(steps=1), encoding="utf-8")
    return directory


@pytest.fixture(scope="session")
def sibling(gemma4: Path) -> LoadedModel:
    return load(gemma4, "cpu", architectures=["gemma4"])


@pytest.fixture(scope="session")
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)


def without_filler(sibling: LoadedModel) -> LoadedModel:
    codec = type(sibling.codec)(sibling.tokenizer, replace(sibling.card, filler=None), sibling.vocabulary_size)
    return replace(sibling, codec=codec)


def skewed(
    sibling: LoadedModel, monkeypatch: pytest.MonkeyPatch, skew: Callable[[torch.Tensor, torch.Tensor], None]
) -> None:
    """The model's logits at the last position, and all ids so far, go through `skew`."""
    forward = sibling.model.forward

    @wraps(forward)  # generate() looks at its parameters
    def changed(*args: object, **kwargs: object) -> object:
        output = forward(*args, **kwargs)
        skew(output.logits[:, -1], kwargs["input_ids"][:, -1])
        return output

    monkeypatch.setattr(sibling.model, "forward", changed)


def check(draft: DraftText, anchors: tuple[Anchor, ...] | list[Anchor]) -> None:
    for section in draft.sections:
        said = [a.text.encode() for a in anchors if a.section == section.name]
        assert [s.text.encode() for s in section.spans if s.kind is Author.ANCHOR] == said
        at = 0
        for phrase in said:
            at = section.text.encode().index(phrase, at) + len(phrase)


@pytest.mark.parametrize("way", WAYS)
def test_anchors_stand_in_their_sections_byte_for_byte(
    gemma4: Path, image: NDArray[np.uint8], template: Template, way: Infill
) -> None:
    drafter = AutoregressiveDrafter.load(gemma4, "cpu", way)
    draft = drafter.draft([image], template, ANCHORS, FACTS, seed=1)
    check(draft, ANCHORS)
    assert [s.name for s in draft.sections] == ["FINDINGS", "IMPRESSION"]
    assert draft.missing == ()
    assert draft.identity.name == drafter.card.name == "tiny"
    assert 0 < draft.confidence.lowest <= draft.confidence.mean <= 1
    assert DraftText.from_json(draft.as_json()) == draft
    assert drafter.draft([image], template, ANCHORS, FACTS, seed=1) == draft
    assert drafter.draft([image], template, ANCHORS, FACTS, seed=2).sections != draft.sections


def test_what_the_way_knows_of_the_anchors(sibling: LoadedModel, image: NDArray[np.uint8], template: Template) -> None:
    ids = outline.encode(sibling, [image], FACTS, template, ANCHORS)["input_ids"][0].tolist()
    text = sibling.codec.decode(ids)
    assert text.endswith(
        "Write the report.\n FINDINGS: must contain, in this order:\n- No pleural effusion.\n- 肺野 e\u0301 <eos>"
        "\n IMPRESSION: must contain, in this order:\n- heart size<turn|>\n<|turn>model\n"
    )
    assert sibling.tokenizer.eos_token_id not in ids  # a phrase cannot spell a control token
    plain = sibling.codec.decode(outline.encode(sibling, [image], FACTS, template, ())["input_ids"][0].tolist())
    assert plain.endswith("Write the report.\n FINDINGS:\n IMPRESSION:<turn|>\n<|turn>model\n")


def test_temperature_nought_is_the_model_s_own_choice(
    sibling: LoadedModel, image: NDArray[np.uint8], template: Template
) -> None:
    """Token for token what a forward pass over the whole text finds likeliest: cache, masks and places are right."""
    tokens = sum(len(sibling.codec.encode(" " + s.heading)) + s.tokens for s in template.sections)
    layout = lay(template, ANCHORS, encode=sibling.codec.encode, canvas_length=tokens + 1, end_id=sibling.codec.end_id)
    inputs = outline.encode(sibling, [image], FACTS, template, ANCHORS)
    (written,) = left_to_right.write(sibling, inputs, [layout], seed=0, temperature=0)
    codec, filler = sibling.codec, sibling.codec.filler_id
    ids, free = [], []
    for piece in layout.pieces[:-1]:
        for at in range(piece.start, piece.stop):
            fixed = layout.ids[at] != FREE
            text, probability, _ = written.tokens[at]
            if not fixed and not text and probability == 1.0:
                break  # an earlier filler has ended this gap
            ids.append(layout.ids[at] if fixed else filler if not text else only(codec.encode(text)))
            free.append(not fixed)
    prompt = inputs["input_ids"].shape[1]
    whole = torch.cat([inputs["input_ids"], torch.tensor([ids])], dim=1)
    longer = {
        "input_ids": whole,
        "attention_mask": torch.ones_like(whole),
        "mm_token_type_ids": torch.nn.functional.pad(inputs["mm_token_type_ids"], (0, len(ids))),
    }
    with torch.no_grad():
        logits = sibling.model(**inputs | longer).logits[0, prompt - 1 : -1]
    logits[:, list(codec.banned)] = float("-inf")
    likeliest = logits.argmax(-1)
    assert sum(free) > 20
    assert [i for i, f in zip(ids, free, strict=True) if f] == likeliest[torch.tensor(free)].tolist()


def only(ids: list[int]) -> int:
    (one,) = ids
    return one


def test_several_reports_share_a_batch(sibling: LoadedModel, image: NDArray[np.uint8], template: Template) -> None:
    """Prompts of different lengths beside each other; at temperature 0 the neighbours change nothing."""
    cold = replace(sibling, card=replace(sibling.card, sampler=replace(sibling.card.sampler, t_max=0.0)))
    said = [(), ANCHORS, ANCHORS[2:]]
    images = [[image], [image[::-1]], [image[:, ::-1]]]
    together = write_sections(cold, images, template, said, FACTS, seed=1)
    for one, own, report in zip(images, said, together, strict=True):
        alone = write_sections(cold, [one], template, [own], FACTS, seed=1)[0]
        assert [s.text for s in alone[0]] == [s.text for s in report[0]]
        assert alone[1] == report[1]


def test_a_filler_ends_the_gap(
    sibling: LoadedModel, image: NDArray[np.uint8], template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(logits: torch.Tensor, _: torch.Tensor) -> None:
        logits[:, sibling.codec.filler_id] = 1e4

    skewed(sibling, monkeypatch, silent)
    draft = AutoregressiveDrafter(sibling).draft([image], template, ANCHORS, FACTS, seed=1)
    assert [s.text for s in draft.sections] == ["No pleural effusion. 肺野 e\u0301 <eos>", "heart size"]
    empty = AutoregressiveDrafter(sibling).draft([image], template, (), FACTS, seed=1)
    assert (empty.missing, empty.confidence) == (("FINDINGS",), None)


def test_without_a_filler_the_end_of_the_turn_ends_the_gap_and_is_no_part_of_the_text(
    sibling: LoadedModel, image: NDArray[np.uint8], template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, seen = without_filler(sibling), []
    (clear,) = plain.codec.encode(" clear")

    def one_word_each(logits: torch.Tensor, before: torch.Tensor) -> None:
        seen.extend(before.tolist())
        logits[:, plain.codec.end_id if before.item() == clear else clear] = 1e4

    skewed(plain, monkeypatch, one_word_each)
    draft = AutoregressiveDrafter(plain).draft([image], template, ANCHORS, FACTS, seed=1)
    assert [s.text for s in draft.sections] == [
        "clear No pleural effusion. clear 肺野 e\u0301 <eos> clear",
        "clear heart size clear",
    ]
    assert plain.codec.end_id not in seen


def test_without_a_filler_going_on_with_the_anchor_ends_the_gap(
    sibling: LoadedModel, image: NDArray[np.uint8], template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = without_filler(sibling)
    heart, stop = only(plain.codec.encode(" heart")), only(plain.codec.encode("."))

    def heart_and_stop(logits: torch.Tensor, before: torch.Tensor) -> None:
        logits[:, stop if before.item() == heart else heart] = 1e4

    skewed(plain, monkeypatch, heart_and_stop)
    anchor = Anchor("FINDINGS", "heart size is normal")
    draft = AutoregressiveDrafter(plain).draft([image], template, [anchor], FACTS, seed=1)
    assert draft.sections[0].text.startswith("heart size is normal heart. heart.")


def test_a_moved_anchor_gives_no_draft(
    sibling: LoadedModel, image: NDArray[np.uint8], template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced = left_to_right.ForcedLogits.__call__

    def loose(self: left_to_right.ForcedLogits, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        forced(self, input_ids, scores)
        return scores

    monkeypatch.setattr(left_to_right.ForcedLogits, "__call__", loose)
    with pytest.raises(AnchorMoved):
        AutoregressiveDrafter(sibling).draft([image], template, ANCHORS, FACTS, seed=1)


@pytest.mark.parametrize("way", WAYS)
def test_what_does_not_fit_is_refused(
    sibling: LoadedModel, image: NDArray[np.uint8], template: Template, way: Infill
) -> None:
    drafter = AutoregressiveDrafter(sibling, way)
    with pytest.raises(AnchorDoesNotFit, match="section FINDINGS"):
        drafter.draft([image], template, [Anchor("FINDINGS", "effusion " * 60)], FACTS, seed=1)
    with pytest.raises(AnchorRefused, match="tokenizer"):
        drafter.draft([image], template, [Anchor("FINDINGS", "a\u2581b")], FACTS, seed=1)
    with pytest.raises(ValueError, match="3 images were given, tiny reads at most 2"):
        drafter.draft([image] * 3, template, ANCHORS, FACTS, seed=1)


def test_a_diffusion_checkpoint_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UnusableCheckpoint, match="holds a diffusion_gemma model; gemma4 is wanted"):
        AutoregressiveDrafter.load(checkpoint, "cpu")


spoken = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("e\u0301肺😀|^~\\&\r\n ﷺ"),
    min_size=1,
    max_size=8,
) | st.sampled_from(["<eos>", "<|image|>", "<filler>", " <turn|> "])
said = st.builds(Anchor, st.sampled_from(["FINDINGS", "IMPRESSION"]), spoken)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anchors=st.lists(said, max_size=3), way=st.sampled_from(WAYS), seed=st.integers(0, 2**63 - 1))
def test_any_anchor_is_kept_byte_for_byte_and_in_order_or_refused(
    sibling: LoadedModel,
    image: NDArray[np.uint8],
    template: Template,
    anchors: list[Anchor],
    way: Infill,
    seed: int,
) -> None:
    short = replace(template, sections=tuple(replace(section, tokens=24) for section in template.sections))
    try:
        draft = AutoregressiveDrafter(sibling, way).draft([image], short, anchors, FACTS, seed=seed)
    except (AnchorDoesNotFit, AnchorRefused):
        return
    check(draft, anchors)


# splicing


def section(template: Template, *sentences: str) -> SectionText:
    own = template.sections[0]
    return SectionText(own.name, own.heading, own.code, tuple(Span(s, Author.MODEL, 0.5) for s in sentences))


@pytest.mark.parametrize(
    ("sentences", "phrases", "text"),
    [
        (
            ["The lungs are clear.", " No effusion."],
            ["Small left effusion."],
            "The lungs are clear. Small left effusion.",
        ),
        (["Large effusion at the left base.", " Heart is large."], ["No effusion."], "No effusion. Heart is large."),
        (["The lungs are clear."], ["As discussed."], "The lungs are clear. As discussed."),
        (["Bones are intact.", " Tip is high."], ["Bones are all intact."], "Bones are all intact. Tip is high."),
        (
            ["No effusion.", " No nodule.", " No pneumothorax."],
            ["By phone.", "Nodule in the left upper zone.", "Also.", "More."],
            "No effusion. By phone. Nodule in the left upper zone. No pneumothorax. Also. More.",
        ),
        ([], [" a ", "b"], " a  b"),
        (["Heart is normal."], [], "Heart is normal."),
    ],
)
def test_a_phrase_takes_the_place_of_the_sentence_it_is_like(
    template: Template, sentences: list[str], phrases: list[str], text: str
) -> None:
    anchors = [Anchor("FINDINGS", phrase) for phrase in phrases]
    (spliced,) = splice([section(template, *sentences)], anchors)
    assert spliced.text == text
    assert [s.text for s in spliced.spans if s.kind is Author.ANCHOR] == phrases


def test_splicing_loads_no_torch() -> None:
    code = "import sys, model_runtime.baseline.splicing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
