"""Who drafts: what is written beside a draft, so that it can be made again."""

from __future__ import annotations

import torch
import transformers

from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.draft_text import ModelIdentity


def identity_of(loaded: LoadedModel, seed: int, adapter: str | None = None, *, rows: int = 1) -> ModelIdentity:
    """`adapter`: the fingerprint of the one in use; `rows`: of a denoising step, at least."""
    gpu = loaded.device.type == "cuda"
    return ModelIdentity(
        name=loaded.card.name,
        version=loaded.card.version,
        fingerprint=loaded.fingerprint,
        adapter=adapter,
        seed=seed,
        sampler=loaded.card.sampler,
        transformers=transformers.__version__,
        torch=torch.__version__,
        device=torch.cuda.get_device_name(loaded.device) if gpu else loaded.device.type,
        rows=rows if gpu else 1,
    )
