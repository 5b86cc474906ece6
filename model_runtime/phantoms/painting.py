"""A chest radiograph from numbers, written once for numpy and for torch.

Every shape is smooth in the image's own coordinates (0 to 1 from left to right and from top to bottom), so that an
image of any size shows the same chest. Brightness is 0 for air outside the body and 1 for metal.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

Array = Any  # numpy's or torch's; what both modules name alike is all that is used here

ABSENT = -1.0  # or any height below zero: of an effusion, a consolidation, a nodule or a tube that is not there


class Lung(NamedTuple):
    """One lung and what is in it. Lengths are shares of the image's side, `*_y` are heights from the top."""

    offset: Array  # of the lung's centre from the midline
    half_width: Array
    apex_y: Array
    dome_y: Array  # of the diaphragm's dome
    fluid: Array  # how far an effusion stands above the costophrenic angle
    consolidation_y: Array
    consolidation_lateral: Array  # -1 medial to 1 lateral
    consolidation_width: Array
    consolidation_height: Array
    consolidation_density: Array
    nodule_y: Array
    nodule_lateral: Array
    nodule_radius: Array
    nodule_density: Array
    collapse: Array  # share of the lung's width lost to a pneumothorax, 0 for none


class Geometry(NamedTuple):
    """A chest and how it was exposed; each number a float, or an array that broadcasts over (images, rows, columns)."""

    right: Lung
    left: Lung
    shift_x: Array
    shift_y: Array
    scale: Array
    tilt: Array  # radians
    mediastinum: Array
    heart_radius: Array
    heart_offset: Array
    rib_phase: Array
    rib_spacing: Array
    texture_phase: Array
    tube_y: Array  # of the tip, ABSENT for no tube
    tube_x: Array
    line_start_x: Array  # where a central line enters the image's upper part, 0.5 for none
    line_end_y: Array
    contrast: Array
    brightness: Array
    gamma: Array
    grain: Array  # standard deviation of the noise


