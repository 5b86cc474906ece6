"""A prompt for a model that writes from left to right: it reads beforehand what must stand in the report.

FINDINGS: must contain, in this order:
- Small left pleural effusion.
IMPRESSION:
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from model_runtime.canvas import Anchor, Encode, Template
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.prompts import prompt
from model_runtime.prompts.prompt import PromptFacts

OUTLINE = "{outline}"  # in a pattern; images and facts stand before it
PATTERN = f"<bos><|turn>user\n{{images}}{{facts}}\nWrite the report.{OUTLINE}<turn|>\n<|turn>model\n"


def outline_ids(template: Template, anchors: Sequence[Anchor], encode: Encode) -> list[int]:
    """The template's headings with the phrases that must stand under them, each in the report's own tokens."""
    ids: list[int] = []
    for section in template.sections:
        said = [anchor.text for anchor in anchors if anchor.section == section.name]
        ids += [*encode("\n"), *encode(" " + section.heading)]
        ids += encode(" must contain, in this order:") if said else ()
        for text in said:
            ids += [*encode("\n-"), *encode(" " + text)]
    return ids


def closing_ids(tokenizer: PreTrainedTokenizerBase, pattern: str = PATTERN) -> list[int]:
    """What stands behind the outline."""
    ids: list[int] = tokenizer.encode(pattern.partition(OUTLINE)[2], add_special_tokens=False)
    return ids


def encode(
    loaded: LoadedModel,
    images: Sequence[NDArray[np.uint8]],
    facts: PromptFacts,
    template: Template,
    anchors: Sequence[Anchor],
) -> dict[str, Tensor]:
    """As `prompt.encode`, with the outline where the card's pattern has it; a pattern without it gets it at its end.

    Raises ValueError as `prompt.encode` does, AnchorRefused for a phrase that the tokenizer cannot give back.
    """
    pattern = loaded.card.prompt.get("pattern", PATTERN)
    inputs = prompt.encode(
        images,
        facts,
        tokenizer=loaded.tokenizer,
        image_processor=loaded.image_processor,
        pattern=pattern.partition(OUTLINE)[0],
    )
    rest = outline_ids(template, anchors, loaded.codec.encode) + closing_ids(loaded.tokenizer, pattern)
    tail = torch.tensor([rest])
    behind = {"input_ids": tail, "attention_mask": torch.ones_like(tail), "mm_token_type_ids": torch.zeros_like(tail)}
    inputs |= {name: torch.cat([inputs[name], part], dim=1) for name, part in behind.items()}
    return {name: tensor.to(loaded.device) for name, tensor in inputs.items()}


def batch(prompts: Sequence[dict[str, Tensor]], pad_id: int) -> dict[str, Tensor]:
    """Several prompts as one: shorter ones padded on the left, where nothing looks at them."""
    longest = max(prompt["input_ids"].shape[1] for prompt in prompts)

    def row(name: str, tensor: Tensor) -> Tensor:
        if name not in ("input_ids", "attention_mask", "mm_token_type_ids"):
            return tensor
        before = (longest - tensor.shape[1], 0)
        return torch.nn.functional.pad(tensor, before, value=pad_id if name == "input_ids" else 0)

    return {name: torch.cat([row(name, prompt[name]) for prompt in prompts]) for name in prompts[0]}
