"""Reports in words: several ways to say each finding, chosen anew for each report. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from model_runtime.findings import SIDES, Facts

FINDINGS, IMPRESSION = "FINDINGS", "IMPRESSION"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the findings that it decides, present or absent."""

    text: str
    about: frozenset[str] = frozenset()


_CONSOLIDATION = (
    "There is consolidation in the {side} {zone} zone.",
    "Airspace opacity in the {side} {zone} zone.",
    "Patchy {side} {zone} zone consolidation is seen.",
    "The {side} {zone} zone shows consolidation with air bronchograms.",
)
_NODULE = (
    "A small nodule projects over the {side} {zone} zone.",
    "There is a solitary nodule in the {side} {zone} zone.",
    "Rounded nodular opacity in the {side} {zone} zone.",
    "{Side} {zone} zone pulmonary nodule.",
)
_LUNGS_CLEAR = (
    "The lungs are clear.",
    "Both lungs are clear.",
    "No focal consolidation or nodule.",
    "Clear lungs without focal opacity.",
)
_NO_CONSOLIDATION = ("No focal consolidation.", "No consolidation is seen.", "There is no airspace opacity.")
_NO_NODULE = ("No pulmonary nodule.", "No nodule is seen.", "There is no pulmonary nodule.")
_LUNG_CLEAR = ("The {side} lung is clear.", "No focal opacity in the {side} lung.")

_NO_CONSOLIDATION_HERE = ("No consolidation in the {side} lung.",)
_NO_NODULE_HERE = ("No nodule in the {side} lung.",)

_EFFUSION = (
    "{Size} {side} pleural effusion.",
    "There is a {size} pleural effusion on the {side}.",
    "A {size} {side} effusion is present.",
    "{Size} effusion at the {side} base.",
)
_EFFUSIONS = (
    "{Size} bilateral pleural effusions.",
    "There are {size} pleural effusions on both sides.",
    "{Size} effusions at both bases.",
)
_PNEUMOTHORAX = (
    "There is a {side} pneumothorax.",
    "{Side} apical pneumothorax.",
    "A pneumothorax is present on the {side}.",
)
_PNEUMOTHORACES = ("Bilateral pneumothoraces.", "There are pneumothoraces on both sides.")
_PLEURA_CLEAR = (
    "No pleural effusion or pneumothorax.",
    "The pleural spaces are clear.",
    "No pneumothorax or effusion is seen.",
)
_NO_EFFUSION = ("No pleural effusion.", "There is no effusion.", "No pleural effusion is seen.")
_NO_PNEUMOTHORAX = ("No pneumothorax.", "There is no pneumothorax.", "No pneumothorax is seen.")
_NO_EFFUSION_HERE = ("No {side} pleural effusion.", "No effusion on the {side}.")
_NO_PNEUMOTHORAX_HERE = ("No {side} pneumothorax.", "No pneumothorax on the {side}.")

_HEART = {
    "normal": (
        "Heart size is normal.",
        "The cardiac silhouette is normal in size.",
        "The heart is not enlarged.",
        "Normal cardiac contours.",
    ),
    "mild": (
        "Mild cardiomegaly.",
        "The heart is mildly enlarged.",
        "Mildly enlarged cardiac silhouette.",
        "There is mild cardiomegaly.",
    ),
    "marked": (
        "Marked cardiomegaly.",
        "The heart is markedly enlarged.",
        "Markedly enlarged cardiac silhouette.",
        "There is marked cardiomegaly.",
    ),
}
_TUBE = (
    "An endotracheal tube is in place.",
    "Endotracheal tube with its tip above the carina.",
    "The endotracheal tube projects over the trachea.",
)
_LINE = (
    "A {side} central venous line is in place.",
    "{Side} central venous catheter with its tip in the superior vena cava.",
    "A central line enters from the {side}.",
)
_NO_DEVICES = ("No lines or tubes.", "No support devices.", "No endotracheal tube or central line.")
_NO_TUBE = ("No endotracheal tube.", "There is no endotracheal tube.")
_NO_LINE = ("No central venous line.", "There is no central line.")
_OTHER = (
    "The bones are unremarkable.",
    "No acute bony abnormality.",
    "Visualized osseous structures are intact.",
    "The mediastinal contours are unremarkable.",
)

