"""Reports in words, chosen anew for each report. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from model_runtime.findings import SIDES, Facts
from model_runtime.phantoms import phrases

FINDINGS, IMPRESSION = "FINDINGS", "IMPRESSION"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the findings that it decides, present or absent."""

    text: str
    about: frozenset[str] = frozenset()


def compose(facts: Facts, rng: Random) -> dict[str, list[Sentence]]:
    """A report that says what the facts are: the sections' sentences in a radiologist's order."""
    return {
        FINDINGS: [*_lungs(facts, rng), *_pleura(facts, rng), *_heart(facts, rng), *_devices(facts, rng)],
        IMPRESSION: _impression(facts, rng),
    }


def absence(finding: str, facts: Facts, rng: Random) -> Sentence:
    """A sentence that denies a finding which `facts` have as normal, and denies nothing else."""
    kind, _, side = finding.rpartition("_") if finding.endswith(SIDES) else (finding, "", "")
    if side:
        here, anywhere = phrases.DENIALS[kind]
        if all(facts.of(kind, each) == "none" for each in SIDES) and rng.random() < 0.6:
            return _say(anywhere, rng, _sides(kind))
        return _say(here, rng, {finding}, side=side)
    return _say(
        {"heart": phrases.HEART["normal"], "endotracheal_tube": phrases.NO_TUBE, "central_line": phrases.NO_LINE}[kind],
        rng,
        {kind},
    )


def _lungs(facts: Facts, rng: Random) -> list[Sentence]:
    said = []
    for finding, ways in (("consolidation", phrases.CONSOLIDATION), ("nodule", phrases.NODULE)):
        for side in SIDES:
            if (zone := facts.of(finding, side)) != "none":
                said.append(_say(ways, rng, {f"{finding}_{side}"}, side=side, zone=zone))
    if not said:
        return [_say(phrases.LUNGS_CLEAR, rng, _sides("consolidation") | _sides("nodule"))]
    if rng.random() < 0.25:
        for side in SIDES:
            about = {f"consolidation_{side}", f"nodule_{side}"}
            if all(getattr(facts, finding) == "none" for finding in about):
                said.append(_say(phrases.LUNG_CLEAR, rng, about, side=side))
    elif rng.random() < 0.4:
        for finding, denials in (("consolidation", phrases.NO_CONSOLIDATION), ("nodule", phrases.NO_NODULE)):
            if all(facts.of(finding, side) == "none" for side in SIDES):
                said.append(_say(denials, rng, _sides(finding)))
    return said


def _pleura(facts: Facts, rng: Random) -> list[Sentence]:
    effusions = _each_side(facts, rng, "effusion", phrases.EFFUSION, phrases.EFFUSIONS)
    pneumothoraces = _each_side(facts, rng, "pneumothorax", phrases.PNEUMOTHORAX, phrases.PNEUMOTHORACES)
    if not effusions and not pneumothoraces:
        return [_say(phrases.PLEURA_CLEAR, rng, _sides("effusion") | _sides("pneumothorax"))]
    denied = []
    if rng.random() < 0.4:
        if not effusions:
            denied.append(_say(phrases.NO_EFFUSION, rng, _sides("effusion")))
        if not pneumothoraces:
            denied.append(_say(phrases.NO_PNEUMOTHORAX, rng, _sides("pneumothorax")))
    elif rng.random() < 0.2:
        for finding, ways in (
            ("effusion", phrases.NO_EFFUSION_HERE),
            ("pneumothorax", phrases.NO_PNEUMOTHORAX_HERE),
        ):
            absent = [side for side in SIDES if facts.of(finding, side) == "none"]
            if len(absent) == 1:
                denied.append(_say(ways, rng, {f"{finding}_{absent[0]}"}, side=absent[0]))
    return [*effusions, *pneumothoraces, *denied]


def _each_side(facts: Facts, rng: Random, finding: str, one: tuple[str, ...], both: tuple[str, ...]) -> list[Sentence]:
    right, left = (facts.of(finding, side) for side in SIDES)
    if right == left != "none" and rng.random() < 0.5:
        return [_say(both, rng, _sides(finding), size=right)]
    return [
        _say(one, rng, {f"{finding}_{side}"}, side=side, size=value)
        for side, value in zip(SIDES, (right, left), strict=True)
        if value != "none"
    ]


def _heart(facts: Facts, rng: Random) -> list[Sentence]:
    return [_say(phrases.HEART[facts.heart], rng, {"heart"})]


def _devices(facts: Facts, rng: Random) -> list[Sentence]:
    said = []
    if facts.endotracheal_tube != "none":
        said.append(_say(phrases.TUBE, rng, {"endotracheal_tube"}))
    if facts.central_line != "none":
        said.append(_say(phrases.LINE, rng, {"central_line"}, side=facts.central_line))
    if not said and rng.random() < 0.4:
        said.append(_say(phrases.NO_DEVICES, rng, {"endotracheal_tube", "central_line"}))
    if rng.random() < 0.4:
        said.append(_say(phrases.OTHER, rng))
    return said


def _impression(facts: Facts, rng: Random) -> list[Sentence]:
    short, said = phrases.SAID_IN_SHORT, []
    for finding in ("consolidation", "nodule"):
        for side in SIDES:
            if (zone := facts.of(finding, side)) != "none":
                said.append(_say(short[finding], rng, {f"{finding}_{side}"}, side=side, zone=zone))
    said += _each_side(facts, rng, "effusion", short["effusion"], short["effusions"])
    said += _each_side(facts, rng, "pneumothorax", short["pneumothorax"], short["pneumothoraces"])
    if facts.heart != "normal":
        said.append(_say(short[facts.heart], rng, {"heart"}))
    if not said:
        said.append(_say(phrases.NOTHING, rng))
    if facts.endotracheal_tube != "none" and rng.random() < 0.3:
        said.append(_say(short["tube"], rng, {"endotracheal_tube"}))
    if facts.central_line != "none" and rng.random() < 0.3:
        said.append(_say(short["line"], rng, {"central_line"}, side=facts.central_line))
    return said


def _sides(finding: str) -> frozenset[str]:
    return frozenset(f"{finding}_{side}" for side in SIDES)


def _say(
    ways: tuple[str, ...],
    rng: Random,
    about: set[str] | frozenset[str] = frozenset(),
    *,
    side: str = "",
    zone: str = "",
    size: str = "",
) -> Sentence:
    text = rng.choice(ways)
    words = {"side": side, "Side": side.capitalize(), "zone": zone, "size": size, "Size": size.capitalize()}
    return Sentence(text.format(**words), frozenset(about))


def every_sentence() -> frozenset[str]:
    """All that a report can say; anything else in a draft is garbled."""
    return frozenset(
        phrase.format(side=side, Side=side.capitalize(), zone=zone, size=size, Size=size.capitalize())
        for phrase in phrases.EVERY_PHRASE
        for side in SIDES
        for zone in ("upper", "mid", "lower")
        for size in ("small", "large")
    )
