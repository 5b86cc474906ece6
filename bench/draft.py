"""Seconds for a draft and for a redraft after one more dictated phrase, as the product makes them.

    python bench/draft.py                       # the checkpoint that comes along, on one thread and on two
    python bench/draft.py --checkpoint DIR --device cuda

A cold draft reads its prompt (the image and the order) and then denoises. A redraft finds its prompt read and starts
from the present draft. The model is loaded and warm in both. Phantoms are held out, each is drafted once, and medians
count. Torch's threads spin while they wait for each other: where other work shares the cores, two are slower than one.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers.utils import logging as transformers_logging

from model_runtime.canvas import Anchor
from model_runtime.draft_text import DraftText
from model_runtime.drafter import Drafter
from model_runtime.evaluation.gaps import gap_case
from model_runtime.phantoms.phantom import HELD_OUT
from model_runtime.phantoms.template import TEMPLATE
from model_runtime.prompts.prompt import PromptFacts
from model_runtime.redraft import Reach

DEMO = Path(__file__).parents[1] / "model_runtime/weights/demo"
ORDER = PromptFacts("DX", "CHEST", "PA")
COLD = "cold draft"
COLD_TARGET, REDRAFT_TARGET = 3.0, 0.8  # seconds on two CPU cores

T = TypeVar("T")
Timings = dict[str, list[tuple[float, int]]]  # by what was done: seconds and denoising steps


def main() -> None:
    arguments = _arguments()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    drafter = Drafter.load(arguments.checkpoint, arguments.device)
    console = Console()
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        drafter.warm_up()
        timings: Timings = {}
        for seed in track(
            range(HELD_OUT, HELD_OUT + arguments.count), f"{threads} threads", console=Console(stderr=True)
        ):
            measure(drafter, seed, timings)
        console.print(_table(timings, f"{drafter.identity(0).device}, threads: {threads}, cases: {arguments.count}"))
    load = " ".join(f"{load:.1f}" for load in os.getloadavg())
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, load averages {load}")


def measure(drafter: Drafter, seed: int, timings: Timings) -> None:
    """One phantom: drafted with all its dictated phrases but the last, then redrafted with it."""
    case = gap_case(seed, mid_sentence=False)
    image: NDArray[np.uint8] = np.repeat(case.phantom.image()[..., None], 3, axis=2)
    anchors: list[Anchor] = list(case.anchors)

    def draft() -> DraftText:
        return drafter.draft([image], TEMPLATE, anchors[:-1], ORDER, seed=seed)

    present = _timed(draft, COLD, timings)
    for reach in Reach:

        def redraft(reach: Reach = reach) -> DraftText:
            return drafter.redraft([image], TEMPLATE, anchors, ORDER, present=present, seed=seed, reach=reach)

        _timed(redraft, f"redraft, reach {reach}", timings)


def _timed(make: Callable[[], DraftText], name: str, timings: Timings) -> DraftText:
    started = time.perf_counter()
    draft = make()
    timings.setdefault(name, []).append((time.perf_counter() - started, draft.steps))
    return draft


def _table(timings: Timings, title: str) -> Table:
    table = Table(title=title)
    for column in ("", "median s", "worst s", "median steps", "target s"):
        table.add_column(column, justify="left" if not column else "right")
    for name, taken in timings.items():
        seconds, steps = zip(*taken, strict=True)
        target = COLD_TARGET if name == COLD else REDRAFT_TARGET
        table.add_row(
            name,
            f"{statistics.median(seconds):.2f}",
            f"{max(seconds):.2f}",
            f"{statistics.median(steps):.0f}",
            f"{target:.1f}",
        )
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=DEMO)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--count", type=int, default=20, help="phantoms")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    return parser.parse_args()


if __name__ == "__main__":
    main()