_SAID_IN_SHORT = {
    "consolidation": (
        "{Side} {zone} zone pneumonia.",
        "{Side} {zone} zone consolidation, likely pneumonia.",
        "Consolidation in the {side} {zone} zone.",
    ),
    "nodule": (
        "{Side} {zone} zone nodule.",
        "{Side} {zone} zone nodule, CT is recommended.",
        "Nodule in the {side} {zone} zone, follow up advised.",
    ),
    "effusion": ("{Size} {side} pleural effusion.", "{Size} {side} effusion.", "{Size} effusion on the {side}."),
    "effusions": ("{Size} bilateral effusions.", "{Size} bilateral pleural effusions."),
    "pneumothorax": ("{Side} pneumothorax.", "Pneumothorax on the {side}."),
    "pneumothoraces": ("Bilateral pneumothoraces.",),
    "mild": ("Mild cardiomegaly.", "Mildly enlarged heart."),
    "marked": ("Marked cardiomegaly.", "Markedly enlarged heart."),
    "tube": ("Endotracheal tube in place.",),
    "line": ("{Side} central line in place.",),
}
_NOTHING = (
    "No acute cardiopulmonary abnormality.",
    "No acute cardiopulmonary process.",
    "No acute disease in the chest.",
    "No acute findings.",
)


_EVERY_PHRASE = (
    *_CONSOLIDATION,
    *_NODULE,
    *_LUNGS_CLEAR,
    *_NO_CONSOLIDATION,
    *_NO_NODULE,
    *_LUNG_CLEAR,
    *_NO_CONSOLIDATION_HERE,
    *_NO_NODULE_HERE,
    *_EFFUSION,
    *_EFFUSIONS,
    *_PNEUMOTHORAX,
    *_PNEUMOTHORACES,
    *_PLEURA_CLEAR,
    *_NO_EFFUSION,
    *_NO_PNEUMOTHORAX,
    *_NO_EFFUSION_HERE,
    *_NO_PNEUMOTHORAX_HERE,
    *_TUBE,
    *_LINE,
    *_NO_DEVICES,
    *_NO_TUBE,
    *_NO_LINE,
    *_OTHER,
    *_NOTHING,
    *(phrase for phrases in _HEART.values() for phrase in phrases),
    *(phrase for phrases in _SAID_IN_SHORT.values() for phrase in phrases),
)


# On one side, and on both.
_DENIALS = {
    "effusion": (_NO_EFFUSION_HERE, _NO_EFFUSION),
    "pneumothorax": (_NO_PNEUMOTHORAX_HERE, _NO_PNEUMOTHORAX),
    "consolidation": (_NO_CONSOLIDATION_HERE, _NO_CONSOLIDATION),
    "nodule": (_NO_NODULE_HERE, _NO_NODULE),
}


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
        here, anywhere = _DENIALS[kind]
        if all(facts.of(kind, each) == "none" for each in SIDES) and rng.random() < 0.6:
            return _say(anywhere, rng, _sides(kind))
        return _say(here, rng, {finding}, side=side)
    return _say({"heart": _HEART["normal"], "endotracheal_tube": _NO_TUBE, "central_line": _NO_LINE}[kind], rng, {kind})


def _lungs(facts: Facts, rng: Random) -> list[Sentence]:
    said = []
    for finding, ways in (("consolidation", _CONSOLIDATION), ("nodule", _NODULE)):
        for side in SIDES:
            if (zone := facts.of(finding, side)) != "none":
                said.append(_say(ways, rng, {f"{finding}_{side}"}, side=side, zone=zone))
    if not said:
        return [_say(_LUNGS_CLEAR, rng, _sides("consolidation") | _sides("nodule"))]
    if rng.random() < 0.25:
        for side in SIDES:
            about = {f"consolidation_{side}", f"nodule_{side}"}
            if all(getattr(facts, finding) == "none" for finding in about):
                said.append(_say(_LUNG_CLEAR, rng, about, side=side))
    elif rng.random() < 0.4:
        for finding, phrases in (("consolidation", _NO_CONSOLIDATION), ("nodule", _NO_NODULE)):
            if all(facts.of(finding, side) == "none" for side in SIDES):
                said.append(_say(phrases, rng, _sides(finding)))
    return said