def paint(geometry: Geometry, x: Array, y: Array, noise: Array, xp: Any) -> Array:
    """Brightness from 0 to 1, (images, rows, columns) or (rows, columns).

    `x` (1, columns) and `y` (rows, 1) are the pixels' centres, `noise` is standard normal, `xp` is numpy or torch.
    """

    def inside(margin: Array, softness: float) -> Array:  # 1 where the margin is above zero, with a soft edge
        return 0.5 * (1.0 + xp.tanh(margin / (2.0 * softness)))

    def hill(distance: Array, width: Array) -> Array:
        return xp.exp(-((distance / width) ** 2))

    g = geometry
    cos, sin = xp.cos(g.tilt), xp.sin(g.tilt)
    u = ((x - 0.5) * cos + (y - 0.5) * sin) / g.scale - g.shift_x  # from the midline, to the image's right
    v = ((y - 0.5) * cos - (x - 0.5) * sin) / g.scale - g.shift_y + 0.5
    across = xp.abs(u)

    def lung(side: Lung, sign: float) -> tuple[Array, Array, Array]:
        """Air, extra density, and how far the lung has left the chest wall."""
        lateral = (sign * u - side.offset) / side.half_width
        bottom = side.dome_y + 0.12
        middle, half = 0.5 * (side.apex_y + bottom), 0.5 * (bottom - side.apex_y)
        reach = xp.abs(lateral) ** 2.4 + xp.abs((v - middle) / half) ** 2.6
        chest = inside(1.0 - reach, 0.06)
        dome = side.dome_y + 0.10 * lateral**2
        air = chest * inside(dome - v, 0.006)

        kept = 1.0 - side.collapse
        inner = (
            xp.abs((lateral + 0.8 * side.collapse) / kept) ** 2.4
            + xp.abs((v - middle - 0.8 * side.collapse * half) / (half * kept)) ** 2.6
        )
        present = side.collapse > 0.0
        high = inside(0.50 - v, 0.03) * present
        rim = high * (1.0 - inside(1.0 - inner, 0.05)) * chest

        angle = side.dome_y + 0.09
        surface = xp.where(side.fluid > 0.0, angle - side.fluid - 0.05 * lateral**2, 2.0 + 0.0 * side.fluid)
        fluid = inside(v - surface, 0.008)

        patch_x = (lateral - side.consolidation_lateral) * side.half_width / side.consolidation_width
        patch_y = (v - side.consolidation_y) / side.consolidation_height
        ragged = 0.25 * xp.sin(61.0 * u + 5.0 * g.texture_phase) * xp.cos(53.0 * v - 3.0 * g.texture_phase)
        patch = inside(1.0 + ragged - patch_x**2 - patch_y**2, 0.16) * (side.consolidation_y > 0.0)
        filled = side.consolidation_density * patch * (1.0 - rim)

        spot = ((lateral - side.nodule_lateral) * side.half_width) ** 2 + (v - side.nodule_y) ** 2
        nodule = side.nodule_density * inside(1.0 - spot / side.nodule_radius**2, 0.12) * (side.nodule_y > 0.0)

        edge = 0.10 * hill(1.0 - inner, 0.035) * high * air
        air = air * (1.0 - 0.97 * fluid) * (1.0 - filled)
        return air, nodule * air + edge, rim * air

    air_r, dense_r, rim_r = lung(g.right, -1.0)
    air_l, dense_l, rim_l = lung(g.left, 1.0)

    heart_x = (u - g.heart_offset) / g.heart_radius
    heart_y = (v - 0.61 - 0.25 * (u - g.heart_offset)) / (0.08 + 0.4 * g.heart_radius)
    heart = inside(1.0 - xp.abs(heart_x) ** 2.2 - xp.abs(heart_y) ** 2.2, 0.05)
    hilum = hill(across - 0.075, 0.028) * hill(v - 0.43, 0.05)
    middle = inside(g.mediastinum + 0.02 * hill(v - 0.33, 0.06) - across, 0.006)
    covered = (1.0 - 0.92 * heart) * (1.0 - 0.92 * middle) * (1.0 - 0.45 * hilum)
    air, rim = (air_r + air_l) * covered, rim_r + rim_l

    shoulders = 0.01 + 0.42 * xp.clip(across - 0.10, 0.0, 1.0) ** 1.25
    torso = inside(v - shoulders, 0.012) * inside(0.475 - across + 0.02 * v, 0.012)
    phase = g.texture_phase
    vessels = (
        xp.sin(47.0 * u + 19.0 * v + 7.0 * phase)
        + xp.sin(31.0 * v - 23.0 * u + 3.0 * phase)
        + xp.sin(71.0 * u - 37.0 * v - 5.0 * phase)
        + xp.sin(83.0 * v + 29.0 * u + 11.0 * phase)
    )
    ribs = hill(xp.sin(math.pi * ((v - 1.1 * across**2) / g.rib_spacing + g.rib_phase)), 0.36)
    front = hill(xp.sin(math.pi * ((v + 0.9 * across**2) / (1.25 * g.rib_spacing) - g.rib_phase)), 0.30)
    caged = inside(0.36 - across, 0.01) * inside(v - 0.09, 0.01) * inside(0.78 - v, 0.03)
    clavicles = (
        hill(v - 0.135 + 0.16 * (across - 0.05), 0.011) * inside(across - 0.03, 0.008) * inside(0.33 - across, 0.01)
    )
    spine = hill(u, 0.03) * (0.8 + 0.2 * xp.cos(140.0 * v))
    trachea = hill(u, 0.014) * inside(0.29 - v, 0.012)

    image = torso * (
        0.52
        + 0.10 * inside(v - 0.76, 0.03)
        - 0.37 * air
        - 0.11 * rim * covered
        + 0.014 * vessels * (air_r + air_l - rim) * (0.4 + hill(across - 0.10, 0.12))
        + (dense_r + dense_l) * covered
        + 0.055 * ribs * caged
        + 0.03 * front * caged * inside(across - 0.06, 0.01)
        + 0.11 * clavicles
        + 0.05 * spine
        + 0.06 * middle
        - 0.10 * trachea
    )

    tube = hill(u - g.tube_x, 0.0048) * inside(g.tube_y - v, 0.003)
    start = 0.11
    run = (v - start) / (g.line_end_y - start)
    rest = xp.clip(1.0 - run, 0.0, 1.0)
    entry, end = g.line_start_x, -0.045
    slope = 2.0 * (entry - end) * rest / (g.line_end_y - start)
    off_path = (u - end - (entry - end) * rest**2) / xp.sqrt(1.0 + slope**2)
    line = hill(off_path, 0.0042) * inside(run, 0.01) * inside(1.0 - run, 0.01) * (entry != 0.0)
    image = image + 0.24 * tube + 0.20 * line

    image = xp.clip((image - 0.45) * g.contrast + 0.45 + g.brightness, 0.0, 1.0) ** g.gamma
    return xp.clip(image + g.grain * noise, 0.0, 1.0)


def flatten(geometry: Geometry) -> list[float]:
    """Its numbers in a row, `len(flatten(...)) == NUMBERS`."""
    return [*geometry.right, *geometry.left, *geometry[2:]]


def unflatten(numbers: Array) -> Geometry:
    """Geometry of many images from an array (images, NUMBERS), ready to be painted together."""
    columns = [numbers[:, k, None, None] for k in range(NUMBERS)]
    lung = len(Lung._fields)
    return Geometry(Lung(*columns[:lung]), Lung(*columns[lung : 2 * lung]), *columns[2 * lung :])


NUMBERS = 2 * len(Lung._fields) + len(Geometry._fields) - 2
