"""A checkpoint directory loads whole, or says what is wrong with it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_runtime.checkpoints.checkpoint import LoadedModel, load
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.errors import AnchorRefused, DraftingError, UnusableCheckpoint


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def test_a_checkpoint_loads_as_float32_on_a_cpu_whatever_it_was_stored_in(loaded: LoadedModel, copy: Path) -> None:
    weights = {name: tensor.bfloat16() for name, tensor in load_file(copy / "model.safetensors").items()}
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    model = load(copy, "cpu").model
    assert model.dtype == torch.float32
    assert not model.training
    assert (load(copy, "cpu", torch.bfloat16)).model.dtype == torch.bfloat16


def test_sharded_weights_load_and_count_in_the_fingerprint(loaded: LoadedModel, copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    loaded.model.save_pretrained(copy, max_shard_size="200KB")
    shards = sorted(copy.glob("model-*.safetensors"))
    assert len(shards) > 1
    sharded = load(copy, "cpu")
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, sharded.model.state_dict()[name]), name
    shards[0].unlink()
    with pytest.raises(UnusableCheckpoint, match=shards[0].name):
        load(copy)


@pytest.mark.parametrize(
    "name",
    ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json",
     "model_card.toml"],
)  # fmt: skip
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(UnusableCheckpoint, match=name):
        load(copy)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"])
def test_a_file_cut_short_is_refused(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UnusableCheckpoint, match=str(copy)):
        load(copy)


def test_absent_weights_are_refused_and_not_made_up(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    absent = next(name for name in weights if "q_proj" in name)
    del weights[absent]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(UnusableCheckpoint, match="absent or misshapen"):
        load(copy)


def test_another_architecture_is_refused(copy: Path) -> None:
    text = (copy / "config.json").read_text()
    (copy / "config.json").write_text(text.replace('"model_type": "diffusion_gemma"', '"model_type": "gemma4"'))
    with pytest.raises(UnusableCheckpoint, match="holds a gemma4 model"):
        load(copy)


def test_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableCheckpoint, match="not a directory"):
        load(tmp_path / "nowhere")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_not_there_is_said_plainly(checkpoint: Path) -> None:
    with pytest.raises(DraftingError, match="no GPU"):
        load(checkpoint, "cuda")


def test_the_fingerprint_is_the_content_s_and_stays(loaded: LoadedModel, copy: Path) -> None:
    (copy / "README.md").write_text("notes that decide nothing")
    assert load(copy, "cpu").fingerprint == loaded.fingerprint
    with (copy / "model_card.toml").open("a") as card:
        card.write("# another\n")
    assert load(copy, "cpu").fingerprint != loaded.fingerprint


def test_the_fingerprint_can_be_checked_with_sha256sum(loaded: LoadedModel, checkpoint: Path) -> None:
    shell = "LC_ALL=C; export LC_ALL; sha256sum * | sha256sum"
    printed = subprocess.run(shell, shell=True, cwd=checkpoint, capture_output=True, text=True, check=True).stdout
    assert printed.split()[0] == loaded.fingerprint


# the model card


def edited(copy: Path, edit: Callable[[str], str]) -> Path:
    card = copy / "model_card.toml"
    card.write_text(edit(card.read_text()))
    return copy


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda card: card.replace('name = "tiny"', ""), "lacks the key 'name'"),
        (lambda card: card.replace("steps = 6", ""), "lacks the key 'steps'"),
        (lambda card: card.replace('["CHEST"]', '"CHEST"'), "a list of codes is wanted"),
        (lambda card: card.replace("steps = 6", 'steps = "six"'), "invalid literal"),
        (lambda card: card.replace("=", ":", 1), "cannot be read"),
    ],
)
def test_a_card_that_does_not_describe_the_model_is_refused(
    copy: Path, edit: Callable[[str], str], reason: str
) -> None:
    with pytest.raises(UnusableCheckpoint, match=reason):
        ModelCard.read(edited(copy, edit))


@pytest.mark.parametrize("token", ["end", "filler"])
def test_a_card_that_names_a_token_the_tokenizer_lacks_is_refused(copy: Path, token: str) -> None:
    edited(copy, lambda card: card.replace(f'{token} = "<', f'{token} = "<no such '))
    with pytest.raises(UnusableCheckpoint, match="<no such"):
        load(copy)


def test_a_model_without_a_filler_needs_none(copy: Path) -> None:
    assert load(edited(copy, lambda card: card.replace('filler = "<filler>"', ""))).codec.filler_id is None


def test_a_card_covers_what_it_lists(copy: Path) -> None:
    card = ModelCard.read(copy)
    assert card.covers("DX", "CHEST") is None
    assert card.covers("cr", " chest ") is None
    assert card.covers("CT", "CHEST") == "the model tiny does not cover modality CT; it was made for DX, CR"
    assert card.covers("DX", "") == "the model tiny does not cover a study without body part; it was made for CHEST"
    general = ModelCard.read(edited(copy, lambda text: text.replace('["DX", "CR"]', "[]").replace('["CHEST"]', "[]")))
    assert general.covers("MR", "") is None


# the tokenizer


@pytest.mark.parametrize(
    "text",
    [
        " The lungs",
        "  two  spaces ",
        "é e\u0301 肺野 😀",
        "|^~\\& a\r\nb\tc",
        " <eos> is <|image|>, not <0x41>",
        "<filler>",
    ],
)
def test_text_comes_back_from_its_ids_and_names_of_tokens_are_only_text(loaded: LoadedModel, text: str) -> None:
    ids = loaded.codec.encode(text)
    assert loaded.codec.decode(ids) == text
    assert not {*loaded.tokenizer.all_special_ids} & {*ids}


def test_text_that_would_come_back_changed_is_refused_without_being_quoted(loaded: LoadedModel) -> None:
    with pytest.raises(AnchorRefused) as refusal:
        loaded.codec.encode(" secret\u2581words")
    assert "secret" not in str(refusal.value)


def test_each_id_has_its_own_text_and_a_filler_none(loaded: LoadedModel) -> None:
    ids = [*loaded.codec.encode(" The lungs"), loaded.codec.filler_id or 0, *loaded.codec.encode(".")]
    assert loaded.codec.pieces(ids) == [" The", " lungs", "", "."]


@pytest.mark.parametrize("module", ["canvas", "draft_text", "checkpoints.model_card", "errors", "assembly"])
def test_the_words_that_others_import_load_no_torch(module: str) -> None:
    heavy = "{'torch', 'transformers', 'numpy'}"
    code = f"import sys, model_runtime.{module}; sys.exit(' '.join({heavy} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