def _pleura(facts: Facts, rng: Random) -> list[Sentence]:
    effusions = _each_side(facts, rng, "effusion", _EFFUSION, _EFFUSIONS)
    pneumothoraces = _each_side(facts, rng, "pneumothorax", _PNEUMOTHORAX, _PNEUMOTHORACES)
    if not effusions and not pneumothoraces:
        return [_say(_PLEURA_CLEAR, rng, _sides("effusion") | _sides("pneumothorax"))]
    denied = []
    if rng.random() < 0.4:
        if not effusions:
            denied.append(_say(_NO_EFFUSION, rng, _sides("effusion")))
        if not pneumothoraces:
            denied.append(_say(_NO_PNEUMOTHORAX, rng, _sides("pneumothorax")))
    elif rng.random() < 0.2:
        for finding, phrases in (("effusion", _NO_EFFUSION_HERE), ("pneumothorax", _NO_PNEUMOTHORAX_HERE)):
            absent = [side for side in SIDES if facts.of(finding, side) == "none"]
            if len(absent) == 1:
                denied.append(_say(phrases, rng, {f"{finding}_{absent[0]}"}, side=absent[0]))
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
    return [_say(_HEART[facts.heart], rng, {"heart"})]


def _devices(facts: Facts, rng: Random) -> list[Sentence]:
    said = []
    if facts.endotracheal_tube != "none":
        said.append(_say(_TUBE, rng, {"endotracheal_tube"}))
    if facts.central_line != "none":
        said.append(_say(_LINE, rng, {"central_line"}, side=facts.central_line))
    if not said and rng.random() < 0.4:
        said.append(_say(_NO_DEVICES, rng, {"endotracheal_tube", "central_line"}))
    if rng.random() < 0.4:
        said.append(_say(_OTHER, rng))
    return said


def _impression(facts: Facts, rng: Random) -> list[Sentence]:
    short, said = _SAID_IN_SHORT, []
    for finding in ("consolidation", "nodule"):
        for side in SIDES:
            if (zone := facts.of(finding, side)) != "none":
                said.append(_say(short[finding], rng, {f"{finding}_{side}"}, side=side, zone=zone))
    said += _each_side(facts, rng, "effusion", short["effusion"], short["effusions"])
    said += _each_side(facts, rng, "pneumothorax", short["pneumothorax"], short["pneumothoraces"])
    if facts.heart != "normal":
        said.append(_say(short[facts.heart], rng, {"heart"}))
    if not said:
        said.append(_say(_NOTHING, rng))
    if facts.endotracheal_tube != "none" and rng.random() < 0.3:
        said.append(_say(short["tube"], rng, {"endotracheal_tube"}))
    if facts.central_line != "none" and rng.random() < 0.3:
        said.append(_say(short["line"], rng, {"central_line"}, side=facts.central_line))
    return said


def _sides(finding: str) -> frozenset[str]:
    return frozenset(f"{finding}_{side}" for side in SIDES)


def _say(
    phrases: tuple[str, ...],
    rng: Random,
    about: set[str] | frozenset[str] = frozenset(),
    *,
    side: str = "",
    zone: str = "",
    size: str = "",
) -> Sentence:
    text = rng.choice(phrases)
    words = {"side": side, "Side": side.capitalize(), "zone": zone, "size": size, "Size": size.capitalize()}
    return Sentence(text.format(**words), frozenset(about))


def every_sentence() -> frozenset[str]:
    """All that a report can say; anything else in a draft is garbled."""
    return frozenset(
        phrase.format(side=side, Side=side.capitalize(), zone=zone, size=size, Size=size.capitalize())
        for phrase in _EVERY_PHRASE
        for side in SIDES
        for zone in ("upper", "mid", "lower")
        for size in ("small", "large")
    )
