"""A case to a draft's text: is the model made for it, which template, and then the model itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from hl7.orders import Order
from model_runtime.canvas import Anchor, Template
from model_runtime.draft_text import DraftText, SectionText
from model_runtime.drafting import Wish
from model_runtime.errors import AnchorDoesNotFit, AnchorRefused, Cancelled
from model_runtime.prompts.prompt import EarlierReport, PromptFacts
from model_runtime.redraft import Reach
from radplug.desk import Desk, without_struck
from radplug.domain import Brief, Case, KeptInstance, NotDraftable, Plan, Routing
from radplug.loaded_model import LoadedModel
from radplug.models import ModelFiles
from radplug.priors import Prior
from radplug.rules import Study
from radplug.templates import choose

FRAME_SECONDS = 0.04  # between two canvases that are shown
Result = TypeVar("Result", bound=DraftText | Exception)


class Draftsman:
    """Drafts with the site's models, which are loaded once, at `warm_up` or the first draft that needs them.

    The site's rules say which model, and which of its adapters, drafts which case.
    `templates` are asked for before each draft, since people change them.
    `threads` are the CPU threads of the models (0: as many as there are cores), `batch` the cases that are drafted
    together, at most; `data` is where image files lie.
    """

    def __init__(
        self,
        models: Mapping[str, ModelFiles],
        templates: Callable[[], Sequence[Template]],
        data: Path,
        *,
        threads: int,
        batch: int,
        seed: int,
        assume_body_part: str,
    ) -> None:
        self._models = {name: LoadedModel(files, batch=batch) for name, files in models.items()}
        self._templates = templates
        self._data = data
        self._seed = seed
        self._assume_body_part = assume_body_part
        if threads:
            torch.set_num_threads(threads)

    def warm_up(self) -> str:
        """Load every model with its adapters, and draft once with each; what is now ready, in words.

        Raises UnusableCheckpoint and UnusableAdapter.
        """
        return "; ".join(model.warm_up(self._seed) for model in self._models.values())

    def plan(self, case: Case, instances: Sequence[KeptInstance], order: Order | None) -> Plan:
        """What the study is drafted as, by its routing. Raises NotDraftable where the model was not made for it."""
        images = [kept.instance for kept in instances if kept.instance.is_image]
        if not images:
            raise NotDraftable("the study holds no image")
        study = Study.of(instances, order, self._assume_body_part)
        routing = case.routing
        model = self._models.get(routing.model)
        if model is None:
            raise _gone(routing, "model", routing.model)
        not_covered = model.card.covers(study.modality, study.body_part)
        if not_covered:
            raise NotDraftable(not_covered)
        template = self._template(study, routing)
        if routing.adapter and routing.adapter not in model.adapters:
            raise _gone(routing, "adapter", routing.adapter)
        return Plan(
            template,
            study.modality,
            study.body_part,
            view=images[0].view_position,
            images=model.card.most_images,
            priors=model.card.most_earlier,
            model=routing.model,
            adapter=routing.adapter,
        )

    def _template(self, study: Study, routing: Routing) -> Template:
        templates = self._templates()
        if routing.template:
            named = next((each for each in templates if each.name == routing.template), None)
            if named is None:
                raise _gone(routing, "template", routing.template)
            return named
        chosen = choose(templates, study.procedures, study.modality, study.body_part)
        if chosen is None:
            part = study.body_part or "an unnamed body part"
            raise NotDraftable(f"no report template is for {study.modality} of {part}; add one")
        return chosen

    def draft(self, briefs: Sequence[Brief]) -> list[DraftText | Exception]:
        """The texts around what was dictated, in one batch per model; what goes wrong with one stands in its place.

        That is NotDraftable where the phrases cannot all stand in the report.
        """
        drafted: dict[int, DraftText | Exception] = {}
        for name, model in self._models.items():
            numbers = [number for number, brief in enumerate(briefs) if brief.plan.model == name]
            if numbers:
                results = model.drafter.draft_all([self._wish(briefs[number]) for number in numbers])
                drafted |= zip(numbers, map(_in_our_words, results), strict=True)
        return [drafted[number] for number in range(len(briefs))]

    def redraft(self, brief: Brief, desk: Desk, tell: Callable[[int, Sequence[SectionText]], bool]) -> DraftText | None:
        """The text around what is pinned now, beginning with what stands there; None where it was no longer wanted.

        Raises NotDraftable where the phrases cannot all stand in the report.
        """
        stop = Event()

        def on_frame(_: int, step: int, sections: Sequence[SectionText]) -> None:
            if not tell(step, sections):
                stop.set()

        wish = replace(
            self._wish(brief),
            anchors=[Anchor(phrase.section, phrase.text, phrase.accepted) for phrase in desk.edit.phrases],
            present=without_struck(desk.shown, desk.edit.struck),
            reach=Reach.GAP,
            stop=stop,
        )
        (result,) = self._models[brief.plan.model].drafter.draft_all([wish], on_frame, frame_seconds=FRAME_SECONDS)
        if isinstance(result, Cancelled):
            return None
        if isinstance(result, Exception):
            raise _in_our_words(result)
        return result

    def _wish(self, brief: Brief) -> Wish:
        plan, model = brief.plan, self._models[brief.plan.model]
        return Wish(
            images=[np.asarray(Image.open(self._data / image.file).convert("RGB")) for image in brief.images],
            template=plan.template,
            anchors=[Anchor(dictation.section, dictation.text) for dictation in brief.said],
            facts=PromptFacts(
                plan.modality,
                plan.body_part,
                plan.view,
                earlier=_earlier(brief.priors[: plan.priors]),
            ),
            seed=self._seed,
            adapter=model.adapters[plan.adapter].name if plan.adapter else None,
        )


def _earlier(priors: Sequence[Prior]) -> tuple[EarlierReport, ...]:
    return tuple(EarlierReport(prior.taken_on, prior.report) for prior in priors if prior.taken_on)


def _gone(routing: Routing, what: str, name: str) -> NotDraftable:
    return NotDraftable(f"the rule {routing.rule} names the {what} {name}, which is not in use any more")


def _in_our_words(result: Result) -> Result | NotDraftable:
    return NotDraftable(str(result)) if isinstance(result, AnchorDoesNotFit | AnchorRefused) else result
