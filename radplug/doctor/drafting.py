"""What drafts: the checkpoint, its adapters, templates, rules and the GPU."""

from __future__ import annotations

from collections.abc import Iterator

from dicom_io.errors import DicomError
from dicom_io.typefaces import Typefaces
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.errors import UnusableAdapter, UnusableCheckpoint
from model_runtime.lora.adapter_card import AdapterCard
from radplug.findings import Finding
from radplug.models import ModelFiles
from radplug.texts.reading import UnusableText
from radplug.wiring import House


def checkpoint(house: House) -> Iterator[Finding]:
    for model in house.models.values():
        yield _checkpoint(model)


def _checkpoint(model: ModelFiles) -> Finding:
    about = f"checkpoint {model.name}".strip()
    try:
        card = ModelCard.read(model.checkpoint)
    except UnusableCheckpoint as error:
        return Finding(about, False, f"{error}; set {model.setting} to a directory that has one")
    if not (model.checkpoint / "config.json").is_file():
        return Finding(about, False, f"{model.checkpoint} holds no model; set {model.setting}")
    return Finding(about, True, f"{card.name} {card.version}: {card.purpose}")


def adapters(house: House) -> Iterator[Finding]:
    """By their cards alone: whether its weights fit, an adapter shows when the draft worker loads it."""
    for model in house.models.values():
        yield from _adapters(model)


def _adapters(model: ModelFiles) -> Iterator[Finding]:
    if not model.adapters:
        return
    from model_runtime.checkpoints.checkpoint import fingerprint_of  # loads torch, as `gpu` does

    try:
        base = fingerprint_of(model.checkpoint)
    except UnusableCheckpoint:
        return  # said already
    names: set[str] = set()
    for directory in model.adapters:
        try:
            card = AdapterCard.read(directory)
        except UnusableAdapter as error:
            yield Finding("adapter", False, str(error))
            continue
        about = f"adapter {card.name}"
        if card.base_fingerprint != base:
            text = f"{directory} was trained on the checkpoint {card.base_fingerprint}, {model.setting} is {base}"
            yield Finding(about, False, f"{text}; take the adapter for this checkpoint")
        elif card.name in names:
            yield Finding(about, False, f"{directory} has the name of another adapter; give each a name of its own")
        else:
            yield Finding(about, True, f"{card.version}: {card.purpose}")
        names.add(card.name)


def templates(house: House) -> Iterator[Finding]:
    try:
        found = house.templates if house.database.is_current() else house.template_files
    except UnusableText as error:
        yield from (Finding("template", False, fault) for fault in str(error).splitlines())
    else:
        text = f"{len(found)}, {sum(not one.ours for one in found)} of them the site's own"
        yield Finding("templates", True, text)


def rules(house: House) -> Iterator[Finding]:
    try:
        written = house.rules_text if house.database.is_current() else house.rules_file
        rules = house.read_rules(written)
    except UnusableText as error:
        yield from (Finding("rule", False, fault) for fault in str(error).splitlines())
    except UnusableAdapter:
        return  # said already
    else:
        if rules:
            yield Finding("rules", True, f"{len(rules)}, asked in the order of {written.where}")


def gpu(house: House) -> Iterator[Finding]:
    import torch  # seconds to import: only this look needs it

    wanted = {model.device for model in house.models.values()}
    if torch.cuda.is_available():
        yield Finding("GPU", True, torch.cuda.get_device_name())
    elif "cuda" in wanted:
        yield Finding(
            "GPU", False, "a model's device is cuda and there is no usable GPU; check the driver, or set auto"
        )
    else:
        yield Finding("GPU", True, "none; the model runs on the CPU, which is enough for the demo checkpoint only")


def fonts(house: House) -> Iterator[Finding]:
    try:
        Typefaces(house.settings.pages.fonts)
    except DicomError as error:
        yield Finding("fonts", False, str(error))
    else:
        yield Finding("fonts", True, f"{len(house.settings.pages.fonts)} besides DejaVu Sans")
