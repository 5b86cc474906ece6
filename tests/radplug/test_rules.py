"""Routing rules: which one takes a study, what it decides, and what is said of a file that cannot be used."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from received_images import image

from dicom_io.study import Instance
from hl7.orders import Order
from radplug.domain import NO_RULE, KeptInstance, Priority, Routing
from radplug.priors import PriorRule
from radplug.rules import Rule, Site, Study, ask, decide, read_file
from radplug.rules.reading import parse
from radplug.rules.rule import When
from radplug.texts.reading import BadText, UnusableText

SITE = Site(
    templates={"ct-chest"},
    models={"": {"chest"}, "chest-ct": {"nodules"}},
    destinations={"pacs", "ris"},
    callers={"CT1", "CT2"},
    called={"RADPLUG", "RADPLUG_ER"},
    archives={"pacs"},
)
TODAY = date(2026, 11, 24)
STUDY = Study(
    modality="CT",
    body_part="CHEST",
    procedures=(("CTPA", "99HOSP"), ("36643-5", "LN")),
    descriptions=("CT^THORAX_LOW-DOSE", "T2* lung 1.0"),
    taken_on=TODAY - timedelta(days=30),
    priority=Priority.URGENT,
    calling_ae_titles=frozenset({"CT1"}),
    called_ae_titles=frozenset({"RADPLUG"}),
)


def rules_of(toml: str) -> tuple[Rule, ...]:
    return parse(toml, "rules.toml", SITE)


# ── which one ──


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ("", True),
        ('calling_ae_titles = ["CT2", "CT1"]', True),
        ('calling_ae_titles = ["CT2"]', False),
        ('called_ae_titles = ["RADPLUG"]', True),
        ('called_ae_titles = ["RADPLUG_ER"]', False),
        ('modalities = [" ct "]', True),
        ('modalities = ["MR"]', False),
        ('body_parts = ["ABDOMEN", "chest"]', True),
        ('body_parts = ["ABDOMEN"]', False),
        ('procedures = [{ value = "36643-5", scheme = "LN" }]', True),
        ('procedures = [{ value = "36643-5", scheme = "99HOSP" }]', False),
        ('descriptions = ["thorax low dose"]', True),
        ('descriptions = ["dose thorax"]', False),  # in this order
        ('descriptions = ["thorax dose"]', False),  # next to each other
        ('descriptions = ["thor"]', False),  # whole words
        ('descriptions = ["thor*"]', True),
        ('descriptions = ["head", "*ung"]', True),
        ('descriptions = ["low dose t2"]', False),  # in one description
        ('descriptions = ["T2* lung"]', True),
        ("older_than_days = 29", True),
        ("older_than_days = 30", False),
        ('priorities = ["stat", "urgent"]', True),
        ('priorities = ["routine"]', False),
    ],
)
def test_a_study_fits_what_is_asked_or_is_told_why_not(asked: str, fits: bool) -> None:
    rules = rules_of(f'[[rule]]\nname = "one"\ndraft = true\n{"when." * bool(asked)}{asked}')
    (answer,) = ask(rules, STUDY, TODAY)
    assert answer.takes is fits
    assert len(answer.misfits) == (not fits)


def test_everything_that_is_asked_must_fit_and_all_that_does_not_is_told() -> None:
    toml = 'when = { modalities = ["CT"], body_parts = ["HEAD"], older_than_days = 90, priorities = ["stat"] }'
    (answer,) = ask(rules_of(f'[[rule]]\nname = "one"\ndraft = true\n{toml}'), STUDY, TODAY)
    assert answer.misfits == (
        "its body part is CHEST, wanted is HEAD",
        "its priority is urgent, wanted is stat",
        "its age is 30 days, wanted is more than 90",
    )


def test_what_a_study_does_not_tell_fits_nothing() -> None:
    toml = """
when.calling_ae_titles = ["CT1"]
when.modalities = ["CT"]
when.body_parts = ["CHEST"]
when.procedures = [{ value = "CTPA", scheme = "" }]
when.descriptions = ["*"]
when.older_than_days = 0
"""
    (answer,) = ask(rules_of(f'[[rule]]\nname = "one"\ndraft = true\n{toml}'), Study("", ""), TODAY)
    assert len(answer.misfits) == 6


FOUR = """
[[rule]]
name = "old"
when.older_than_days = 365
draft = false
reason = "too old"

[[rule]]
name = "angiograms"
when.procedures = [{ value = "CTPA", scheme = "99HOSP" }]
adapter = "chest"
template = "ct-chest"
destinations = ["ris"]
priority = "stat"

[[rule]]
name = "CT"
when.modalities = ["CT"]
draft = true

