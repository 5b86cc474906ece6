"""Which template a study is drafted on, and in words, which studies a template is for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model_runtime.canvas import Template


def choose(
    templates: Sequence[Template], procedures: Iterable[tuple[str, str]], modality: str, body_part: str
) -> Template | None:
    """The template that is most exactly for the study; of several, the one that stands first in `templates`.

    From most to least exact:

    1. it names a procedure code (value, scheme) of the study; the study's codes are asked one after the other,
    2. it names the modality and the body part,
    3. it names the modality, and no body part: any part will do,
    4. it names the body part, and no modality,
    5. it names nothing at all: the generic one.

    What a template names it insists on: one for CT of the chest never takes a CT of another part. One that names
    procedures alone is for these alone; one that names a modality or a body part as well is for both, by either.
    """
    for procedure in procedures:
        for template in templates:
            if procedure in template.procedures:
                return template
    fitting = [template for template in templates if _fits(template, modality, body_part)]
    return max(fitting, key=lambda t: (bool(t.modalities), bool(t.body_parts)), default=None)


def purpose(template: Template) -> list[str]:
    """What a template is chosen for, for people: procedures by their codes, then modality and body part."""
    told = [" ".join(code[::-1]).strip() for code in sorted(template.procedures)]
    if template.modalities or template.body_parts:
        modality = ", ".join(sorted(template.modalities)) or "any modality"
        told.append(f"{modality} of {', '.join(sorted(template.body_parts)) or 'any body part'}")
    return told or ["what no other is for"]


def _fits(template: Template, modality: str, body_part: str) -> bool:
    if not template.modalities and not template.body_parts:
        return not template.procedures
    return (not template.modalities or modality in template.modalities) and (
        not template.body_parts or body_part in template.body_parts
    )
