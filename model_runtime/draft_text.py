"""A finished draft: what was written, by whom, and how sure the writer was. Standard library only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import fmean

from model_runtime.canvas import Code
from model_runtime.checkpoints.model_card import Sampler


class Author(StrEnum):
    MODEL = "model"
    ANCHOR = "anchor"  # the radiologist's own words
    ACCEPTED = "accepted"  # the model's words, which the radiologist has let stand


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive text by one author. A model span is one sentence at most, or the space before an anchor."""

    text: str
    kind: Author
    confidence: float | None = None  # geometric mean of the token probabilities; None where no token was chosen
    image: int | None = None  # the number, from 1, of the image that the words refer to: see references


@dataclass(frozen=True, slots=True)
class SectionText:
    """One section of the report; its heading is not part of its text."""

    name: str
    heading: str
    code: Code
    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Everything that, with the same inputs, gives the same draft again."""

    name: str
    version: str
    fingerprint: str  # sha256 of the checkpoint directory, hexadecimal
    adapter: str | None
    seed: int
    sampler: Sampler
    transformers: str  # library versions
    torch: str
    device: str
    rows: int = 1  # of a denoising step, at least; on a GPU, rounding depends on it


@dataclass(frozen=True, slots=True)
class Confidence:
    """Over the sentences that the model wrote."""

    lowest: float
    mean: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a phrase was put for which no section was named."""

    phrase: str
    section: str
    probability: float  # the model's, over the template's sections


@dataclass(frozen=True, slots=True)
class Conflict:
    """A dictated phrase that the model, shown the images, would not have said."""

    section: str
    phrase: str
    probability: float  # the model's, see second_look


class Why(StrEnum):
    """Why something of the model's does not stand in the draft."""

    OPPOSES = "opposes"  # a dictated phrase: see agreement
    COMPARES = "compares"  # with a study that the model was not given: see comparisons

    @property
    def in_words(self) -> str:
        if self is Why.OPPOSES:
            return "it opposes what was dictated"
        return "it compares with a study that the model was not given"


@dataclass(frozen=True, slots=True)
class Struck:
    """A sentence of the model's, or its part of one, that was taken out."""

    section: str
    text: str
    why: Why = Why.OPPOSES


@dataclass(frozen=True, slots=True)
class DraftText:
    """A report draft, section by section; `steps` counts denoising steps."""

    sections: tuple[SectionText, ...]
    identity: ModelIdentity
    steps: int
    missing: tuple[str, ...] = ()  # required sections that came out without text
    placements: tuple[Placement, ...] = ()
    anchor_conflicts: tuple[Conflict, ...] = ()
    struck: tuple[Struck, ...] = ()

    @property
    def confidence(self) -> Confidence | None:
        """None where the model wrote nothing."""
        known = [s.confidence for section in self.sections for s in section.spans if s.confidence is not None]
        return Confidence(min(known), fmean(known)) if known else None

    def doubtful(self, floor: float) -> bool:
        """Whether the model was less sure than `floor` of any sentence that it wrote."""
        return self.confidence is not None and self.confidence.lowest < floor

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> DraftText:
        """The draft whose `as_json` this is."""
        row = json.loads(text)
        identity = row["identity"]
        return cls(
            sections=tuple(
                SectionText(
                    name=section["name"],
                    heading=section["heading"],
                    code=Code(**section["code"]),
                    spans=tuple(
                        Span(s["text"], Author(s["kind"]), s["confidence"], s.get("image")) for s in section["spans"]
                    ),
                )
                for section in row["sections"]
            ),
            identity=ModelIdentity(**identity | {"sampler": Sampler(**identity["sampler"])}),
            steps=row["steps"],
            missing=tuple(row["missing"]),
            placements=tuple(Placement(**placement) for placement in row["placements"]),
            anchor_conflicts=tuple(Conflict(**conflict) for conflict in row["anchor_conflicts"]),
            struck=tuple(
                Struck(struck["section"], struck["text"], Why(struck.get("why", Why.OPPOSES)))
                for struck in row["struck"]
            ),
        )
