"""Synthetic chest radiographs with known findings: no patient, no download. Numpy and the standard library only.

A phantom is a function of its seed: its facts, its geometry, its image at any size, and the reports that fit it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from model_runtime.findings import CHOICES, SIDES, Facts
from model_runtime.phantoms.painting import ABSENT, Geometry, Lung, flatten, paint, unflatten
from model_runtime.phantoms.wording import compose

HELD_OUT = 1_000_000_000  # phantoms from this seed on are never trained on
# How often each finding has each of its values, in the order of CHOICES; far above any clinic's, to learn from.
_PREVALENCE: dict[str, tuple[float, ...]] = {
    "effusion": (0.68, 0.18, 0.14),
    "consolidation": (0.73, 0.09, 0.09, 0.09),
    "nodule": (0.79, 0.07, 0.07, 0.07),
    "pneumothorax": (0.82, 0.18),
    "heart": (0.56, 0.24, 0.20),
    "endotracheal_tube": (0.74, 0.26),
    "central_line": (0.64, 0.18, 0.18),
}
_ZONE_Y = {"none": ABSENT, "upper": 0.285, "mid": 0.435, "lower": 0.575}
_HEART_TO_THORAX = {"normal": (0.40, 0.47), "mild": (0.535, 0.585), "marked": (0.65, 0.71)}
_FLUID = {"none": (ABSENT, ABSENT), "small": (0.055, 0.085), "large": (0.23, 0.34)}
_COLLAPSE = {"none": (0.0, 0.0), "present": (0.11, 0.22)}
_TUBE_Y = {"none": (ABSENT, ABSENT), "present": (0.19, 0.25)}
_LINE_START = {"none": (0.0, 0.0), "right": (-0.23, -0.17), "left": (0.19, 0.25)}


@dataclass(frozen=True, slots=True)
class Phantom:
    """A chest that never was."""

    seed: int
    facts: Facts
    geometry: Geometry

    @classmethod
    def of(cls, seed: int) -> Phantom:
        rng = Random(seed)
        facts = draw_facts(rng)
        return cls(seed, facts, draw_geometry(facts, rng))

    def image(self, size: int = 384, bits: int = 8) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """(size, size), full range of `bits`: uint8 up to 8 bits, uint16 above."""
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        noise = np.random.default_rng(self.seed).standard_normal((size, size), dtype=np.float32)
        geometry = unflatten(np.array([flatten(self.geometry)], dtype=np.float32))
        brightness = paint(geometry, centres[None, :], centres[:, None], noise, np)[0]
        whole = np.floor(brightness * (2**bits - 1) + 0.5)
        image: NDArray[np.uint8] | NDArray[np.uint16] = whole.astype(np.uint8 if bits <= 8 else np.uint16)
        return image

    def report(self, rng: Random) -> dict[str, list[str]]:
        """The sentences of FINDINGS and IMPRESSION, worded anew by each call."""
        return {name: [s.text for s in sentences] for name, sentences in compose(self.facts, rng).items()}


def draw_facts(rng: Random) -> Facts:
    """Findings that can all be seen in one image: nothing lies under a large effusion or behind a consolidation."""
    while True:
        values = {}
        for finding, choices in CHOICES.items():
            weights = _PREVALENCE[finding.removesuffix("_right").removesuffix("_left")]
            values[finding] = rng.choices(choices, weights)[0]
        facts = Facts(**values)
        if all(_visible(facts, side) for side in SIDES):
            return facts


def _visible(facts: Facts, side: str) -> bool:
    patch, nodule = facts.of("consolidation", side), facts.of("nodule", side)
    drowned = facts.of("effusion", side) == "large" and "lower" in (patch, nodule)
    return not drowned and (patch == "none" or patch != nodule)


def draw_geometry(facts: Facts, rng: Random) -> Geometry:
    """A chest that shows the facts; other facts with the same numbers drawn change what must change and no more."""
    within = rng.uniform
    offset, half_width = within(0.178, 0.192), within(0.132, 0.148)
    heart_radius = within(*_HEART_TO_THORAX[facts.heart]) * (offset + half_width)
    return Geometry(
        right=_draw_lung(facts, "right", offset, half_width, rng),
        left=_draw_lung(facts, "left", offset, half_width, rng),
        shift_x=within(-0.025, 0.025),
        shift_y=within(-0.02, 0.03),
        scale=within(0.95, 1.05),
        tilt=within(-0.06, 0.06),
        mediastinum=within(0.048, 0.06),
        heart_radius=heart_radius,
        heart_offset=0.24 * heart_radius + within(-0.008, 0.008),
        rib_phase=within(0.0, 1.0),
        rib_spacing=within(0.06, 0.07),
        texture_phase=within(0.0, 6.0),
        tube_y=within(*_TUBE_Y[facts.endotracheal_tube]),
        tube_x=within(-0.006, 0.006),
        line_start_x=within(*_LINE_START[facts.central_line]),
        line_end_y=within(0.34, 0.40),
        contrast=within(0.88, 1.15),
        brightness=within(-0.05, 0.05),
        gamma=within(0.85, 1.2),
        grain=within(0.0, 0.025),
    )


def _draw_lung(facts: Facts, side: str, offset: float, half_width: float, rng: Random) -> Lung:
    within = rng.uniform
    patch, nodule = facts.of("consolidation", side), facts.of("nodule", side)
    # What lies low on the left must stay clear of the heart's shadow.
    medial = {"normal": 0.15, "mild": 0.4, "marked": 0.65}[facts.heart] if side == "left" else 0.0
    pneumothorax = facts.of("pneumothorax", side)
    lateral = 0.6 if pneumothorax == "none" else 0.2  # a collapsed lung has left the chest wall
    return Lung(
        offset=offset,
        half_width=half_width,
        apex_y=within(0.115, 0.14),
        dome_y=within(0.68, 0.71) + (0.015 if side == "left" else 0.0),
        fluid=within(*_FLUID[facts.of("effusion", side)]),
        consolidation_y=_ZONE_Y[patch] + within(-0.025, 0.025),
        consolidation_lateral=within(medial, 0.65) if patch == "lower" else within(0.0, lateral),
        consolidation_width=within(0.045, 0.07),
        consolidation_height=within(0.04, 0.055),
        consolidation_density=within(0.5, 0.85),
        nodule_y=_ZONE_Y[nodule] + within(-0.035, 0.035),
        nodule_lateral=within(medial, 0.7) if nodule == "lower" else within(-0.1, lateral),
        nodule_radius=within(0.014, 0.023),
        nodule_density=within(0.16, 0.27),
        collapse=within(*_COLLAPSE[pneumothorax]),
    )