[[rule]]
name = "others"
draft = false
reason = "not here"
"""


def test_the_first_that_fits_decides_alone() -> None:
    rules = rules_of(FOUR)
    assert decide(rules, STUDY, TODAY) == Routing(
        "angiograms", template="ct-chest", adapter="chest", destinations=("ris",), priority=Priority.STAT
    )
    assert decide(rules, replace(STUDY, procedures=()), TODAY) == Routing("CT")
    assert decide(rules, replace(STUDY, taken_on=date(2020, 2, 29)), TODAY) == Routing("old", "too old")
    assert decide(rules, Study("", ""), TODAY) == Routing("others", "not here")
    assert decide(rules[:3], Study("", ""), TODAY) == NO_RULE
    assert [(answer.rule.name, answer.takes) for answer in ask(rules, STUDY, TODAY)] == [
        *(("old", False), ("angiograms", True))
    ]


def takes(when: When, study: Study) -> bool:
    (answer,) = ask([Rule.model_construct(name="one", when=when)], study, TODAY)
    return answer.takes


some = st.lists(st.sampled_from("ABC"), min_size=1).map(tuple) | st.none()
whens = st.builds(
    When.model_construct,
    modalities=some,
    body_parts=some,
    older_than_days=st.integers(0, 3) | st.none(),
    priorities=st.none(),
)


@given(
    whens,
    whens,
    st.builds(
        Study, st.sampled_from("ABC"), st.sampled_from("ABC"), taken_on=st.dates(TODAY - timedelta(days=5), TODAY)
    ),
)
def test_what_a_covered_rule_takes_the_one_before_it_takes(earlier: When, later: When, study: Study) -> None:
    if earlier.covers(later) and takes(later, study):
        assert takes(earlier, study)


@example("*a" * 30 + "b", "a" * 5000)
@given(st.text(min_size=1), st.text())
def test_no_description_and_no_pattern_takes_long_or_fails(sought: str, description: str) -> None:
    assert takes(When.model_construct(descriptions=(sought,)), replace(STUDY, descriptions=(description,))) in (
        True,
        False,
    )


# ── facts of a study ──


def kept(*images: Instance) -> list[KeptInstance]:
    return [KeptInstance(each, "", "CT1", "RADPLUG") for each in images]


def test_a_study_is_what_its_images_and_its_order_tell() -> None:
    one = image(study_date="20261101", study_description="CT Thorax", series_description="lung", body_part="")
    two = image(modality="PT", series_description="lung", procedure_code=("1", "L", "PET"), body_part="ABDOMEN")
    report = image(modality="SR", has_pixels=False, series_description="Report")
    order = Order("A1", procedure_code=("CT7", "99", "CT"), priority="S")
    assert Study.of(kept(report, one, two), order, "") == Study(
        modality="DX",
        body_part="ABDOMEN",
        procedures=(("CT7", "99"), ("1", "L")),
        descriptions=("CT Thorax", "lung"),
        taken_on=date(2026, 11, 1),
        priority=Priority.STAT,
        calling_ae_titles=frozenset({"CT1"}),
        called_ae_titles=frozenset({"RADPLUG"}),
    )


@pytest.mark.parametrize("written", ["", "20261301", "2026", "tomorrow"])
def test_a_study_without_a_date_has_no_age(written: str) -> None:
    assert Study.of(kept(image(study_date=written)), None, "").taken_on is None


# ── files ──


def told(toml: str) -> list[str]:
    with pytest.raises(BadText) as caught:
        rules_of(toml)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("toml", "line", "reason"),
    [
        ('name = "a"\ndraft = 1', 3, "rule.draft: Input should be a valid boolean"),
        ('draft = true', 1, "rule.name: is missing"),
        ('name = " "\ndraft = true', 2, "rule.name: is empty"),
        ('name = "a"\nmodell = "b"', 3, "rule.modell: is no key of a rule; see docs/rules.md"),
        ('name = "a"\nmodel = "b"', 3, "rule.model: b is no [[further_model]]; known: chest-ct"),
        ('name = "a"\ndraft = true\nwhen.modality = ["CT"]', 4, "rule.when.modality: is no key of a rule"),
        ('name = "a"\ndraft = true\nwhen.modalities = []', 4, "names nothing; leave the key out where any will do"),
        ('name = "a"\ndraft = true\nwhen.modalities = ["C-T"]', 4, "holds what is no DICOM code"),
        ('name = "a"\ndraft = true\nwhen.modalities = ["CT", "SR"]', 4, "SR is no modality of images"),
        ('name = "a"\ndraft = true\nwhen.descriptions = ["^_"]', 4, "holds no word"),
        ('name = "a"\ndraft = true\nwhen.older_than_days = -1', 4, "greater than or equal to 0"),
        ('name = "a"\ndraft = true\nwhen.older_than_days = "30"', 4, "valid integer"),
        ('name = "a"\ndraft = true\nwhen.priorities = ["high"]', 4, "'stat', 'urgent' or 'routine'"),
        ('name = "a"\ndraft = true\nwhen.procedures = [{ value = "A" }]', 4, "rule.when.procedures.scheme: is missing"),
        ('name = "a"\ndraft = true\nwhen.calling_ae_titles = ["CT3"]', 4, "could come from it; known: CT1, CT2"),
        ('name = "a"\ndraft = true\nwhen.called_ae_titles = ["X"]', 4, "could be sent to it; known: RADPLUG, "),
        ('name = "a"\n\ntemplate = "head"', 4, "rule.template: head is no template; known: ct-chest"),
        ('name = "a"\nadapter = "head"', 3, "rule.adapter: head is no adapter of [model]; known: chest"),
        ('name = "a"\nmodel = "chest-ct"\nadapter = "chest"', 4, "of the further model chest-ct; known: nodules"),
        ('name = "a"\ndestinations = ["ris", "pax"]', 3, "[[reporting]] or [[fhir]]; known: pacs, ris"),
        ('name = "a"', 1, "decides nothing"),
        ('name = "a"\ndraft = false', 1, "says draft = false without a reason"),
        ('name = "a"\nreason = "no"\npriority = "stat"', 1, "has a reason, which is for draft = false only"),
        ('name = "a"\ndraft = false\nreason = "no"\nadapter = "chest"', 1, "nothing that adapter could be for"),
        ('name = "a', 2, "Unterminated string"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(toml: str, line: int, reason: str) -> None:
    (mistake,) = told(f"[[rule]]\n{toml}")
    assert mistake.startswith(f"rules.toml, line {line}: ")
    assert reason in mistake


def test_all_mistakes_are_told_at_once_in_their_order() -> None:
    lines = told('[[rule]]\nname = "a"\nadapter = "x"\ntemplate = "y"\n\n[[rule]]\nname = "a"\ndraft = true\n')
    assert [line.split(": ")[0] for line in lines] == [f"rules.toml, line {number}" for number in (3, 4, 6)]


@pytest.mark.parametrize(
    ("earlier", "later", "reached"),
    [
        ("", 'when.modalities = ["CT"]', False),
        ('when.modalities = ["CT", "MR"]', 'when.modalities = ["CT"]\nwhen.body_parts = ["HEAD"]', False),
        ('when.modalities = ["CT"]', 'when.modalities = ["CT", "MR"]', True),
        ('when.modalities = ["CT"]', 'when.body_parts = ["HEAD"]', True),
        ("when.older_than_days = 30", "when.older_than_days = 60", False),
        ("when.older_than_days = 60", "when.older_than_days = 30", True),
    ],
)
def test_a_rule_that_is_never_reached_is_refused(earlier: str, later: str, reached: bool) -> None:
    toml = f'[[rule]]\nname = "first"\ndraft = true\n{earlier}\n[[rule]]\nname = "second"\npriority = "stat"\n{later}'
    if reached:
        assert len(rules_of(toml)) == 2
    else:
        (mistake,) = told(toml)
        assert "the rule first takes every study that this one is for; put this one before it" in mistake


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableText, match="cannot be read"):
        read_file(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes('[[rule]]\nname = "ä"'.encode("latin-1"))
    with pytest.raises(BadText, match=r"line 2: .* UTF-8"):
        read_file(tmp_path / "latin.toml")


def test_the_documents_rules_can_be_used_and_name_every_key() -> None:
    document = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    sample = next(block for block in document.split("```") if block.startswith("toml\n# rules.toml"))
    site = replace(SITE, templates={"embolism"}, models={"": {"ct-chest"}, "chest-ct": {"ct-chest"}}, callers=None)
    assert len(parse(sample.removeprefix("toml\n"), "docs/rules.md", site)) == len(tomllib.loads(sample[5:])["rule"])
    for key in (*(f"when.{name}" for name in When.model_fields), *Rule.model_fields):
        assert f"`{key}" in document


def test_a_rule_wants_earlier_studies_and_somebody_is_asked_for_them() -> None:
    text = '[[rule]]\nname = "compared"\npriors = { most = 2, within_days = 90, modalities = ["CT"] }'
    (rule,) = parse(text, "rules.toml", SITE)
    wanted = decide([rule], STUDY, TODAY).priors
    assert wanted == PriorRule(2, 90, frozenset({"CT"}))
    assert rule.in_words() == "drafted, compared with up to 2 earlier studies of CT of the last 90 days"
    with pytest.raises(BadText, match=r"line 3: .*set its priors"):
        parse(text, "rules.toml", replace(SITE, archives=()))
