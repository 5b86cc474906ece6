from random import Random

import pytest

from model_runtime.contradictions.claims import claims, contradictions, facts_of
from model_runtime.evaluation.scores import Scores
from model_runtime.findings import CHOICES, Facts, is_positive
from model_runtime.phantoms.anchoring import contrary
from model_runtime.phantoms.phantom import Phantom
from model_runtime.phantoms.wording import FINDINGS, IMPRESSION, absence, every_sentence


def test_the_lexicon_reads_the_facts_of_5000_reports():
    for seed in range(5000):
        phantom = Phantom.of(seed)
        report = phantom.report(Random(seed))
        findings, impression = " ".join(report[FINDINGS]), " ".join(report[IMPRESSION])
        assert facts_of(findings) == phantom.facts
        assert not contradictions(f"{findings} {impression}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Small left pleural effusion.", {"effusion_left": ["small"]}),
        ("No pleural effusion on the left.", {"effusion_left": ["none"]}),
        ("Large bilateral pleural effusions.", {"effusion_right": ["large"], "effusion_left": ["large"]}),
        ("Rounded nodular opacity in the right mid zone.", {"nodule_right": ["mid"]}),
        ("The heart is not enlarged.", {"heart": ["normal"]}),
        ("Mildly enlarged cardiac silhouette.", {"heart": ["mild"]}),
        ("No endotracheal tube or central line.", {"endotracheal_tube": ["none"], "central_line": ["none"]}),
        ("The bones are unremarkable.", {}),
    ],
)
def test_claims_have_both_polarities(text, said):
    assert claims(text) == said


def test_one_finding_asserted_and_denied_is_a_contradiction():
    text = "Small left pleural effusion. No pneumothorax. No pleural effusion."
    assert contradictions(text) == {"effusion_left"}
    assert facts_of(text) == Facts(effusion_left="small")


@pytest.mark.parametrize("finding", CHOICES)
def test_an_absence_denies_its_finding_and_nothing_that_is_there(finding):
    for seed in range(60):
        facts = Phantom.of(seed).facts.having(finding, CHOICES[finding][0])
        sentence = absence(finding, facts, Random(seed))
        said = claims(sentence.text)
        assert said.keys() == sentence.about
        assert said[finding] == [CHOICES[finding][0]]
        assert all(not is_positive(denied, facts.table()[denied]) for denied in said)
        assert sentence.text in every_sentence()


def test_a_contrary_anchor_says_otherwise_than_the_image_and_its_report_follows():
    for seed in range(300):
        facts = Phantom.of(seed).facts
        report, chosen, finding = contrary(facts, Random(seed))
        (anchor,) = (s for said in report.values() for s in said if id(s) == chosen)
        text = " ".join(s.text for s in report[FINDINGS])
        assert claims(anchor.text)[finding] != [facts.table()[finding]]
        assert facts_of(text).table()[finding] == claims(anchor.text)[finding][0]


def test_scores_count_what_was_there_and_what_was_made_up():
    scores = Scores()
    sections = {
        FINDINGS: "Small left pleural effusion. Mild cardiomegaly. Gibberish here.",
        IMPRESSION: "No pneumothorax.",
    }
    scores.add(Facts(effusion_left="small", nodule_right="mid"), sections, known=every_sentence())
    assert (scores.overall.right, scores.overall.total) == (9, 11)
    assert (scores.overall.found, scores.overall.there) == (1, 2)
    assert (scores.overall.asserted, scores.overall.absent) == (1, 9)
    assert (scores.garbled, scores.sentences) == (1, 4)
    scores.add(Facts(), sections, known=every_sentence(), given={"effusion_left", "heart"})
    assert (scores.overall.right, scores.overall.total) == (18, 20)
