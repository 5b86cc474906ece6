"""The door: images, a template and what the radiologist has said → a report draft around it.

>>> drafter = Drafter.load(directory)
>>> drafter.warm_up()
>>> drafter.prepare(images, facts)  # while the radiologist is still reading
>>> draft = drafter.draft(images, template, anchors, facts, seed=1)
>>> draft = drafter.redraft(images, template, [*anchors, newer], facts, present=draft, seed=1)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from model_runtime.canvas import Anchor, Code, Section, Template
from model_runtime.checkpoints import checkpoint
from model_runtime.checkpoints.checkpoint import Device, LoadedModel
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.denoising.stepping import most_together, stepper_of
from model_runtime.draft_text import DraftText, ModelIdentity
from model_runtime.drafting import Drafting, Wish
from model_runtime.errors import DraftingError, UnusableAdapter
from model_runtime.gpu.fast_step import accelerated
from model_runtime.identity import identity_of
from model_runtime.lora.adapters import Adapter, Adapters
from model_runtime.prompts import prompt
from model_runtime.prompts.prefix import Prefix, read
from model_runtime.prompts.prefix_shelf import PrefixShelf, key_of
from model_runtime.prompts.prompt import PromptFacts
from model_runtime.redraft import Reach
from model_runtime.together import Frames, OnFrame, draft_together

_REPORT = Code("18748-4", "LN", "Diagnostic imaging study")
_GIB = 1 << 30


class Drafter:
    """One loaded model; whoever calls, one batch is drafted at a time."""

    def __init__(self, loaded: LoadedModel, *, batch: int = 1, shelf_bytes: int = 4 * _GIB) -> None:
        """How many cases are drafted at a time, at most, and how much memory read prompts may take; see PrefixShelf.

        On a GPU every draft is computed as one of `batch`, alone or not, so that it does not depend on who shares it;
        where that GPU is left to plain steps, one at a time. A redraft of one case is computed alone, and sooner done.
        """
        self._loaded = loaded
        self._batch = most_together(loaded, batch)
        self._adapters = Adapters(loaded)
        self._shelf = PrefixShelf(shelf_bytes)

    @classmethod
    def load(cls, directory: Path, device: Device = "auto", *, batch: int = 1) -> Drafter:
        """Load a checkpoint directory. On a GPU that can, denoising steps are computed its own way; see `gpu`.

        Call `torch.set_num_threads(1)` in the process first, if other work shares its cores: torch's threads spin
        while they wait for each other. On two cores a second one makes a draft a tenth faster when nothing else
        runs, and more than ten times slower when something does.

        Raises UnusableCheckpoint, and DraftingError where a GPU is asked for and there is none.
        """
        return cls(accelerated(checkpoint.load(directory, device)), batch=batch)

    @property
    def card(self) -> ModelCard:
        return self._loaded.card

    def attach(self, directory: Path) -> Adapter:
        """Load a LoRA adapter beside the base; wishes name it. Raises UnusableAdapter."""
        return self._adapters.attach(directory)

    def warm_up(self) -> None:
        """Draft from a black image, so that the first real case does not wait for memory and kernels."""
        stepper_of(self._loaded).warm_up(self._loaded)
        slot = Section("REPORT", "REPORT:", _REPORT, tokens=self._loaded.canvas_length // 2)
        nothing = np.zeros((256, 256, 3), dtype=np.uint8)
        self.draft([nothing], Template("warm-up", _REPORT, (slot,)), (), PromptFacts("", ""), seed=0)

    def identity(self, seed: int, adapter: str | None = None, *, alone: bool = False) -> ModelIdentity:
        """Who drafts with this seed; `alone`: who redrafts. Raises UnusableAdapter where no such adapter is known."""
        rows = 1 if alone else self._batch
        return identity_of(self._loaded, seed, self._adapters.fingerprint(adapter), rows=rows)

    def prepare(self, images: Sequence[NDArray[np.uint8]], facts: PromptFacts, *, adapter: str | None = None) -> None:
        """Read the images and the order now, so that drafts of them cost denoising steps only.

        Raises ValueError: see `draft`.
        """
        with self._adapters.using(adapter):
            self._prefix(images, facts, adapter)

    def draft(
        self,
        images: Sequence[NDArray[np.uint8]],
        template: Template,
        anchors: Sequence[Anchor],
        facts: PromptFacts,
        *,
        seed: int,
        adapter: str | None = None,
        on_frame: OnFrame | None = None,
        frame_seconds: float = 0.0,
        stop: Event | None = None,
    ) -> DraftText:
        """A draft in which every anchor stands byte for byte; the same arguments give the same draft again.

        `images` are (rows, columns, 3). `on_frame` is told how far the draft is after a denoising step, but not more
        often than every `frame_seconds`. Setting `stop` ends the draft within one step.

        Raises:
            AnchorRefused, AnchorDoesNotFit: what was dictated cannot stand on this template.
            AnchorMoved: the anchors did not come through denoising; there is no draft.
            Cancelled: `stop` was set.
            UnusableAdapter: no such adapter is attached.
            ValueError: no image, more images or earlier reports than the card allows, or one of another shape.
        """
        return self._only(Wish(images, template, anchors, facts, seed, adapter, stop=stop), on_frame, frame_seconds)

    def redraft(
        self,
        images: Sequence[NDArray[np.uint8]],
        template: Template,
        anchors: Sequence[Anchor],
        facts: PromptFacts,
        *,
        present: DraftText,
        seed: int,
        reach: Reach = Reach.GAP,
        adapter: str | None = None,
        on_frame: OnFrame | None = None,
        frame_seconds: float = 0.0,
        stop: Event | None = None,
    ) -> DraftText:
        """A draft around anchors that have changed since `present` was made, starting from it.

        Text within `reach` of a change is written anew; what is farther away begins as it stands, and the model may
        still change it. Words that the radiologist has let stand are anchors, too: `Anchor(..., accepted=True)`.

        Raises: see `draft`.
        """
        wish = Wish(images, template, anchors, facts, seed, adapter, present, reach, stop)
        return self._only(wish, on_frame, frame_seconds)

    def draft_all(
        self, wishes: Sequence[Wish], on_frame: OnFrame | None = None, *, frame_seconds: float = 0.0
    ) -> list[DraftText | DraftingError | ValueError]:
        """Drafts of several cases, `batch` at a time; what goes wrong with one wish stands in its place.

        A draft does not depend on who shares its batch. Wishes for different adapters take turns.
        """
        results: dict[int, DraftText | DraftingError | ValueError] = {}
        frames = Frames(on_frame, frame_seconds) if on_frame else None
        for adapter in dict.fromkeys(wish.adapter for wish in wishes):
            mine = [number for number, wish in enumerate(wishes) if wish.adapter == adapter]
            try:
                with self._adapters.using(adapter):
                    for first in range(0, len(mine), self._batch):
                        some = {number: wishes[number] for number in mine[first : first + self._batch]}
                        results |= self._together(some, frames)
            except UnusableAdapter as error:  # there is none of that name
                results |= dict.fromkeys(mine, error)
        return [results[number] for number in range(len(wishes))]

    def _together(
        self, wishes: Mapping[int, Wish], frames: Frames | None
    ) -> dict[int, DraftText | DraftingError | ValueError]:
        """Wishes for one adapter, no more than `batch`."""
        alone = len(wishes) == 1 and all(wish.present is not None for wish in wishes.values())
        begun = {number: self._begun(wish, alone=alone) for number, wish in wishes.items()}
        draftings = {number: one for number, one in begun.items() if isinstance(one, Drafting)}
        refused = {number: one for number, one in begun.items() if not isinstance(one, Drafting)}
        return refused | draft_together(self._loaded, draftings, frames, size=1 if alone else self._batch)

    def _only(self, wish: Wish, on_frame: OnFrame | None, frame_seconds: float) -> DraftText:
        (result,) = self.draft_all([wish], on_frame, frame_seconds=frame_seconds)
        if isinstance(result, Exception):
            raise result
        return result

    def _begun(self, wish: Wish, *, alone: bool) -> Drafting | DraftingError | ValueError:
        try:
            prefix = self._prefix(wish.images, wish.facts, wish.adapter)
            return Drafting(self._loaded, wish, prefix, self.identity(wish.seed, wish.adapter, alone=alone))
        except (DraftingError, ValueError) as error:
            return error

    def _prefix(self, images: Sequence[NDArray[np.uint8]], facts: PromptFacts, adapter: str | None) -> Prefix:
        loaded, card = self._loaded, self._loaded.card
        if len(images) > card.most_images:
            raise ValueError(f"{len(images)} images were given, {card.name} reads at most {card.most_images}; choose")
        if len(facts.earlier) > card.most_earlier:
            raise ValueError(f"{len(facts.earlier)} earlier reports were given, {card.name} reads {card.most_earlier}")

        def encode() -> Prefix:
            inputs = prompt.encode(
                images,
                facts,
                tokenizer=loaded.tokenizer,
                image_processor=loaded.image_processor,
                pattern=card.prompt.get("pattern", prompt.PATTERN),
            )
            return read(loaded, {name: tensor.to(loaded.device) for name, tensor in inputs.items()})

        return self._shelf.get(key_of(images, facts, self._adapters.fingerprint(adapter)), encode)
