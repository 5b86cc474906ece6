"""The demo checkpoint's tokenizer: Gemma's kind of BPE with byte fallback, taught radiology's words."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer, models, trainers
from transformers.models.gemma.tokenization_gemma import GemmaTokenizer

from model_runtime.phantoms.dictation import INDICATIONS, PHRASES
from model_runtime.phantoms.wording import FINDINGS, IMPRESSION, every_sentence
from model_runtime.prompts.prompt import IMAGE, IMAGE_END, IMAGE_START, PATTERN, PromptFacts, prompt_text

SIZE = 1536
END = "<eos>"  # fills the canvas behind the report
FILLER = "<filler>"  # leaves a canvas position empty
_NAMED = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")  # in Gemma's order
_CONTROL = ("<|turn>", "<turn|>", IMAGE, IMAGE_START, IMAGE_END, "<|channel>", "<channel|>", FILLER)
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SPACE = "▁"  # how Gemma writes a space


def build_tokenizer() -> GemmaTokenizer:
    """SIZE tokens; each word of a phantom's report is one, with its leading space.

    Any text without U+2581 comes back unchanged from `decode(encode(text))`: characters that are no token of their
    own are spelt in bytes. No merge crosses a space or joins a word to punctuation, so that phrases can be encoded
    one by one and put together.
    """
    learner = Tokenizer(models.BPE(byte_fallback=True))
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=[*_NAMED, *_CONTROL, *_BYTES],
        initial_alphabet=[_SPACE, *string.digits, *string.ascii_letters, *string.punctuation],
        show_progress=False,
    )
    learner.train_from_iterator(_lessons(), trainer)
    learnt = json.loads(learner.to_str())["model"]
    merges: Any = [tuple(pair) for pair in learnt["merges"]]  # what the class takes, whatever its types say
    tokenizer = GemmaTokenizer(vocab=learnt["vocab"], merges=merges, add_bos_token=False)
    tokenizer.add_special_tokens({"additional_special_tokens": list(_CONTROL)})
    return tokenizer


def _lessons() -> Iterator[str]:
    """Words and punctuation marks one by one, those of the phantoms' reports most often."""
    headings = f"{FINDINGS}: {IMPRESSION}:"
    prompts = [
        prompt_text(PromptFacts("DX CR", "CHEST", view, sex, age, indication), [], PATTERN)
        for view, sex, age in (("PA", "F", "20-29"), ("AP", "M", "70-79"), ("LL", "O", "50-59"))
        for indication in INDICATIONS
    ]
    for often, texts in ((60, [headings, *every_sentence()]), (4, prompts), (3, PHRASES), (3, map(str.lower, PHRASES))):
        for text in texts:
            yield from [lesson for lesson in _split(text) for _ in range(often)]


def _split(text: str) -> list[str]:
    return re.findall(rf"{_SPACE}?\w+|[^\w\s{_SPACE}]", _SPACE + text.replace(" ", _SPACE))
