"""Train the demo checkpoint's sibling, which writes from left to right: `python -m model_runtime.training.sibling`.

Gemma 4 of the same size, from the same phantoms, reports and anchors in the same order, by the same optimiser: for as
many `--looks` and `--steps` as the demo checkpoint's model card states, what differs between the two is the paradigm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model_runtime.training.architecture import build_sibling
from model_runtime.training.course import Pupil, run
from model_runtime.training.examples import Teacher
from model_runtime.training.next_token import NextToken
from model_runtime.training.release import sibling_card
from model_runtime.training.sequences import lesson


def objective(model: Any, teacher: Teacher) -> NextToken:
    return NextToken(model, image_start=teacher.image_start)


SIBLING = Pupil("radplug train sibling", build_sibling, objective, lesson, sibling_card)


def main(arguments: Sequence[str] | None = None) -> None:
    run(SIBLING, __doc__, arguments)


if __name__ == "__main__":
    main()
