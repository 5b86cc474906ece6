"""Drafts as the API tells them. What whoever asks may not see is null."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field

from radplug.domain import Draft
from radplug.people import Person, Right
from radplug.web.answers import ConflictAnswer, SectionAnswer, conflict_answers, section_answers


class KeyImageAnswer(BaseModel):
    number: int
    sop_class_uid: str
    sop_instance_uid: str
    frame: int
    window: str = Field(description="How its values were made visible")


class StruckAnswer(BaseModel):
    section: str
    text: str
    why: str = Field(description="In words")


class PlacementAnswer(BaseModel):
    phrase: str
    section: str
    probability: float


class ReportAnswer(BaseModel):
    """AI draft, not reviewed."""

    sections: list[SectionAnswer]
    struck: list[StruckAnswer] = Field(description="The model's sentences that were taken out")
    placements: list[PlacementAnswer] = Field(description="Phrases dictated for no section: the model chose one")
    missing: list[str] = Field(description="Sections that came out without text")
    conflicts: list[ConflictAnswer]


class DraftAnswer(BaseModel):
    version: int
    template: str
    drafted_at: datetime
    doubtful: bool
    lowest: float | None
    model: str
    accepted_by: str = Field(description="Who has accepted it as a draft; empty: nobody")
    offered: bool = Field(description="From late images, after somebody had begun: sent only once it is accepted")
    revises: int = Field(description="Version whose text it repeats, for a patient whose data have changed; 0: none")
    compared_with: list[date] | None = Field(
        description="Days of the earlier studies that the model was supplied with. Scope patients"
    )
    key_images: list[KeyImageAnswer] | None = Field(description="What the model was shown. Scope patients")
    report: ReportAnswer | None = Field(description="Scope reports")


def draft_answer(draft: Draft, person: Person) -> DraftAnswer:
    text = draft.text
    report = ReportAnswer(
        sections=section_answers(text),
        struck=[StruckAnswer(section=s.section, text=s.text, why=s.why.in_words) for s in text.struck],
        placements=[
            PlacementAnswer(phrase=p.phrase, section=p.section, probability=p.probability) for p in text.placements
        ],
        missing=list(text.missing),
        conflicts=conflict_answers(text),
    )
    images = [
        KeyImageAnswer(
            number=number,
            sop_class_uid=image.sop_class_uid,
            sop_instance_uid=image.sop_instance_uid,
            frame=image.frame,
            window=str(image.provenance.get("voi", "")),
        )
        for number, image in enumerate(draft.images, 1)
    ]
    return DraftAnswer(
        version=draft.version,
        template=draft.template,
        drafted_at=draft.drafted_at,
        doubtful=draft.doubtful,
        lowest=text.confidence.lowest if text.confidence else None,
        model=f"{text.identity.name} {text.identity.version}",
        accepted_by=draft.accepted_by,
        offered=draft.offered,
        revises=draft.revises,
        compared_with=[p.taken_on for p in draft.priors if p.taken_on] if person.may(Right.PATIENTS) else None,
        key_images=images if person.may(Right.PATIENTS) else None,
        report=report if person.may(Right.REPORTS) else None,
    )
