"""Denoising at the real size on one GPU, beside the left-to-right sibling of the same size.

    python bench/full_size.py diffusion_gemma /scratch/d && python bench/decode.py --diffusion /scratch/d --discard
    python bench/full_size.py gemma4 /scratch/s && python bench/decode.py --sibling /scratch/s --discard
    python bench/decode.py --tiny              # the script itself, small models on a CPU; its figures mean nothing

What was measured is kept in a file and printed as a whole each time, so that the two models need neither memory nor
disk at the same time. Weights are random: a step's time and its arithmetic are real, what is written is not. The rule
that stops a draft early is asked at every step, and never met. Kernels have tests against float32.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import decode_errors
import full_size
import torch
import transformers
from decode_case import ANCHORS, ORDER, STOCK, Case, allocated, synchronize, timed
from transformers import GenerationConfig
from transformers.utils import logging as transformers_logging

from model_runtime.canvas import Anchor
from model_runtime.checkpoints.checkpoint import LoadedModel
from model_runtime.denoising.infill import Filled, infill
from model_runtime.denoising.stepping import SteppedModel
from model_runtime.drafter import Drafter
from model_runtime.gpu import experts
from model_runtime.prompts.prefix import read

PLAIN, FAST, EIGHT_BIT = "plain step, stock experts", "fast step", "fast step, 8-bit experts"
NEWER = Anchor("FINDINGS", "The lungs are clear.")


def load(case: Case) -> None:
    """Through the product's own loading; a second copy of tied weights would show in the memory."""
    case.results["prompts"] = {"positions": [prefix.length for prefix in case.prefixes]}
    case.results["experts hit by a canvas, of a layer's"] = decode_errors.experts_hit(case)


def plain(case: Case) -> None:
    """Plain PyTorch."""
    with case.experts(STOCK):
        for rows in case.rows:
            case.results.setdefault(PLAIN, {})[str(rows)] = step_times(case, case.loaded, rows)


def fast(case: Case) -> None:
    _fast(case, FAST, case.fast)


def eight_bit(case: Case) -> None:
    _fast(case, EIGHT_BIT, case.fast_in_eight_bits)


def _fast(case: Case, name: str, loaded: SteppedModel) -> None:
    for rows in case.rows:
        first, move = timed(partial(loaded.stepper.mover, rows, loaded.card.sampler.entropy_bound))
        case.results.setdefault(name, {})[str(rows)] = {
            **step_times(case, loaded, rows),
            "graph alone, ms": 1e3 * min(timed(move)[0] for _ in range(3 * case.tries)),
            "captured, s": first,
            "GPU at most, GiB": allocated(most=True),
        }


def step_times(case: Case, loaded: LoadedModel, rows: int) -> dict[str, float]:
    """As `infill` runs it: numbers in, canvases out, the stop rule asked, each step's canvas told and decoded."""

    def draft(steps: int) -> None:
        filled = infill(loaded, case.jobs(rows, steps), on_step=lambda row, step, ids: loaded.codec.pieces(ids))
        if any(not isinstance(row, Filled) or row.steps != steps for row in filled):
            raise RuntimeError("a draft ended before its last step; the time of a step cannot be told from it")

    draft(case.few)
    few, many = (min(timed(partial(draft, steps))[0] for _ in range(case.tries)) for steps in (case.few, case.many))
    return {"a step, ms": 1e3 * (many - few) / (case.many - case.few), f"{case.many} steps, ms": 1e3 * many}


def prefill(case: Case) -> None:
    """Reading a prompt: the model alone, and with the image's processing as `Drafter.prepare` does it."""
    inputs = case.inputs(case.loaded, 100)
    ours = {"our experts": experts.NAME} if case.fast.device.type == "cuda" else {}
    for name, implementation in {"stock experts": STOCK, **ours}.items():
        drafter, alone, whole = Drafter(case.loaded), [], []
        with case.experts(implementation):
            for seed in range(1 + case.tries):  # the first one warms up
                whole.append(timed(partial(drafter.prepare, [case.image(seed)], ORDER))[0])
                alone.append(timed(partial(read, case.loaded, inputs))[0])
        results = {"model, ms": 1e3 * min(alone[1:]), "Drafter.prepare, ms": 1e3 * min(whole[1:])}
        case.results.setdefault("prefill", {})[name] = results


def redraft(case: Case) -> None:
    """One more phrase on a prompt that has been read: half the canvas free, 8 steps.

    `Drafter.redraft` also searches the gaps' lengths, since the checkpoint has no filler, and looks a second time.
    """
    for name, loaded in ((PLAIN, case.loaded), (FAST, case.fast)):
        with case.experts(STOCK) if name == PLAIN else nullcontext():
            case.results.setdefault("redraft", {})[name] = redraft_times(case, loaded)


def redraft_times(case: Case, loaded: LoadedModel) -> dict[str, float]:
    template, images = case.template(0.5, 0.0), [case.image(0)]
    jobs = case.jobs(1, 8, template)
    drafter = Drafter(replace(loaded, card=replace(loaded.card, sampler=replace(loaded.card.sampler, steps=8))))
    present = drafter.draft(images, template, ANCHORS[:1], ORDER, seed=1)

    def again() -> None:
        draft = drafter.redraft(images, template, [*ANCHORS[:1], NEWER], ORDER, present=present, seed=1)
        if any(anchor.text not in draft.sections[0].text for anchor in (ANCHORS[0], NEWER)):
            raise RuntimeError("an anchor is not in the draft")

    again()
    return {
        "free positions": jobs[0].layout.free,
        "8 steps, ms": 1e3 * min(timed(partial(infill, loaded, jobs))[0] for _ in range(case.tries)),
        "Drafter.redraft, ms": 1e3 * min(timed(again)[0] for _ in range(case.tries)),
    }


