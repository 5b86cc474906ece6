"""A case to a draft's text: is the model made for it, which template, and then the model itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Literal, TypeVar

import numpy as np
import torch
from PIL import Image
from transformers.utils import logging as transformers_logging

from hl7.orders import Order
from model_runtime.canvas import Anchor, Template
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.draft_text import DraftText, SectionText
from model_runtime.drafter import Drafter
from model_runtime.drafting import Wish
from model_runtime.errors import AnchorDoesNotFit, AnchorRefused, Cancelled
from model_runtime.lora.adapters import Adapter
from model_runtime.prompts.prompt import EarlierReport, PromptFacts
from model_runtime.redraft import Reach
from radplug.desk import Desk, without_struck
from radplug.domain import Brief, Case, KeptInstance, NotDraftable, Plan, Routing
from radplug.priors import Prior
from radplug.rules import Study
from radplug.templates import choose

FRAME_SECONDS = 0.04  # between two canvases that are shown
Result = TypeVar("Result", bound=DraftText | Exception)


class Draftsman:
    """Drafts with the checkpoint in a directory, which is loaded once, at `warm_up` or the first draft.

    The adapters in the directories `adapters` are loaded as well; the site's rules say which drafts which case.
    `templates` are asked for before each draft, since people change them.
    `threads` are the CPU threads of the model (0: as many as there are cores), `batch` the cases that are drafted
    together, at most; `data` is where image files lie.
    """

    def __init__(
        self,
        checkpoint: Path,
        templates: Callable[[], Sequence[Template]],
        adapters: Sequence[Path],
        data: Path,
        *,
        device: Literal["auto", "cpu", "cuda"],
        threads: int,
        batch: int,
        seed: int,
        assume_body_part: str,
    ) -> None:
        self._checkpoint = checkpoint
        self._templates = templates
        self._adapter_directories = adapters
        self._data = data
        self._device = device
        self._threads = threads
        self._batch = batch
        self._seed = seed
        self._assume_body_part = assume_body_part
        self._card = ModelCard.read(checkpoint)

    @cached_property
    def _drafter(self) -> Drafter:
        # standard error is the station's log
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        if self._threads:
            torch.set_num_threads(self._threads)
        return Drafter.load(self._checkpoint, self._device, batch=self._batch)

    @cached_property
    def _adapters(self) -> dict[str, Adapter]:
        attached = [self._drafter.attach(directory) for directory in self._adapter_directories]
        return {adapter.name: adapter for adapter in attached}

    def warm_up(self) -> str:
        """Load the model and its adapters, and draft once; what is now ready, in words.

        Raises UnusableCheckpoint and UnusableAdapter.
        """
        adapters = list(self._adapters)
        self._drafter.warm_up()
        identity = self._drafter.identity(self._seed)
        ready = f"{identity.name} {identity.version} on {identity.device}"
        return f"{ready}, adapters {', '.join(adapters)}" if adapters else ready

    def plan(self, case: Case, instances: Sequence[KeptInstance], order: Order | None) -> Plan:
        """What the study is drafted as, by its routing. Raises NotDraftable where the model was not made for it."""
        images = [kept.instance for kept in instances if kept.instance.is_image]
        if not images:
            raise NotDraftable("the study holds no image")
        study = Study.of(instances, order, self._assume_body_part)
        not_covered = self._card.covers(study.modality, study.body_part)
        if not_covered:
            raise NotDraftable(not_covered)
        template, view = self._template(study, case.routing), images[0].view_position
        card, adapter = self._card, case.routing.adapter
        if adapter and adapter not in self._adapters:
            raise NotDraftable(
                f"the rule {case.routing.rule} names the adapter {adapter}, which is not in use any more"
            )
        return Plan(template, study.modality, study.body_part, view, card.most_images, card.most_earlier, adapter)

    def _template(self, study: Study, routing: Routing) -> Template:
        templates = self._templates()
        if routing.template:
            named = next((each for each in templates if each.name == routing.template), None)
            if named is None:
                raise NotDraftable(
                    f"the rule {routing.rule} names the template {routing.template}, which is not in use any more"
                )
            return named
        chosen = choose(templates, study.procedures, study.modality, study.body_part)
        if chosen is None:
            part = study.body_part or "an unnamed body part"
            raise NotDraftable(f"no report template is for {study.modality} of {part}; add one")
        return chosen

    def draft(self, briefs: Sequence[Brief]) -> list[DraftText | Exception]:
        """The texts around what was dictated, in one batch; what goes wrong with one stands in its place.

        That is NotDraftable where the phrases cannot all stand in the report.
        """
        return [_in_our_words(result) for result in self._drafter.draft_all([self._wish(brief) for brief in briefs])]

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
        (result,) = self._drafter.draft_all([wish], on_frame, frame_seconds=FRAME_SECONDS)
        if isinstance(result, Cancelled):
            return None
        if isinstance(result, Exception):
            raise _in_our_words(result)
        return result

    def _wish(self, brief: Brief) -> Wish:
        plan = brief.plan
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
            adapter=self._adapters[plan.adapter].name if plan.adapter else None,
        )


def _earlier(priors: Sequence[Prior]) -> tuple[EarlierReport, ...]:
    return tuple(EarlierReport(prior.taken_on, prior.report) for prior in priors if prior.taken_on)


def _in_our_words(result: Result) -> Result | NotDraftable:
    return NotDraftable(str(result)) if isinstance(result, AnchorDoesNotFit | AnchorRefused) else result
