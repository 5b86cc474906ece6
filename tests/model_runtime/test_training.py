import copy

import numpy as np
import pytest
import torch

from model_runtime.canvas import FREE
from model_runtime.checkpoints import checkpoint
from model_runtime.evaluation.phantoms import Trial, evaluate
from model_runtime.phantoms.phantom import HELD_OUT, Phantom
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts.prompt import PromptFacts, encode
from model_runtime.training import step
from model_runtime.training.architecture import DENSE, build_image_processor, build_model
from model_runtime.training.course import Recipe, train
from model_runtime.training.demo import DEMO, lesson
from model_runtime.training.examples import CANVAS, Teacher
from model_runtime.training.sight import patches
from model_runtime.training.step import corrupt, prompt_masks
from model_runtime.training.vocabulary import build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def teacher(tokenizer):
    return Teacher(tokenizer)


def tensors(teacher, phantoms):
    geometry, canvas, clamped, shown = (torch.from_numpy(array) for array in teacher.batch(range(phantoms)))
    return geometry, canvas.flatten(0, 1), clamped.flatten(0, 1), shown


def test_a_slot_is_text_then_fillers_and_the_rest_is_clamped(teacher, tokenizer):
    filler, template = teacher.filler_id, sum(section.tokens for section in TEMPLATE.sections)
    anchored = 0
    for seed in range(150):
        example = teacher.example(seed)
        assert example.canvas.shape == example.clamped.shape == (2, CANVAS)
        for canvas, clamped in zip(example.canvas, example.clamped, strict=True):
            assert (canvas != FREE).all()
            assert clamped[-1]
            assert canvas[-1] == tokenizer.eos_token_id
            empty = (canvas == filler) & ~clamped
            # Behind a gap's first filler stand only fillers, up to what is clamped next.
            assert not (empty[:-1] & ~empty[1:] & ~clamped[1:]).any()
            anchored += clamped.sum() > CANVAS - template
    assert 120 < anchored < 240


def test_an_example_depends_on_its_seed_alone(tokenizer):
    first, again = Teacher(tokenizer).batch(range(4)), Teacher(tokenizer).batch(range(4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.canvas[0], first.canvas[1])
    assert not np.array_equal(first.canvas[0, 0], first.canvas[0, 1])


def test_noise_falls_on_free_positions_only(teacher, tokenizer):
    _, canvas, clamped, _ = tensors(teacher, 32)
    noisy = corrupt(canvas, clamped, len(tokenizer))
    changed = (noisy != canvas).float()
    assert not changed[clamped].any()
    shares = changed.sum(1) / (~clamped).sum(1)
    assert shares.min() < 0.1
    assert shares.max() > 0.95


def test_training_sees_what_drafting_will_see(teacher, tokenizer):
    """The layer-by-layer path gives the logits of the model's own forward pass, image, masks, hint and all."""
    torch.manual_seed(0)
    model = build_model(tokenizer, CANVAS).eval()
    own = copy.deepcopy(model)
    own.tie_weights()
    own.set_experts_implementation(DENSE)
    objective = DEMO.objective(own, teacher)
    grey = Phantom.of(9).image()
    inputs = encode(
        [np.repeat(grey[..., None], 3, axis=2)],
        PromptFacts("DX", "CHEST"),
        tokenizer=tokenizer,
        image_processor=build_image_processor(),
    )
    ids, noisy = inputs["input_ids"], torch.randint(len(tokenizer), (1, CANVAS))
    hint = 3 * torch.randn(1, CANVAS, len(tokenizer))
    with torch.no_grad():
        stock = model(
            **(inputs | {"attention_mask": prompt_masks(model, ids)}),
            decoder_input_ids=noisy,
            self_conditioning_logits=hint,
        ).logits
        seen = objective.sight.see(patches(torch.from_numpy(grey)[None] / 255.0))
        prefixes = objective.encode(seen, ids, prompt_masks(own, ids))
        hidden = objective.decode(prefixes, ids.shape[1], noisy, (hint.softmax(-1), torch.tensor([True])))
        torch.testing.assert_close(step._logits(own, hidden), stock, atol=1e-4, rtol=1e-4)


def test_a_few_steps_write_a_checkpoint_that_loads_drafts_and_is_tied(tmp_path, tokenizer):
    recipe = Recipe(seeing=3600.0, looks=1, steps=3, batch=2, workers=0, trial_count=2, compiled=False)
    train(DEMO, recipe, tmp_path, torch.device("cpu"))
    loaded = checkpoint.load(tmp_path, "cpu")
    model = loaded.model
    assert model.lm_head.weight is model.model.encoder.language_model.embed_tokens.weight
    assert (
        model.model.encoder.language_model.layers[0].mlp.up_proj.weight
        is model.model.decoder.layers[0].mlp.up_proj.weight
    )
    assert (loaded.card.training["looks"], loaded.card.training["steps"]) == (1, 3)
    assert loaded.card.covers("CT", "CHEST")
    assert loaded.card.covers("DX", "CHEST") is None
    assert (tmp_path / "model.safetensors").stat().st_size < 15_500_000
    result = evaluate(loaded, range(HELD_OUT, HELD_OUT + 2), Trial.ANCHORED, batch=2)
    assert result.scores.drafts == 2
    assert result.anchors == 2


def test_learning_lowers_the_loss(teacher, tokenizer):
    torch.manual_seed(0)
    objective = DEMO.objective(build_model(tokenizer, CANVAS), teacher)
    examples = [torch.from_numpy(array) for array in lesson(teacher, range(4))]
    optimizer = torch.optim.AdamW(objective.parameters(), lr=2e-3)
    losses = []
    for _ in range(4):
        loss, _ = objective(*examples)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
