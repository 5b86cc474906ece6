"""What the API answers and takes, as its OpenAPI page tells it: a report, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import Depends, Path
from fastapi.security import APIKeyCookie, HTTPBearer
from pydantic import BaseModel, Field

from model_runtime.draft_text import Author, DraftText, SectionText, Span
from radplug.desk import Desk, Ending, Phrase, spans_of
from radplug.web.words import sureness

PRINTED = r"^[^\x00-\x1f\x7f]*$"  # no control character: neither a database nor a log is to meet one
BIGGEST = 2**31 - 1  # of what a database calls an integer

CasePath = Annotated[
    str, Path(min_length=1, max_length=64, pattern=PRINTED, description="A case's id, or its accession number")
]
Number = Annotated[int, Field(ge=0, le=BIGGEST)]


class Problem(BaseModel):
    detail: str = Field(description="What was found, what was wanted, what to do")


# What any answer may be besides its own, and how a request says who asks.
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is not UTF-8, or otherwise no text"},
    401: {"model": Problem, "description": "Nobody is signed in, or the token is wrong or has ended"},
    403: {"model": Problem, "description": "Whoever asks lacks the right, or the token the scope"},
    404: {"model": Problem, "description": "There is no such case, or no such image of it"},
    409: {"model": Problem, "description": "The case is in another state than the request takes for granted"},
    422: {"model": Problem, "description": "The request cannot be understood or followed"},
    429: {
        "model": Problem,
        "description": "Too many changes, or wrong tokens; Retry-After says how many seconds to wait",
    },
}
WHO = [
    Depends(HTTPBearer(scheme_name="token", description="Made with `radplug token`", auto_error=False)),
    Depends(APIKeyCookie(name="radplug", scheme_name="session", description="Of a browser", auto_error=False)),
]


class SpanAnswer(BaseModel):
    text: str
    by: Author
    confidence: float | None
    sure: str = Field(description="How the page shades it")
    phrase: str | None = Field(description="The id of the pinned phrase that it is")
    image: int | None = Field(description="The number, from 1, of the key image that the words refer to")


class SectionAnswer(BaseModel):
    name: str
    heading: str
    spans: list[SpanAnswer]


class PhraseAnswer(BaseModel):
    id: str
    section: str = Field(description="Empty while the model has not chosen one yet")
    text: str
    accepted: bool = Field(description="The model's own words, which are to stay")


class ConflictAnswer(BaseModel):
    phrase: str = Field(description="A phrase that the model does not see in the images")
    probability: float


class DeskAnswer(BaseModel):
    """A report as it is now, edited or not. Without the scope `reports` its lists are empty."""

    edit: int
    revision: int = Field(description="Grows with every change; an answer with a smaller one has been overtaken")
    version: int = Field(description="Of the draft that it all began with")
    drafting: bool = Field(description="The text between the phrases is drafted anew just now")
    refused: str = Field(description="Why this edit has no text of its own, and will have none")
    undo: bool
    redo: bool
    ending: Ending | None = Field(description="What somebody has done with it; it is a draft all the same")
    offer: int | None = Field(description="A later draft, from late images, that it knows nothing of")
    phrases: list[PhraseAnswer]
    struck: list[str]
    sections: list[SectionAnswer]
    conflicts: list[ConflictAnswer]

    def without_text(self) -> DeskAnswer:
        return self.model_copy(update={"phrases": [], "struck": [], "sections": [], "conflicts": []})


class Kept(BaseModel):
    """A phrase that is kept until there is a draft for it to stand in."""

    stands: Literal["waits for its study", "waits for its draft"]
    case: str | None = Field(description="Its id, once its study has come")


def desk_answer(desk: Desk) -> DeskAnswer:
    edit, text = desk.edit, desk.shown
    return DeskAnswer(
        edit=edit.number,
        revision=desk.revision,
        version=edit.version,
        drafting=edit.text is None and not edit.refused,
        refused=edit.refused,
        undo=desk.undo is not None,
        redo=desk.redo is not None,
        ending=desk.ending,
        offer=desk.offer,
        phrases=[PhraseAnswer(id=p.id, section=p.section, text=p.text, accepted=p.accepted) for p in edit.phrases],
        struck=list(edit.struck),
        sections=section_answers(text, edit.phrases),
        conflicts=conflict_answers(text),
    )


def section_answers(text: DraftText, phrases: Sequence[Phrase] = ()) -> list[SectionAnswer]:
    return [
        SectionAnswer(name=section.name, heading=section.heading, spans=list(_spans(section, phrases)))
        for section in text.sections
    ]


def conflict_answers(text: DraftText) -> list[ConflictAnswer]:
    return [ConflictAnswer(phrase=c.phrase, probability=c.probability) for c in text.anchor_conflicts]


def _spans(section: SectionText, phrases: Sequence[Phrase]) -> Iterator[SpanAnswer]:
    span: Span
    for span, phrase in spans_of(section, phrases):
        yield SpanAnswer(
            text=span.text,
            by=span.kind,
            confidence=span.confidence,
            sure=sureness(span.confidence),
            phrase=phrase,
            image=span.image,
        )
