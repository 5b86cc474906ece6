"""Which rule takes a study: they are asked from top to bottom, and the first that fits decides alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

from radplug.domain import NO_RULE, Routing
from radplug.rules.rule import Rule, When, words
from radplug.rules.study import Study


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule says to a study."""

    rule: Rule
    misfits: tuple[str, ...]  # why it does not take it, in words

    @property
    def takes(self) -> bool:
        return not self.misfits


def decide(rules: Sequence[Rule], study: Study, today: date) -> Routing:
    """What the rules say of the study; where none takes it, that is nothing."""
    rule = next((answer.rule for answer in ask(rules, study, today) if answer.takes), None)
    if rule is None:
        return NO_RULE
    return Routing(
        rule=rule.name,
        not_drafted=rule.reason or "",
        template=rule.template or "",
        model=rule.model or "",
        adapter=rule.adapter or "",
        destinations=rule.destinations,
        priority=rule.new_priority,
        priors=rule.priors.rule if rule.priors else None,
    )


def ask(rules: Sequence[Rule], study: Study, today: date) -> Iterator[Answer]:
    """The answers of the rules up to, and with, the first that takes the study."""
    for rule in rules:
        answer = Answer(rule, tuple(misfits(rule.when, study, today)))
        yield answer
        if answer.takes:
            return


def misfits(when: When, study: Study, today: date) -> Iterator[str]:
    """What a study has that is not what is asked for."""
    wanted: tuple[tuple[str, Iterable[str], Iterable[str] | None], ...] = (
        ("its calling AE title is", study.calling_ae_titles, when.calling_ae_titles),
        ("its called AE title is", study.called_ae_titles, when.called_ae_titles),
        ("its modality is", [study.modality], when.modalities),
        ("its body part is", [study.body_part], when.body_parts),
        ("its priority is", [study.priority.name.lower()], when.priorities),
        ("its procedure is", map("^".join, study.procedures), when.codes),
    )
    for what, has, asked in wanted:
        has = sorted(filter(None, has))
        if asked is not None and not set(has) & set(asked):
            yield f"{what} {', '.join(has) or 'not told'}, wanted is {' or '.join(asked)}"
    if when.descriptions and not any(
        _holds(text, sought) for text in study.descriptions for sought in when.descriptions
    ):
        told = ", ".join(f'"{text}"' for text in study.descriptions) or "nothing"
        yield f"its descriptions say {told}, wanted is {' or '.join(when.descriptions)}"
    if when.older_than_days is not None:
        age = (today - study.taken_on).days if study.taken_on else None
        if age is None or age <= when.older_than_days:
            told = "not told" if age is None else f"{age} days"
            yield f"its age is {told}, wanted is more than {when.older_than_days}"


def _holds(text: str, sought: str) -> bool:
    """Whether the words stand in the text, next to each other and in this order; * stands for any letters."""
    has, wanted = words(text.replace("*", " ")), words(sought)
    places = range(len(has) - len(wanted) + 1)
    return any(all(map(fnmatchcase, has[place:], wanted)) for place in places)
