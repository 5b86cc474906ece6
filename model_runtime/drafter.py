"""The door: images, a template and what the radiologist has said → a report draft around it.

>>> drafter = Drafter.load(directory)
>>> drafter.warm_up()
>>> drafter.prepare(images, facts)  # while the radiologist is still reading
>>> draft = drafter.draft(images, template, anchors, facts, seed=1)
>>> draft = drafter.redraft(images, template, [*anchors, newer], facts, present=draft, seed=1)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from model_runtime import checkpoint, prompt
from model_runtime.adapters import Adapter, Adapters
from model_runtime.canvas import Anchor, Code, Section, Template
from model_runtime.checkpoint import Device, LoadedModel
from model_runtime.draft_text import DraftText, ModelIdentity, SectionText
from model_runtime.drafting import Drafting, Wish
from model_runtime.errors import DraftingError
from model_runtime.infill import Job, infill
from model_runtime.model_card import ModelCard
from model_runtime.prefix import Prefix, read
from model_runtime.prefix_shelf import PrefixShelf, key_of
from model_runtime.prompt import PromptFacts
from model_runtime.redraft import Reach

OnFrame = Callable[[int, int, Sequence[SectionText]], None]  # a wish's index, its denoising step, its sections so far

_REPORT = Code("18748-4", "LN", "Diagnostic imaging study")
_GIB = 1 << 30


class Drafter:
    """One loaded model; whoever calls, one batch is drafted at a time."""

    def __init__(self, loaded: LoadedModel, *, shelf_bytes: int = 4 * _GIB) -> None:
        """`shelf_bytes`: of the device's memory, at most, for prompts that have been read; see PrefixShelf."""
        self._loaded = loaded
        self._adapters = Adapters(loaded)
        self._shelf = PrefixShelf(shelf_bytes)

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

    def attach(self, directory: Path) -> Adapter:
        """Load a LoRA adapter beside the base; wishes name it. Raises UnusableAdapter."""
        return self._adapters.attach(directory)

    def warm_up(self) -> None:
        """Draft from a black image, so that the first real case does not wait for memory and kernels."""
        slot = Section("REPORT", "REPORT:", _REPORT, tokens=self._loaded.canvas_length // 2)
        nothing = np.zeros((256, 256, 3), dtype=np.uint8)
        self.draft([nothing], Template("warm-up", _REPORT, (slot,)), (), PromptFacts("", ""), seed=0)

    def identity(self, seed: int, adapter: str | None = None) -> ModelIdentity:
        """Who drafts with this seed. Raises UnusableAdapter where no such adapter is attached."""
        loaded = self._loaded
        gpu = loaded.device.type == "cuda"
        return ModelIdentity(
            name=loaded.card.name,
            version=loaded.card.version,
            fingerprint=loaded.fingerprint,
            adapter=self._adapters.fingerprint(adapter),
            seed=seed,
            sampler=loaded.card.sampler,
            transformers=transformers.__version__,
            torch=torch.__version__,
            device=torch.cuda.get_device_name(loaded.device) if gpu else loaded.device.type,
        )

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
        stop: Event | None = None,
    ) -> DraftText:
        """A draft in which every anchor stands byte for byte; the same arguments give the same draft again.

        `images` are (rows, columns, 3). `on_frame` is told how far the draft is after every denoising step. Setting
        `stop` ends the draft within one step.

        Raises:
            AnchorRefused, AnchorDoesNotFit: what was dictated cannot stand on this template.
            AnchorMoved: the anchors did not come through denoising; there is no draft.
            Cancelled: `stop` was set.
            UnusableAdapter: no such adapter is attached.
            ValueError: no image, more than the card allows, or one of another shape.
        """
        return self._only(Wish(images, template, anchors, facts, seed, adapter, stop=stop), on_frame)

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
        stop: Event | None = None,
    ) -> DraftText:
        """A draft around anchors that have changed since `present` was made, starting from it.

        Text within `reach` of a change is written anew; what is farther away begins as it stands, and the model may
        still change it. Words that the radiologist has let stand are anchors, too: `Anchor(..., accepted=True)`.

        Raises: see `draft`.
        """
        return self._only(Wish(images, template, anchors, facts, seed, adapter, present, reach, stop), on_frame)

    def draft_all(
        self, wishes: Sequence[Wish], on_frame: OnFrame | None = None
    ) -> list[DraftText | DraftingError | ValueError]:
        """Drafts of several cases in one batch: a denoising step reads the model's weights once for all of them.

        A draft does not depend on who shares its batch. What goes wrong with one wish stands in its place.
        """
        results: dict[int, DraftText | DraftingError | ValueError] = {}
        for adapter in dict.fromkeys(wish.adapter for wish in wishes):
            mine = [number for number, wish in enumerate(wishes) if wish.adapter == adapter]
            try:
                with self._adapters.using(adapter):
                    results |= self._draft_with(adapter, {number: wishes[number] for number in mine}, on_frame)
            except DraftingError as error:  # no such adapter
                results |= dict.fromkeys(mine, error)
        return [results[number] for number in range(len(wishes))]

    def _only(self, wish: Wish, on_frame: OnFrame | None) -> DraftText:
        (result,) = self.draft_all([wish], on_frame)
        if isinstance(result, Exception):
            raise result
        return result

    def _draft_with(
        self, adapter: str | None, wishes: dict[int, Wish], on_frame: OnFrame | None
    ) -> dict[int, DraftText | DraftingError | ValueError]:
        results: dict[int, DraftText | DraftingError | ValueError] = {}
        under_way: dict[int, Drafting] = {}
        for number, wish in wishes.items():
            try:
                prefix = self._prefix(wish.images, wish.facts, adapter)
                under_way[number] = Drafting(self._loaded, wish, prefix, self.identity(wish.seed, adapter))
            except (DraftingError, ValueError) as error:
                results[number] = error
        while under_way:
            jobs: dict[int, Job] = {}
            for number, drafting in list(under_way.items()):
                try:
                    jobs[number] = drafting.job()
                except DraftingError as error:
                    results[number] = error
                    del under_way[number]
            numbers = list(jobs)

            def frame(row: int, step: int, ids: Sequence[int], numbers: list[int] = numbers) -> None:
                if on_frame:
                    on_frame(numbers[row], step, under_way[numbers[row]].so_far(ids))

            for number, filled in zip(numbers, infill(self._loaded, list(jobs.values()), on_step=frame), strict=True):
                drafting = under_way[number]
                try:
                    if isinstance(filled, DraftingError):
                        raise filled
                    drafting.take(filled)
                    if drafting.finished:
                        results[number] = drafting.result()
                except DraftingError as error:
                    results[number] = error
                if number in results:
                    del under_way[number]
        return results

    def _prefix(self, images: Sequence[NDArray[np.uint8]], facts: PromptFacts, adapter: str | None) -> Prefix:
        loaded, card = self._loaded, self._loaded.card
        if len(images) > card.most_images:
            raise ValueError(f"{len(images)} images were given, {card.name} reads at most {card.most_images}; choose")

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
