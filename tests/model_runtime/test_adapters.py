"""LoRA adapters: trained tied, saved, attached to the weights they are for and to no others, switched, merged."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model_runtime.checkpoints.checkpoint import LoadedModel, load
from model_runtime.errors import UnusableAdapter
from model_runtime.lora.adapter_card import FILE_NAME, AdapterCard
from model_runtime.lora.adapter_files import CONFIG, PREFIX, WEIGHTS
from model_runtime.lora.adapters import Adapters
from model_runtime.lora.layers import TARGETS, linear_layers, lora_layers
from model_runtime.lora.merging import merged
from model_runtime.training.adapter import new_adapter, save_adapter

ATTENTION_ONLY = r".*(encoder\.language_model|decoder)\.layers\.\d+\.self_attn\.(q|o)_proj"
Q = "layers.0.self_attn.q_proj"
ENCODER_Q, DECODER_Q = f"model.encoder.language_model.{Q}", f"model.decoder.{Q}"


def logits(model: nn.Module) -> Tensor:
    """(1, canvas, vocabulary) of a fixed canvas behind a fixed prompt: one pass of encoder and of decoder."""
    prompt, canvas = torch.arange(300, 316)[None], torch.arange(20, 52)[None]
    result: Tensor = model(input_ids=prompt, decoder_input_ids=canvas).logits
    return result


@torch.no_grad()
def answer(model: nn.Module) -> Tensor:
    return logits(model)


@torch.no_grad()
def prefix(loaded: LoadedModel) -> Tensor:
    """The keys that the encoder leaves of the prompt in its last layer."""
    cache: Any = loaded.model.model.encoder(input_ids=torch.arange(300, 316)[None]).past_key_values
    keys: Tensor = cache.layers[-1].keys
    return keys


def train(loaded: LoadedModel, name: str, *, targets: str = TARGETS, token: int = 300) -> LoadedModel:
    """An adapter that has learnt, in a few real steps, to write one token everywhere."""
    torch.manual_seed(token)
    optimizer = torch.optim.AdamW(new_adapter(loaded, name, targets=targets), lr=0.05)
    losses = []
    for _ in range(8):
        loss = nn.functional.cross_entropy(logits(loaded.model).flatten(0, 1), torch.full((32,), token))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    return loaded


def save(loaded: LoadedModel, name: str, directory: Path) -> Path:
    save_adapter(loaded, name, directory, version="1", purpose="tests", training={"steps": 8})
    return directory


@pytest.fixture
def fresh(checkpoint: Path) -> LoadedModel:
    """A model of the test's own: adapters change it."""
    return load(checkpoint, "cpu")


