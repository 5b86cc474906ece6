"""How well gaps are filled around dictated phrases, by each way of dealing with a length that nobody knows.

    python bench/infill.py --count 200      # the checkpoint that comes along, and its left-to-right sibling

Phantoms are held out. Of each one's report, one to four phrases are dictated: whole sentences in the first table, parts
of sentences, which have to be finished, in the second. The rest is written:

    filler    as the product does it: what is left of a gap, the model leaves empty
    search    the filler forbidden, lengths tried side by side: how a checkpoint without one is drafted with
    oracle    the filler forbidden, the true lengths given
    in-place, spliced   the sibling, told of all phrases: each forced when its turn comes, or put in afterwards

Gap F1 is over words, and a report can say the same in several ways: no row can reach 1. Seam errors are per 100 places
where dictated and written text meet, stutters per 100 words. Length is the mean error in tokens, and its bias.
Garbled sentences are none that the phantoms' reports have. Facts are those that no dictated phrase decides.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers.utils import logging as transformers_logging

from model_runtime.assembly import assemble
from model_runtime.autoregressive import Infill, write_sections
from model_runtime.canvas import Layout, lay
from model_runtime.checkpoints import checkpoint
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.checkpoints.codec import TextCodec
from model_runtime.denoising.gap_lengths import best_layout
from model_runtime.denoising.infill import Job, infill
from model_runtime.draft_text import SectionText
from model_runtime.errors import DraftingError
from model_runtime.evaluation.gaps import GapCase, GapScores, gap_case
from model_runtime.phantoms.phantom import HELD_OUT
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts.prefix import Prefix, read
from model_runtime.prompts.prompt import PromptFacts, encode

WEIGHTS = Path(__file__).parents[1] / "model_runtime/weights"
ORDER = PromptFacts("DX", "CHEST", "PA")
COLUMNS = ("", "gap F1", "double", "no space", "broken", "stutter", "length", "bias", "facts", "garbled", "s a draft")

Reports = list[tuple[SectionText, ...]]
Write = Callable[[Sequence[GapCase], int], Reports]  # cases and a seed


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    loaded = checkpoint.load(arguments.checkpoint, arguments.device)
    sibling = checkpoint.load(arguments.sibling, arguments.device, architectures=["gemma4"])
    ways: dict[str, Write] = {}
    if loaded.codec.filler_id is not None:
        ways["filler"] = Denoising(loaded, _as_the_product_lays)
    bare = _without_filler(loaded)
    ways |= {"search": Denoising(bare, _searched), "oracle": Denoising(bare, _true)}
    ways |= {str(way): _left_to_right(sibling, way) for way in Infill}
    console = Console(width=130)
    for mid_sentence in (False, True):
        cases = [gap_case(HELD_OUT + n, mid_sentence=mid_sentence) for n in range(arguments.count)]
        kind = "parts of sentences" if mid_sentence else "whole sentences"
        table = Table(*COLUMNS, title=f"{arguments.count} held-out phantoms, {kind} dictated")
        for column in table.columns[1:]:
            column.justify = "right"
        for name, write in track(ways.items(), kind, console=Console(stderr=True)):
            table.add_row(name, *_measured(write, cases, arguments.batch, loaded))
        console.print(table)


@dataclass(frozen=True)
class Denoising:
    """The diffusion model, on layouts that `lay_out` makes."""

    loaded: LoadedModel
    lay_out: Callable[[LoadedModel, GapCase, Prefix, int], Layout]

    def __call__(self, cases: Sequence[GapCase], seed: int) -> Reports:
        loaded, jobs = self.loaded, []
        for number, case in enumerate(cases, seed):
            inputs = encode([_image(case)], ORDER, tokenizer=loaded.tokenizer, image_processor=loaded.image_processor)
            prefix = read(loaded, {name: tensor.to(loaded.device) for name, tensor in inputs.items()})
            jobs.append(Job(prefix, self.lay_out(loaded, case, prefix, number), number))
        reports = []
        for case, job, canvas in zip(cases, jobs, infill(loaded, jobs), strict=True):
            if isinstance(canvas, DraftingError):
                raise canvas
            tokens = list(zip(loaded.codec.pieces(canvas.ids), canvas.probabilities, strict=True))
            reports.append(assemble(TEMPLATE, case.anchors, job.layout, tokens))
        return reports


def _as_the_product_lays(loaded: LoadedModel, case: GapCase, prefix: Prefix, seed: int) -> Layout:
    codec, length = loaded.codec, loaded.canvas_length
    return lay(TEMPLATE, case.anchors, encode=codec.encode, canvas_length=length, end_id=codec.end_id)


def _searched(loaded: LoadedModel, case: GapCase, prefix: Prefix, seed: int) -> Layout:
    return best_layout(loaded, prefix, TEMPLATE, case.anchors, seed)


def _true(loaded: LoadedModel, case: GapCase, prefix: Prefix, seed: int) -> Layout:
    codec, length, lengths = loaded.codec, loaded.canvas_length, case.lengths(loaded.codec.encode)
    return lay(TEMPLATE, case.anchors, encode=codec.encode, canvas_length=length, end_id=codec.end_id, lengths=lengths)


def _left_to_right(sibling: LoadedModel, way: Infill) -> Write:
    def write(cases: Sequence[GapCase], seed: int) -> Reports:
        images, anchors = [[_image(case)] for case in cases], [case.anchors for case in cases]
        written = write_sections(sibling, images, TEMPLATE, anchors, ORDER, seed=seed, way=way)
        return [sections for sections, _ in written]

    return write


def _without_filler(loaded: LoadedModel) -> LoadedModel:
    """As if the card named no filler; its token is then a control token like others."""
    card = replace(loaded.card, filler=None)
    return replace(loaded, card=card, codec=TextCodec(loaded.tokenizer, card, loaded.vocabulary_size))


def _image(case: GapCase) -> NDArray[np.uint8]:
    image: NDArray[np.uint8] = np.repeat(case.phantom.image()[..., None], 3, axis=2)
    return image


def _measured(write: Write, cases: Sequence[GapCase], batch: int, loaded: LoadedModel) -> list[str]:
    """The cells of a row."""
    scores = GapScores()
    started = time.perf_counter()
    for first in range(0, len(cases), batch):
        some = cases[first : first + batch]
        for case, sections in zip(some, write(some, first), strict=True):
            scores.add(case, sections, loaded.codec.encode)
    seconds = (time.perf_counter() - started) / len(cases)
    seams, facts, gaps = scores.seams, scores.facts, scores.gaps
    errors = (seams.double_words, seams.missing_spaces, seams.broken_sentences)
    return [
        f"{scores.f1 / gaps:.3f}",
        *(f"{100 * count / seams.seams:.1f}" for count in errors),
        f"{100 * scores.stuttered / scores.words:.1f}",
        f"{scores.length_error / gaps:.1f}",
        f"{scores.surplus / gaps:+.1f}",
        f"{facts.overall.right / facts.overall.total:.3f}",
        f"{facts.garbled / facts.sentences:.3f}",
        f"{seconds:.2f}",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=WEIGHTS / "demo")
    parser.add_argument(
        "--sibling", type=Path, default=WEIGHTS / "sibling", help="left to right, of the same tokenizer"
    )
    parser.add_argument("--count", type=int, default=200, help="phantoms")
    parser.add_argument("--batch", type=int, default=16, help="reports that are written together")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
