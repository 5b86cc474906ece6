"""What a rule may ask of a study, and what it may decide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from radplug.domain import Priority
from radplug.priors import PriorRule
from radplug.texts.reading import CodeString, OneLine, wrong

Item = TypeVar("Item")
PriorityName = Literal["stat", "urgent", "routine"]


def _named(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if not items:
        raise wrong("names nothing; leave the key out where any will do")
    return items


AnyOf = Annotated[tuple[Item, ...], AfterValidator(_named)]


def _has_words(text: str) -> str:
    if not words(text):
        raise wrong("holds no word; write words of the description, with * for any letters")
    return text


def words(text: str) -> list[str]:
    """The words of a description, and of what is looked for in one: without case, and without what parts them."""
    return re.findall(r"(?:[^\W_]|\*)+", text.casefold())


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Procedure(_Words):
    value: OneLine
    scheme: str  # empty where codes come without

    def __str__(self) -> str:
        return f"{self.value}^{self.scheme}"  # as HL7 writes it


class When(_Words):
    """A study fits when it has one of everything that is named; None is not asked."""

    calling_ae_titles: AnyOf[OneLine] | None = None
    called_ae_titles: AnyOf[OneLine] | None = None
    modalities: AnyOf[CodeString] | None = None
    body_parts: AnyOf[CodeString] | None = None
    procedures: AnyOf[Procedure] | None = None
    descriptions: AnyOf[Annotated[str, AfterValidator(_has_words)]] | None = None
    older_than_days: Annotated[StrictInt, Field(ge=0)] | None = None
    priorities: AnyOf[PriorityName] | None = None

    @property
    def codes(self) -> list[str] | None:
        return None if self.procedures is None else [*map(str, self.procedures)]

    def in_words(self) -> str:
        """Which studies fit."""
        asked: tuple[tuple[str, Iterable[str] | None], ...] = (
            ("from", self.calling_ae_titles),
            ("sent to", self.called_ae_titles),
            ("of modality", self.modalities),
            ("of body part", self.body_parts),
            ("for procedure", self.codes),
            ("described as", self.descriptions),
            ("of priority", self.priorities),
        )
        told = [f"{what} {' or '.join(items)}" for what, items in asked if items]
        if self.older_than_days is not None:
            told.append(f"older than {self.older_than_days} days")
        return ", ".join(told) or "every study"

    def covers(self, other: When) -> bool:
        """Whether every study that fits `other` fits this one, as far as the words of both tell."""
        for key in type(self).model_fields:
            mine, theirs = getattr(self, key), getattr(other, key)
            if mine is None:
                continue
            if theirs is None or (theirs < mine if isinstance(mine, int) else not set(theirs) <= set(mine)):
                return False
        return True


class Priors(_Words):
    """Which earlier studies of the patient are wanted."""

    most: Annotated[StrictInt, Field(ge=1, le=8)] = 1
    within_days: Annotated[StrictInt, Field(ge=0)] | None = None
    modalities: AnyOf[CodeString] | None = None
    body_parts: AnyOf[CodeString] | None = None

    @property
    def rule(self) -> PriorRule:
        def any_of(codes: tuple[str, ...] | None) -> frozenset[str] | None:
            return None if codes is None else frozenset(codes)

        return PriorRule(self.most, self.within_days, any_of(self.modalities), any_of(self.body_parts))

    def in_words(self) -> str:
        told = [f"compared with up to {self.most} earlier stud{'ies' if self.most > 1 else 'y'}"]
        told += [f"of {' or '.join(codes)}" for codes in (self.modalities, self.body_parts) if codes]
        told += [f"of the last {self.within_days} days"] if self.within_days is not None else []
        return " ".join(told)


HOW = ("model", "adapter", "template", "destinations", "priors")  # it is drafted


class Rule(_Words):
    """A `[[rule]]`: `when` a study fits, the rest is decided for it; what is None is as without rules."""

    name: Annotated[OneLine, Field(max_length=64)]
    when: When = When()
    draft: StrictBool | None = None
    reason: OneLine | None = None
    model: OneLine | None = None
    adapter: OneLine | None = None
    template: OneLine | None = None
    destinations: AnyOf[OneLine] | None = None
    priority: PriorityName | None = None
    priors: Priors | None = None

    @model_validator(mode="after")
    def _decides_something(self) -> Self:
        if self.draft is False and not self.reason:
            raise wrong("says draft = false without a reason; whoever looks for the draft is shown it")
        if self.draft is not False and self.reason:
            raise wrong("has a reason, which is for draft = false only")
        if self.draft is False and (lost := [*filter(self._has, HOW)]):
            raise wrong(f"says draft = false, so there is nothing that {', '.join(lost)} could be for")
        if not any(map(self._has, ("draft", "priority", *HOW))):
            raise wrong("decides nothing; say draft = true where its studies are drafted as without rules")
        return self

    def _has(self, key: str) -> bool:
        return getattr(self, key) is not None

    @property
    def new_priority(self) -> Priority | None:
        return Priority[self.priority.upper()] if self.priority else None

    def in_words(self) -> str:
        """What it decides."""
        told = [f"not drafted: {self.reason}"] if self.draft is False else ["drafted", *self._how()]
        return ", ".join([*told, *([f"shown as {self.priority}"] if self.priority else [])])

    def _how(self) -> Iterator[str]:
        if self.template:
            yield f"on the template {self.template}"
        if self.model:
            yield f"by the model {self.model}"
        if self.adapter:
            yield f"with the adapter {self.adapter}"
        if self.destinations:
            yield f"for {', '.join(self.destinations)} alone"
        if self.priors:
            yield self.priors.in_words()
