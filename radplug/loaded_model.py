"""A model in memory, with its adapters."""

from __future__ import annotations

from functools import cached_property

from transformers.utils import logging as transformers_logging

from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.drafter import Drafter
from model_runtime.lora.adapters import Adapter
from radplug.models import ModelFiles


class LoadedModel:
    """Its card is read at once, its weights when they are first asked for; `batch` cases are drafted together at most.

    Raises UnusableCheckpoint.
    """

    def __init__(self, files: ModelFiles, *, batch: int) -> None:
        self._files, self._batch = files, batch
        self.card = ModelCard.read(files.checkpoint)

    @cached_property
    def drafter(self) -> Drafter:
        # standard error is the station's log
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        return Drafter.load(self._files.checkpoint, self._files.device, batch=self._batch)

    @cached_property
    def adapters(self) -> dict[str, Adapter]:
        """By name. Raises UnusableAdapter."""
        attached = [self.drafter.attach(directory) for directory in self._files.adapters]
        return {adapter.name: adapter for adapter in attached}

    def warm_up(self, seed: int) -> str:
        """Load it, and draft once; what is now ready, in words. Raises UnusableCheckpoint and UnusableAdapter."""
        adapters = list(self.adapters)
        self.drafter.warm_up()
        identity = self.drafter.identity(seed)
        ready = f"{identity.name} {identity.version} on {identity.device}"
        return f"{ready}, adapters {', '.join(adapters)}" if adapters else ready
