"""The demo checkpoint's left-to-right sibling: the same lessons, and a checkpoint that drafts."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from model_runtime.autoregressive import AutoregressiveDrafter, Infill
from model_runtime.baseline import outline
from model_runtime.canvas import Anchor
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.draft_text import Author
from model_runtime.evaluation.phantoms import Trial, evaluate
from model_runtime.phantoms.phantom import HELD_OUT, Phantom
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts.prompt import PromptFacts
from model_runtime.training.architecture import DENSE, build_model, build_sibling
from model_runtime.training.course import Recipe, train
from model_runtime.training.examples import CANVAS, Teacher
from model_runtime.training.release import in_memory, sibling_card
from model_runtime.training.sequences import lesson
from model_runtime.training.sibling import SIBLING
from model_runtime.training.sight import patches, softcapped
from model_runtime.training.vocabulary import build_tokenizer

SAID = (Anchor("FINDINGS", "Small left pleural effusion."), Anchor("IMPRESSION", "Compared 肺 with <eos>."))


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def teacher(tokenizer):
    return Teacher(tokenizer)


@pytest.fixture(scope="module")
def untrained(tokenizer) -> LoadedModel:
    torch.manual_seed(0)
    return in_memory(build_sibling(tokenizer).eval(), tokenizer, sibling_card({}))


def test_it_is_as_large_as_the_demo_model(tokenizer, untrained):
    sizes = [sum(p.numel() for p in model.parameters()) for model in (build_model(tokenizer, CANVAS), untrained.model)]
    assert abs(sizes[0] - sizes[1]) < 1e-4 * sizes[0]


def test_its_lessons_are_the_demo_model_s_reports_without_fillers(teacher, tokenizer):
    """The same words at the same places in the report, one filler at the end of each gap, anchors in the prompt."""
    taught, example = lesson(teacher, range(40)), teacher.batch(range(40))
    assert np.array_equal(taught.geometry, example.geometry)
    assert np.array_equal(taught.shown, example.shown)
    rows = zip(*(a.reshape(80, -1) for a in (taught.ids, taught.learnt, example.canvas, example.clamped)), strict=True)
    reports = [report for seed in range(40) for report in teacher.reports(Phantom.of(seed))]
    for (ids, learnt, canvas, clamped), report in zip(rows, reports, strict=True):
        text = canvas[(canvas != teacher.filler_id) & (canvas != teacher.end_id)]
        body = ids[: 1 + int(np.argmax(ids == teacher.end_id))]
        written = body[len(body) - np.sum(body == teacher.filler_id) - len(text) - 1 :]
        assert np.array_equal(written[(written != teacher.filler_id) & (written != teacher.end_id)], text)
        own = canvas[~clamped]
        assert np.array_equal(ids[learnt & (ids != teacher.filler_id)], own[own != teacher.filler_id])
        ends = np.flatnonzero(learnt & (ids == teacher.filler_id))
        assert not learnt[ends + 1][ids[ends + 1] == teacher.filler_id].any()  # never two
        assert not learnt[ends[-1] + 1 :].any()
        prompt = tokenizer.decode(body[: len(body) - len(written)])
        at = 0
        for anchor in report.anchors:
            at = prompt.index(f"- {anchor.text}", at) + 1
        assert prompt.endswith("<turn|>\n<|turn>model\n")


def test_training_sees_what_drafting_will_see(teacher, untrained):
    """The layer-by-layer path gives the logits of the model's own forward pass, image, masks and all."""
    own = copy.deepcopy(untrained.model)
    own.tie_weights()
    own.set_experts_implementation(DENSE)
    objective = SIBLING.objective(own, teacher)
    grey = Phantom.of(9).image()
    inputs = outline.encode(
        untrained, [np.repeat(grey[..., None], 3, axis=2)], PromptFacts("DX", "CHEST"), TEMPLATE, SAID
    )
    with torch.no_grad():
        stock = untrained.model(**inputs).logits
        seen = objective.sight.see(patches(torch.from_numpy(grey)[None] / 255.0))
        hidden = objective.read(seen, inputs["input_ids"])
        torch.testing.assert_close(softcapped(own, hidden, 30.0), stock, atol=1e-4, rtol=1e-4)


def test_the_prompt_of_drafting_is_that_of_training(teacher, untrained):
    """Token for token, for one order and some anchors."""
    seed = next(seed for seed in range(99) if any(report.anchors for report in teacher.reports(Phantom.of(seed))))
    taught = lesson(teacher, range(seed, seed + 1))
    for row, report in zip(taught.ids[0], teacher.reports(Phantom.of(seed)), strict=True):
        order = untrained.codec.decode(teacher.prompt(seed)[teacher.image_start + 64 :])
        words = order.removeprefix("<image|>").partition("\n")[0]
        image = np.zeros((400, 400, 3), dtype=np.uint8)
        told = outline.encode(untrained, [image], Spoken("", "", indication=words), TEMPLATE, report.anchors)
        assert told["input_ids"][0].tolist() == row[: told["input_ids"].shape[1]].tolist()


class Spoken(PromptFacts):
    """Says its indication and nothing else."""

    def line(self) -> str:
        return self.indication


def test_learning_lowers_the_loss(teacher, tokenizer):
    torch.manual_seed(0)
    objective = SIBLING.objective(build_sibling(tokenizer), teacher)
    examples = [torch.from_numpy(array) for array in lesson(teacher, range(2))]
    optimizer = torch.optim.AdamW(objective.parameters(), lr=2e-3)
    losses = []
    for _ in range(4):
        loss, _ = objective(*examples)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_few_steps_write_a_checkpoint_that_loads_and_drafts(tmp_path):
    train(
        SIBLING,
        Recipe(steps=3, batch=2, workers=0, trial_count=1, compiled=False),
        tmp_path,
        torch.device("cpu"),
    )
    assert ModelCard.read(tmp_path).training["command"].startswith("radplug train sibling --steps 3")
    assert (tmp_path / "model.safetensors").stat().st_size < 15_500_000
    image = np.repeat(Phantom.of(HELD_OUT).image()[..., None], 3, axis=2)
    drafter = AutoregressiveDrafter.load(tmp_path, "cpu")
    draft = drafter.draft([image], TEMPLATE, SAID, PromptFacts("DX", "CHEST"), seed=1)
    for section, anchor in zip(draft.sections, SAID, strict=True):
        assert [s.text for s in section.spans if s.kind is Author.ANCHOR] == [anchor.text]


@pytest.mark.parametrize("way", list(Infill))
def test_it_is_evaluated_as_the_demo_model_is(untrained, way):
    result = evaluate(untrained, range(HELD_OUT, HELD_OUT + 2), Trial.ANCHORED, batch=2, way=way)
    assert (result.scores.drafts, result.anchors) == (2, 2)
