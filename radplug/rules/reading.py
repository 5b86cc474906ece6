"""A text of rules → Rules, or all that is wrong with it: line and reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from dicom_io.study import NOT_IMAGES
from radplug.rules.rule import Rule
from radplug.texts.reading import Fault, bad, validated


@dataclass(frozen=True, slots=True)
class Site:
    """What rules may name."""

    templates: Collection[str]
    models: Mapping[str, Collection[str]]  # the adapters of each; "" is the one of [model]
    destinations: Collection[str]
    callers: Collection[str] | None  # who may send; None: anybody
    called: Collection[str]  # our AE titles
    archives: Collection[str] = ()  # that are asked for earlier studies


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: tuple[Rule, ...] = ()


def parse(text: str, where: str, site: Site) -> tuple[Rule, ...]:
    """The rules of a TOML text in their order; `where` it stands, for people.

    Raises:
        BadText: it cannot be used at this site; all that is wrong with it is named at once.
    """
    rules = validated(_Rules, text, where, "is no key of a rule; see docs/rules.md").rule
    faults = [
        *(
            (("rule", number, *path), reason)
            for number, rule in enumerate(rules)
            for path, reason in _unknown(rule, site)
        ),
        *((("rule", number), reason) for number, reason in _out_of_reach(rules)),
    ]
    if faults:
        raise bad(where, text, faults)
    return rules


def _unknown(rule: Rule, site: Site) -> Iterator[Fault]:
    """What a rule names that the site does not have, so that it could not be followed or no study could fit."""
    named: tuple[tuple[Sequence[str], str, Collection[str], Collection[str] | None], ...] = (
        (["template"], "template", _one(rule.template), site.templates),
        (["model"], "[[further_model]]", _one(rule.model), [*filter(None, site.models)]),
        (["adapter"], f"adapter of {_model(rule)}", _one(rule.adapter), site.models.get(rule.model or "")),
        (["destinations"], "[[pacs]], [[reporting]] or [[fhir]]", rule.destinations or (), site.destinations),
        (
            ["when", "calling_ae_titles"],
            "AE title in listener.calling_ae_titles, so nothing could come from it",
            *(rule.when.calling_ae_titles or (), site.callers),
        ),
        (
            ["when", "called_ae_titles"],
            "AE title of ours, so nothing could be sent to it",
            *(rule.when.called_ae_titles or (), site.called),
        ),
    )
    for path, what, names, known in named:
        for name in names:
            if known is not None and name not in known:
                yield path, f"{name} is no {what}; known: {', '.join(sorted(known)) or 'none'}"
    if rule.priors and not site.archives:
        yield ["priors"], "no [[pacs]] says how earlier studies are fetched from it; set its priors"
    for modality in sorted(NOT_IMAGES.intersection(rule.when.modalities or ())):
        yield ["when", "modalities"], f"{modality} is no modality of images, so no study to draft has it"


def _model(rule: Rule) -> str:
    return f"the further model {rule.model}" if rule.model else "[model]"


def _one(name: str | None) -> tuple[str, ...]:
    return (name,) if name else ()


def _out_of_reach(rules: Sequence[Rule]) -> Iterator[tuple[int, str]]:
    for number, rule in enumerate(rules):
        for earlier in rules[:number]:
            if earlier.name == rule.name:
                yield number, f"an earlier rule is named {rule.name}; cases could not tell which one took them"
            elif earlier.when.covers(rule.when):
                yield number, f"the rule {earlier.name} takes every study that this one is for; put this one before it"
            else:
                continue
            break
