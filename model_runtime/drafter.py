"""The door: images, a template and what the radiologist has said → a report draft around it.

>>> drafter = Drafter.load(directory)
>>> drafter.warm_up()
>>> draft = drafter.draft(images, template, anchors, facts, seed=1)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor

from model_runtime import checkpoint, prompt
from model_runtime.assembly import assemble
from model_runtime.canvas import Anchor, Code, Section, Template, lay
from model_runtime.checkpoint import Device, LoadedModel
from model_runtime.draft_text import DraftText, ModelIdentity
from model_runtime.infill import infill
from model_runtime.model_card import ModelCard
from model_runtime.prompt import PromptFacts

_REPORT = Code("18748-4", "LN", "Diagnostic imaging study")


class Drafter:
    """One loaded model; it drafts one report at a time, whoever calls."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    @classmethod
    def load(cls, directory: Path, device: Device = "auto") -> Drafter:
        """Load a checkpoint directory.

        Call `torch.set_num_threads(1)` in the process first, if other work shares its cores: torch's threads spin
        while they wait for each other. On two cores a second one makes a draft a tenth faster when nothing else
        runs, and more than ten times slower when something does.

        Raises UnusableCheckpoint, and DraftingError where a GPU is asked for and there is none.
        """
        return cls(checkpoint.load(directory, device))

    @property
    def card(self) -> ModelCard:
        return self._loaded.card

    def warm_up(self) -> None:
        """Draft from a black image, so that the first real case does not wait for memory and kernels."""
        slot = Section("REPORT", "REPORT:", _REPORT, tokens=self._loaded.canvas_length // 2)
        nothing = np.zeros((256, 256, 3), dtype=np.uint8)
        self.draft([nothing], Template("warm-up", _REPORT, (slot,)), (), PromptFacts("", ""), seed=0)

    def identity(self, seed: int) -> ModelIdentity:
        """Who drafts with this seed."""
        loaded = self._loaded
        gpu = loaded.device.type == "cuda"
        return ModelIdentity(
            name=loaded.card.name,
            version=loaded.card.version,
            fingerprint=loaded.fingerprint,
            adapter=None,
            seed=seed,
            sampler=loaded.card.sampler,
            transformers=transformers.__version__,
            torch=torch.__version__,
            device=torch.cuda.get_device_name(loaded.device) if gpu else loaded.device.type,
        )

    def draft(
        self,
        images: Sequence[NDArray[np.uint8]],
        template: Template,
        anchors: Sequence[Anchor],
        facts: PromptFacts,
        *,
        seed: int,
    ) -> DraftText:
        """A draft in which every anchor stands byte for byte; the same arguments give the same draft again.

        `images` are (rows, columns, 3).

        Raises:
            AnchorRefused, AnchorDoesNotFit: what was dictated cannot stand on this template.
            AnchorMoved: the anchors did not come through denoising; there is no draft.
            ValueError: no image, more than the card allows, or one of another shape.
        """
        loaded, codec = self._loaded, self._loaded.codec
        layout = lay(template, anchors, encode=codec.encode, canvas_length=loaded.canvas_length, end_id=codec.end_id)
        (filled,) = infill(loaded, self._inputs(images, facts), [layout], seed=seed)
        tokens = list(zip(codec.pieces(filled.ids), filled.probabilities, strict=True))
        sections = assemble(template, anchors, layout, tokens)
        required = {section.name for section in template.sections if section.required}
        return DraftText(
            sections=sections,
            identity=self.identity(seed),
            steps=filled.steps,
            missing=tuple(s.name for s in sections if s.name in required and not s.text.strip()),
        )

    def _inputs(self, images: Sequence[NDArray[np.uint8]], facts: PromptFacts) -> dict[str, Tensor]:
        loaded, card = self._loaded, self._loaded.card
        if len(images) > card.most_images:
            raise ValueError(f"{len(images)} images were given, {card.name} reads at most {card.most_images}; choose")
        inputs = prompt.encode(
            images,
            facts,
            tokenizer=loaded.tokenizer,
            image_processor=loaded.image_processor,
            pattern=card.prompt.get("pattern", prompt.PATTERN),
        )
        return {name: tensor.to(loaded.device) for name, tensor in inputs.items()}