def profile(case: Case) -> None:
    """Where a fast step's time goes; printed, not kept."""
    move = case.fast.stepper.mover(1, case.loaded.card.sampler.entropy_bound)
    with torch.no_grad(), torch.profiler.profile() as measured:
        for _ in range(3):
            move()
        synchronize()
    by = f"self_{case.loaded.device.type}_time_total"
    print(measured.key_averages().table(sort_by=by, row_limit=25, max_name_column_width=70))


def sibling(case: Case) -> None:
    """Stock generate(), static cache, compiled: the sibling's best."""
    loaded, most = case.sibling, 8 if case.arguments.tiny else 128
    inputs = case.inputs(loaded, 0)

    def write(tokens: int) -> None:
        how = {"cache_implementation": "static"} if loaded.device.type == "cuda" else {}
        exactly = {"min_new_tokens": tokens, "max_new_tokens": tokens, "do_sample": False, "pad_token_id": 0}
        loaded.model.generate(**inputs, generation_config=GenerationConfig(**exactly, **how))

    compiled, _ = timed(partial(write, most))
    write(2)
    few, many = (min(timed(partial(write, tokens))[0] for _ in range(case.tries)) for tokens in (2, most))
    case.results["sibling"] = {
        "a token, ms": 1e3 * (many - few) / (most - 2),
        "prompt positions": inputs["input_ids"].shape[1],
        "compiled, s": compiled,
        "GPU at most, GiB": allocated(most=True),
    }


DIFFUSION = {
    "load": load,
    "fast": fast,
    "layers": decode_errors.of_layers,
    "canvases": decode_errors.of_canvases,
    "redraft": redraft,
    "prefill": prefill,
    "plain": plain,
    "profile": profile,
    "eight-bit": eight_bit,
    "logits": decode_errors.of_logits,
}
SIBLING = {"sibling": sibling}


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raises TimeoutError in the block when its time is up."""

    def give_up(number: int, frame: object) -> None:
        raise TimeoutError(f"given up after {seconds} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def show(results: dict[str, Any]) -> None:
    for title, table in results.items():
        print(f"\n{title}")
        for name, row in (table if isinstance(next(iter(table.values())), dict) else {"": table}).items():
            print(f"{name:>26}  ", "   ".join(f"{key} {_shown(value)}" for key, value in row.items()))
    print()
    token = results.get("sibling", {}).get("a token, ms")
    for name in (PLAIN, FAST, EIGHT_BIT):
        by_rows = {int(rows): times["a step, ms"] for rows, times in results.get(name, {}).items()}
        if token and 1 in by_rows:
            ratios = [f"{256 * token / (steps * by_rows[1]):.1f} at {steps} steps" for steps in (12, 16)]
            print(f"{name}: a canvas of 256, times as fast as 256 tokens of the sibling: {', '.join(ratios)}")
        if 1 in by_rows:
            times = [f"{rows} rows {step / by_rows[1]:.2f}" for rows, step in by_rows.items()]
            print(f"{name}: a step, times that of one row: {', '.join(times)}")


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    arguments = _arguments()
    transformers_logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    results = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {}
    case = Case(arguments, results)
    parts: dict[str, Callable[[Case], None]] = {
        **(DIFFUSION if arguments.diffusion else {}),
        **(SIBLING if arguments.sibling else {}),
    }
    for name, part in parts.items():
        if arguments.parts and name not in arguments.parts:
            continue
        outcome, started = "done", time.perf_counter()
        try:
            with at_most(arguments.part_limit):
                part(case)
        except Exception as error:  # the other parts may do, and time on such a machine is dear
            if arguments.tiny:
                raise
            outcome = f"{type(error).__name__}: {error}"
        print(f"{name}: {outcome}, {time.perf_counter() - started:.0f} s", flush=True)
        arguments.results.write_text(json.dumps(results, indent=2))
    show(results)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"\n{device}, Python {platform.python_version()}, torch {torch.__version__}, ", end="")
    print(f"transformers {transformers.__version__}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--diffusion", type=Path, help="a directory that full_size.py has written")
    parser.add_argument("--sibling", type=Path, help="another")
    parser.add_argument("--discard", action="store_true", help="delete the weights once they are loaded")
    parser.add_argument("--parts", nargs="+", choices=[*DIFFUSION, *SIBLING], help="some only")
    parser.add_argument("--part-limit", type=int, default=240, help="seconds after which a part is given up")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "decode.json")
    parser.add_argument(
        "--tiny", action="store_true", help="write small models there first, and measure them on the CPU"
    )
    arguments = parser.parse_args()
    if arguments.tiny:
        torch.set_num_threads(1)
        folder = Path(tempfile.mkdtemp())
        arguments.results = folder / "results.json"
        arguments.diffusion = arguments.diffusion or folder / "diffusion"
        arguments.sibling = arguments.sibling or folder / "sibling"
        full_size.write(arguments.diffusion, "diffusion_gemma", tiny=True, device="cpu")
        full_size.write(arguments.sibling, "gemma4", tiny=True, device="cpu")
    return arguments


if __name__ == "__main__":
    main()