@pytest.fixture(scope="module")
def chest(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(train(load(checkpoint, "cpu"), "chest"), "chest", tmp_path_factory.mktemp("chest"))


@pytest.fixture(scope="module")
def head(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Changes fewer layers than the other, and otherwise."""
    loaded = train(load(checkpoint, "cpu"), "head", targets=ATTENTION_ONLY, token=301)
    return save(loaded, "head", tmp_path_factory.mktemp("head"))


@pytest.fixture
def copy(chest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chest, tmp_path / "adapter"))


# trained


def test_encoder_and_decoder_train_one_pair_and_nothing_else(fresh: LoadedModel) -> None:
    untouched = answer(fresh.model)
    parameters = new_adapter(fresh, "new")
    encoder, decoder = (lora_layers(fresh.model)[name] for name in (ENCODER_Q, DECODER_Q))
    assert encoder.lora_A["new"].weight is decoder.lora_A["new"].weight
    assert encoder.lora_B["new"].weight is decoder.lora_B["new"].weight
    adapted = [layer for name, layer in linear_layers(fresh.model).items() if name in lora_layers(fresh.model)]
    assert len(parameters) == 2 * len({layer.weight for layer in adapted}) == 26  # 7 and 6 projections, A and B
    assert torch.equal(answer(fresh.model), untouched), "B begins at zero"


def test_an_adapter_of_a_bfloat16_model_trains_in_float32(checkpoint: Path, tmp_path: Path) -> None:
    loaded = train(load(checkpoint, "cpu", torch.bfloat16), "fine")
    layers = lora_layers(loaded.model)
    assert {layer.lora_A["fine"].weight.dtype for layer in layers.values()} == {torch.float32}
    assert layers[ENCODER_Q].lora_A["fine"].weight is layers[DECODER_Q].lora_A["fine"].weight
    weights = load_file(save(loaded, "fine", tmp_path) / WEIGHTS)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_peft_itself_takes_the_directory(checkpoint: Path, chest: Path, fresh: LoadedModel) -> None:
    theirs = PeftModel.from_pretrained(load(checkpoint, "cpu").model, chest)
    adapters = Adapters(fresh)
    adapters.attach(chest)
    with adapters.using("chest"):
        assert torch.equal(answer(theirs), answer(fresh.model))


# switched


def test_the_base_is_bit_for_bit_what_it_was_whatever_is_attached_and_was_used(
    fresh: LoadedModel, chest: Path, head: Path
) -> None:
    untouched = answer(fresh.model)
    adapters = Adapters(fresh)
    assert [adapters.attach(chest).name, adapters.attach(head).name] == ["chest", "head"]
    assert torch.equal(answer(fresh.model), untouched)
    seen: dict[str | None, Tensor] = {}
    for name in ("chest", "head", None, "head", "chest", None):
        with adapters.using(name):
            now = answer(fresh.model)
        assert torch.equal(seen.setdefault(name, now), now), "it depends on what was used before"
    assert torch.equal(seen[None], untouched)
    for one, other in (("chest", None), ("head", None), ("chest", "head")):
        assert (seen[one] - seen[other]).abs().max() > 0.1
    assert torch.equal(answer(fresh.model), untouched)


def test_an_adapter_answers_alone_as_it_does_beside_others(checkpoint: Path, chest: Path, head: Path) -> None:
    answers = []
    for directories in ([head], [chest, head]):
        loaded = load(checkpoint, "cpu")
        adapters = Adapters(loaded)
        for directory in directories:
            adapters.attach(directory)
        with adapters.using("head"):
            answers.append(answer(loaded.model))
    assert torch.equal(*answers)


def test_the_prompt_s_keys_are_the_adapter_s_own(fresh: LoadedModel, chest: Path) -> None:
    adapters = Adapters(fresh)
    adapters.attach(chest)
    of_the_base = prefix(fresh)
    with adapters.using("chest"):
        assert (prefix(fresh) - of_the_base).abs().max() > 0.01
    assert adapters.fingerprint("chest") != adapters.fingerprint(None)


def test_one_use_inside_another_ends_where_it_began(fresh: LoadedModel, chest: Path, head: Path) -> None:
    adapters = Adapters(fresh)
    adapters.attach(chest)
    with adapters.using("chest"):
        of_chest = answer(fresh.model)
        with adapters.using(None):
            adapters.attach(head)
        assert torch.equal(answer(fresh.model), of_chest)
        with pytest.raises(ZeroDivisionError), adapters.using("head"):
            _ = 1 / 0
        assert torch.equal(answer(fresh.model), of_chest)


def test_threads_with_different_adapters_do_not_get_in_each_other_s_way(
    fresh: LoadedModel, chest: Path, head: Path
) -> None:
    adapters = Adapters(fresh)
    names = [adapters.attach(chest).name, adapters.attach(head).name, None]
    alone = {}
    for name in names:
        with adapters.using(name):
            alone[name] = answer(fresh.model)
    together = threading.Barrier(len(names))

    def draft(name: str | None) -> bool:
        together.wait(timeout=10)
        same = []
        for _ in range(5):
            with adapters.using(name):
                same += [torch.equal(answer(fresh.model), alone[name]) for _ in range(2)]
        return all(same)

    with ThreadPoolExecutor(len(names)) as pool:
        assert all(pool.map(draft, names))


def test_an_adapter_that_is_not_attached_cannot_be_used(fresh: LoadedModel, chest: Path) -> None:
    adapters = Adapters(fresh)
    adapters.attach(chest)
    with pytest.raises(UnusableAdapter, match=r"no adapter head is attached \(chest\)"), adapters.using("head"):
        pytest.fail("it was used")


def test_the_same_adapter_again_is_the_same_one_and_another_of_its_name_is_refused(
    fresh: LoadedModel, chest: Path, copy: Path
) -> None:
    adapters = Adapters(fresh)
    adapter = adapters.attach(chest)
    assert adapters.attach(copy) == adapter
    card = copy / FILE_NAME
    card.write_text(card.read_text().replace('version = "1"', 'version = "2"'))
    with pytest.raises(UnusableAdapter, match="another adapter named chest"):
        adapters.attach(copy)


def test_the_fingerprint_can_be_checked_with_sha256sum(fresh: LoadedModel, chest: Path) -> None:
    shell = "LC_ALL=C; export LC_ALL; sha256sum * | sha256sum"
    printed = subprocess.run(shell, shell=True, cwd=chest, capture_output=True, text=True, check=True).stdout
    adapter = Adapters(fresh).attach(chest)
    assert printed.split()[0] == adapter.fingerprint
    assert adapter.card == AdapterCard("chest", "1", "tests", fresh.fingerprint, {"steps": 8})


# merged


@pytest.mark.parametrize("name", ["chest", "head"])
@pytest.mark.parametrize("attached", [False, True])
def test_a_merged_model_answers_as_with_the_adapter_attached(
    fresh: LoadedModel, request: pytest.FixtureRequest, name: str, attached: bool
) -> None:
    directory: Path = request.getfixturevalue(name)
    adapters, untouched = Adapters(fresh), answer(fresh.model)
    if attached:
        adapters.attach(directory)
    alone = merged(fresh, directory)
    assert torch.equal(answer(fresh.model), untouched)
    adapters.attach(directory)
    with adapters.using(name):
        wanted = answer(fresh.model)
    # float32 rounds at 6e-8 of numbers up to the softcap's 30; x (W + sBA) and x W + s (x A) B round apart
    assert (answer(alone.model) - wanted).abs().max() < 2e-5
    assert (wanted - untouched).abs().max() > 0.1
    assert not lora_layers(alone.model)


def test_a_merged_model_shares_what_the_adapter_does_not_change_and_ties_what_it_does(
    fresh: LoadedModel, chest: Path
) -> None:
    names = set(fresh.model.state_dict())
    Adapters(fresh).attach(chest)
    model = merged(fresh, chest).model
    assert set(model.state_dict()) == names
    ours, base = linear_layers(model), linear_layers(fresh.model)
    assert ours[ENCODER_Q].weight is ours[DECODER_Q].weight
    for name, layer in ours.items():
        adapted = name in lora_layers(fresh.model)
        assert (layer.weight is base[name].weight) != adapted, name
    assert model.lm_head.weight is model.model.decoder.embed_tokens.weight


def test_a_merged_checkpoint_loads_like_any_other(
    fresh: LoadedModel, checkpoint: Path, chest: Path, tmp_path: Path
) -> None:
    both = merged(fresh, chest)
    directory = Path(shutil.copytree(checkpoint, tmp_path / "merged"))
    both.model.save_pretrained(directory)
    loaded = load(directory, "cpu")
    assert torch.equal(answer(loaded.model), answer(both.model))
    assert fresh.fingerprint in both.fingerprint != loaded.fingerprint


def test_peft_s_own_merge_would_add_the_delta_twice(checkpoint: Path, chest: Path, fresh: LoadedModel) -> None:
    """Why `merged` exists: encoder and decoder hold one tensor, and peft visits it from both sides."""
    before = linear_layers(fresh.model)[DECODER_Q].weight.detach()
    once = linear_layers(merged(fresh, chest).model)[DECODER_Q].weight - before
    theirs = PeftModel.from_pretrained(load(checkpoint, "cpu").model, chest)
    right = answer(theirs)
    model = theirs.merge_and_unload()
    twice = linear_layers(model)[DECODER_Q].weight - before
    torch.testing.assert_close(twice, 2 * once, atol=1e-6, rtol=1e-5)
    assert (answer(model) - right).abs().max() > 0.01


# refused


def without(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


def card(old: str, new: str) -> Callable[[Path], None]:
    def edit(directory: Path) -> None:
        text = (directory / FILE_NAME).read_text()
        assert old in text
        (directory / FILE_NAME).write_text(text.replace(old, new))

    return edit


def config(**settings: object) -> Callable[[Path], None]:
    def edit(directory: Path) -> None:
        table = json.loads((directory / CONFIG).read_text())
        (directory / CONFIG).write_text(json.dumps(table | settings))

    return edit


def weights(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Callable[[Path], None]:
    return lambda directory: save_file(change(load_file(directory / WEIGHTS)), directory / WEIGHTS)


def cut(name: str) -> Callable[[Path], None]:
    def edit(directory: Path) -> None:
        content = (directory / name).read_bytes()
        (directory / name).write_bytes(content[: len(content) // 2])

    return edit


def pickled(directory: Path) -> None:
    torch.save(load_file(directory / WEIGHTS), directory / "adapter_model.bin")
    (directory / WEIGHTS).unlink()


def changed(key: str, change: Callable[[Tensor], Tensor]) -> Callable[[Path], None]:
    return weights(lambda tensors: tensors | {PREFIX + key: change(tensors[PREFIX + key]).contiguous()})


def only_decoder(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if ".decoder." in key}


def in_gemma4_s_words(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.replace("model.decoder.", "model.language_model."): t for key, t in only_decoder(tensors).items()}


def without_one_layer(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if Q not in key}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without(FILE_NAME), "travels with its card"),
        (without(CONFIG), f"{CONFIG} is missing"),
        (without(WEIGHTS), f"{WEIGHTS} is missing"),
        (pickled, "never from a pickle"),
        (cut(CONFIG), f"{CONFIG} cannot be read"),
        (cut(WEIGHTS), f"{WEIGHTS} cannot be read"),
        (card('name = "chest"', ""), "lacks the key 'name'"),
        (card('name = "chest"', 'name = "a.b"'), "letters, digits"),
        (card('name = "chest"', "name = 1"), "text is wanted"),
        (card('base_fingerprint = "', 'base_fingerprint = "0'), "was trained on the checkpoint 0"),
        (config(peft_type="LOHA"), "a LOHA adapter; LORA is wanted"),
        (config(auto_mapping={"base_model_class": "Gemma4ForConditionalGeneration"}), "is for a Gemma4"),
        (config(use_dora=True, modules_to_save=["lm_head"]), "sets modules_to_save, use_dora"),
        (config(init_lora_weights="pissa"), "sets init_lora_weights"),
        (config(target_parameters=["experts.down_proj"]), "sets target_parameters"),
        (config(some_setting_of_tomorrow=3), "sets some_setting_of_tomorrow"),
        (config(r=8), r"wanted \(8, "),
        (config(r="many"), f"{CONFIG} cannot be read"),
        (config(r=0), r"wanted \(0, "),
        (config(target_modules="("), "no regular expression"),
        (config(target_modules=["q_proj"]), "they differ in"),
        (config(target_modules="all-linear"), "they differ in"),
        (config(target_modules=TARGETS + r"|.*vision_tower.*q_proj"), "they differ in model.encoder.vision_tower"),
        (weights(without_one_layer), "they differ in"),
        (weights(in_gemma4_s_words), "no linear layer model.language_model.layers"),
        (weights(lambda tensors: tensors | {"lm_head.weight": torch.zeros(2)}), "is no LoRA weight"),
        (weights(lambda tensors: dict(list(tensors.items())[1:])), "only one of A and B"),
        (changed(f"{DECODER_Q}.lora_A.weight", lambda a: a[:, 1:]), r"are \(16, 31\)"),
        (changed(f"{DECODER_Q}.lora_B.weight", lambda b: b * float("nan")), "not finite"),
        (changed(f"{DECODER_Q}.lora_B.weight", lambda b: b * 1.001), "one and the same A and B"),
    ],
)
def test_what_does_not_belong_is_refused_with_its_reason_and_leaves_the_model_alone(
    loaded: LoadedModel, copy: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(copy)
    with pytest.raises(UnusableAdapter, match=reason):
        Adapters(loaded).attach(copy)
    assert not lora_layers(loaded.model)


def test_an_adapter_of_the_decoder_alone_is_refused(loaded: LoadedModel, copy: Path) -> None:
    weights(only_decoder)(copy)
    config(target_modules=TARGETS.replace(r"(encoder\.language_model|decoder)", "decoder"))(copy)
    with pytest.raises(UnusableAdapter, match="are one weight"):
        Adapters(loaded).attach(copy)


def test_an_adapter_that_peft_has_trained_apart_is_refused(checkpoint: Path, copy: Path, loaded: LoadedModel) -> None:
    torch.manual_seed(0)
    apart = get_peft_model(load(checkpoint, "cpu").model, LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS))
    apart.save_pretrained(copy)
    with pytest.raises(UnusableAdapter, match="are one weight"):
        Adapters(loaded).attach(copy)


def test_weights_with_another_fingerprint_are_refused_though_every_shape_fits(checkpoint: Path, copy: Path) -> None:
    base = Path(shutil.copytree(checkpoint, copy / "base"))
    tensors = load_file(base / "model.safetensors")
    save_file({name: tensor + 1e-6 for name, tensor in tensors.items()}, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(UnusableAdapter, match="take the adapter for this checkpoint"):
        Adapters(load(base, "cpu")).attach(copy)


@pytest.mark.parametrize(
    ("targets", "meant"),
    [
        (r".*self_conditioning\.gate_proj", True),
        (r".*router\.proj", True),
        (r".*vision_tower\..*q_proj\.linear", True),
        (r"model\.decoder\..*\.gate_proj|.*language_model\..*\.gate_proj", False),  # self-conditioning has one too
        (r".*\.proj", False),  # the router's
        (r".*q_proj\.linear", False),  # the vision tower's
        (r"lm_head", False),  # also the embedding: a delta would change what is read as well as what is written
    ],
)
def test_what_stays_frozen_is_changed_only_where_the_config_names_it(
    fresh: LoadedModel, tmp_path: Path, targets: str, meant: bool
) -> None:
    new_adapter(fresh, "special", targets=targets)
    if meant:
        save(fresh, "special", tmp_path)
    else:
        with pytest.raises(UnusableAdapter, match=r"in target_modules, or leave it out|cannot be adapted"):
            save(fresh, "special", tmp_path)
