"""LoRA adapters side by side on one loaded model: which one drafts is switched from draft to draft.

>>> adapters = Adapters(loaded)
>>> chest = adapters.attach(directory)
>>> with adapters.using(chest.name):
...     ...  # encode and denoise
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.errors import UnusableAdapter
from model_runtime.lora import adapter_files
from model_runtime.lora.adapter_card import AdapterCard
from model_runtime.lora.layers import inject, lora_layers


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter that is ready for use. `fingerprint`: of its files, as `checkpoint.fingerprint` makes it."""

    card: AdapterCard
    fingerprint: str

    @property
    def name(self) -> str:
        return self.card.name


class Adapters:
    """The adapters of one loaded model; only one object of this class for each.

    Outside `using` the model is the base, and its results are bit for bit those of a model that no adapter was ever
    attached to. Code that reads a layer's `weight` instead of calling the layer sees the base, whatever is in use:
    give it a model from `merging.merged`.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._attached: dict[str, Adapter] = {}
        self._in_use: list[str] = []  # every LoRA layer holds this very list, so that switching is one assignment
        self._one_at_a_time = threading.RLock()

    def attach(self, directory: Path) -> Adapter:
        """Load an adapter beside the others; it changes nothing until it is used. The same one again is no error.

        Raises UnusableAdapter: see `adapter_files.read`; or another adapter has that name.
        """
        with self._one_at_a_time:
            files = adapter_files.read(directory, self._loaded)
            adapter = Adapter(files.card, files.fingerprint)
            if (known := self._attached.get(adapter.name)) is not None:
                if known != adapter:
                    raise UnusableAdapter(f"another adapter named {adapter.name} is attached; name each differently")
                return known
            model = self._loaded.model
            inject(model, files.config, adapter.name)
            with torch.no_grad():
                for name, pair in files.pairs.items():
                    layer = model.get_submodule(name)
                    layer.lora_A[adapter.name].weight.copy_(pair.a)
                    layer.lora_B[adapter.name].weight.copy_(pair.b)
            for layer in lora_layers(model).values():
                layer.set_adapter(self._in_use, inference_mode=True)
            self._attached[adapter.name] = adapter
            return adapter

    @contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        """The model with that adapter (None: the base) until the end of the block, for this thread alone.

        Other threads wait at their own `using`. Keys and values that were computed under one adapter must not be read
        under another: keep them under `fingerprint(name)`.

        Raises UnusableAdapter where no such adapter is attached.
        """
        with self._one_at_a_time:
            self.fingerprint(name)
            before = self._in_use.copy()
            self._in_use[:] = [] if name is None else [name]
            try:
                yield
            finally:
                self._in_use[:] = before

    def fingerprint(self, name: str | None) -> str | None:
        """Of an attached adapter; None for the base. Raises UnusableAdapter where no such adapter is attached."""
        if name is None:
            return None
        if name not in self._attached:
            known = ", ".join(self._attached) or "none is"
            raise UnusableAdapter(f"no adapter {name} is attached ({known}); attach it first")
        return self._attached[name].fingerprint
