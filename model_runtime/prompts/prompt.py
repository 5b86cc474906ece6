"""Images and what the order says → the model's inputs; the same code for training and for drafting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

IMAGE, IMAGE_START, IMAGE_END = "<|image|>", "<|image>", "<image|>"
PATTERN = "<bos><|turn>user\n{images}{facts}\nWrite the report.<turn|>\n<|turn>model\n"
LONGEST_REPORT = 2000  # characters of an earlier report; what is behind them is not read


@dataclass(frozen=True, slots=True)
class EarlierReport:
    """What was said of an earlier study of the patient."""

    taken_on: date
    text: str


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """What the model is told beside the images; what is empty is left out."""

    modality: str
    body_part: str
    view: str = ""
    sex: str = ""
    age_band: str = ""  # such as 60-69, never a date of birth
    indication: str = ""
    earlier: tuple[EarlierReport, ...] = ()

    @property
    def compared(self) -> frozenset[date]:
        """The days of the studies with which the model may compare."""
        return frozenset(report.taken_on for report in self.earlier)

    def line(self) -> str:
        """One line of text, free of the angle brackets that could spell a control token."""
        named = (
            ("Modality", self.modality),
            ("Body part", self.body_part),
            ("View", self.view),
            ("Sex", self.sex),
            ("Age", self.age_band),
            ("Indication", self.indication),
            *((f"Study of {one.taken_on}", one.text[:LONGEST_REPORT]) for one in self.earlier),
        )
        text = " ".join(f"{name}: {value.strip().rstrip('.')}." for name, value in named if value.strip())
        return " ".join(text.replace("<", " ").replace(">", " ").split())


def prompt_text(facts: PromptFacts, soft_tokens: Sequence[int], pattern: str = PATTERN) -> str:
    """The prompt with `soft_tokens[k]` placeholders for the k-th image."""
    images = "".join(f"{IMAGE_START}{IMAGE * n}{IMAGE_END}" for n in soft_tokens)
    return pattern.replace("{images}", images).replace("{facts}", facts.line())


def encode(
    images: Sequence[NDArray[np.uint8]],
    facts: PromptFacts,
    *,
    tokenizer: PreTrainedTokenizerBase,
    image_processor: Gemma4ImageProcessorPil,
    pattern: str = PATTERN,
) -> dict[str, Tensor]:
    """What `generate()` takes as a prompt, a batch of one.

    `images` are (rows, columns, 3). For the vision tower to see an image in both directions, `forward()` needs the
    mask that `encoder.create_masks_for_generate` makes from `mm_token_type_ids`; `generate()` makes it by itself.

    Returns input_ids, attention_mask and mm_token_type_ids (1, prompt length), pixel_values (images, patches, 768)
    and image_position_ids (images, patches, 2).

    Raises ValueError where there is no image, or one is not (rows, columns, 3).
    """
    if not images:
        raise ValueError("no image was given; a draft needs at least one")
    if wrong := [image.shape for image in images if image.ndim != 3 or image.shape[2] != 3]:
        raise ValueError(f"an image has the shape {wrong[0]}; (rows, columns, 3) is wanted")
    pixels = image_processor(images=list(images), return_tensors="pt", input_data_format="channels_last")
    soft_tokens = [int(n) for n in pixels["num_soft_tokens_per_image"]]
    text = prompt_text(facts, soft_tokens, pattern)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == tokenizer.convert_tokens_to_ids(IMAGE)).long(),
        "pixel_values": pixels["pixel_values"],
        "image_position_ids": pixels["image_position_ids"],
    }
