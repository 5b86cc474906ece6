"""Which image a sentence refers to: the one without which the model finds the sentence least likely.

An image is taken away by hiding its keys and values from the decoder. What was read behind it may still know of it:
later images, since the encoder reads from left to right. Nothing is taken away where there is one image only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model_runtime.canvas import Kind, Layout
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.stepping import stepper_of
from model_runtime.prompts.prefix import Prefix, without_image

_WAYS = 2  # every so many tokens are noise at a time, so that none is judged by itself


@torch.no_grad()
def losses(loaded: LoadedModel, prefix: Prefix, layout: Layout, ids: Sequence[int], *, seed: int) -> Tensor:
    """How much less likely each token that the model wrote is without each image, nats: (canvas length, images).

    `ids` is the finished canvas; positions that are not the model's hold zeros. A decoder pass for each image, and one
    with all of them; none where there is one image.
    """
    length, images = len(ids), len(prefix.images)
    lost = torch.zeros(length, images)
    written = [place for p in layout.pieces if p.kind is Kind.GAP for place in range(p.start, p.stop)]
    if images < 2 or not written:
        return lost
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(loaded.vocabulary_size, (length,), generator=generator)
    canvas = torch.tensor(list(ids))
    rows = canvas.repeat(_WAYS, 1)
    for way in range(_WAYS):
        rows[way, written[way::_WAYS]] = noise[written[way::_WAYS]]
    places = torch.tensor(written)
    row_of = torch.arange(len(written)) % _WAYS

    def likelihoods(shown: Prefix) -> Tensor:
        logits = stepper_of(loaded).look(loaded, [shown] * _WAYS, rows.to(loaded.device))
        return logits[row_of, places].log_softmax(-1).gather(-1, canvas[places, None].to(logits.device))[:, 0].cpu()

    of_all = likelihoods(prefix)
    for image in range(images):
        lost[places, image] = of_all - likelihoods(without_image(prefix, image))
    return lost
