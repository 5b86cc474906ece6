"""Before it writes, the model learns to see: the vision tower names a phantom's findings, and nothing is decoded.

A phantom that is only looked at costs less than a third of one that is written on, so the tower sees many more.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from torch import Tensor

from model_runtime.findings import CHOICES
from model_runtime.phantoms.phantom import Phantom
from model_runtime.training.examples import geometry_of, shown_by
from model_runtime.training.optimization import Optimization
from model_runtime.training.sight import Sight

FIRST_SEED = 500_000_000  # of phantoms that are only looked at; reports are written on those from 0 on
_BATCH = 32
_TELL_EVERY = 50  # steps


def learn_to_see(sight: Sight, seconds: float, looks: int, device: torch.device) -> int:
    """Train the tower, its projection and `sight.look` on phantoms that are each seen once; how many steps it took.

    It ends with whichever of `seconds` and `looks`, the steps, is used up first; the learning rate falls towards it.
    """
    optimization = Optimization([sight], [sight.hidden()])
    started, step = time.perf_counter(), 0
    right: list[Tensor] = []
    losses: list[Tensor] = []
    while seconds and (left := 1.0 - max((time.perf_counter() - started) / seconds, step / looks)) > 0:
        first = FIRST_SEED + step * _BATCH
        geometry, shown = (t.to(device) for t in _phantoms(range(first, first + _BATCH)))
        with torch.autocast(device.type, dtype=torch.bfloat16):
            named = sight.named(sight.look_at(geometry))
        loss = sight.look_loss(named, shown)
        loss.backward()  # type: ignore[no-untyped-call]
        optimization.step(step, left)
        losses.append(loss.detach())
        right.append(torch.stack([part.argmax(-1) == shown[:, k] for k, part in enumerate(named)]).float().mean(1))
        step += 1
        if step % _TELL_EVERY == 0:
            by_finding = torch.stack(right).mean(0)
            names = " ".join(f"{name} {share:.2f}" for name, share in zip(CHOICES, by_finding.tolist(), strict=True))
            mean = torch.stack(losses).mean()
            elapsed = time.perf_counter() - started
            sys.stdout.write(f"look {step}  {elapsed:.0f} s  loss {mean:.4f}  right {by_finding.mean():.3f}  {names}\n")
            sys.stdout.flush()
            right, losses = [], []
    return step


def _phantoms(seeds: range) -> tuple[Tensor, Tensor]:
    """Geometry (phantoms, NUMBERS) and findings (phantoms, findings) as indices into CHOICES."""
    phantoms = [Phantom.of(seed) for seed in seeds]
    geometry, shown = np.stack([*map(geometry_of, phantoms)]), np.stack([*map(shown_by, phantoms)])
    return torch.from_numpy(geometry), torch.from_numpy(shown)
