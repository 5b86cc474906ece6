"""Train the demo checkpoint: `python -m model_runtime.training.demo --seconds 1000 --out DIR`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from model_runtime.training.architecture import build_model
from model_runtime.training.course import Arrays, Pupil, run
from model_runtime.training.examples import CANVAS, Teacher
from model_runtime.training.release import SAMPLER, card
from model_runtime.training.step import Objective


def lesson(teacher: Teacher, seeds: range) -> Arrays:
    """The arrays that `Objective` is called with; one prompt for all of the phantoms."""
    return (*teacher.batch(seeds), np.array([teacher.prompt(seeds[0])]))


def objective(model: Any, teacher: Teacher) -> Objective:
    return Objective(
        model,
        image_start=teacher.image_start,
        filler_id=teacher.filler_id,
        temperatures=(SAMPLER.t_min, SAMPLER.t_max),
    )


DEMO = Pupil("radplug train demo", partial(build_model, canvas_length=CANVAS), objective, lesson, card)


def main(arguments: Sequence[str] | None = None) -> None:
    run(DEMO, __doc__, arguments)


if __name__ == "__main__":
    main()
