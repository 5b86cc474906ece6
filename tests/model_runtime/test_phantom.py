from random import Random

import numpy as np
import pytest
import torch

from model_runtime.findings import CHOICES, Facts
from model_runtime.phantoms.painting import NUMBERS, flatten, paint, unflatten
from model_runtime.phantoms.phantom import Phantom, draw_geometry
from model_runtime.phantoms.wording import FINDINGS, IMPRESSION, every_sentence


def test_the_same_seed_gives_the_same_phantom_and_another_seed_another():
    first, again, other = Phantom.of(7), Phantom.of(7), Phantom.of(8)
    assert first == again
    assert np.array_equal(first.image(96), again.image(96))
    assert not np.array_equal(first.image(96), other.image(96))


@pytest.mark.parametrize(("bits", "kind", "most"), [(8, np.uint8, 255), (12, np.uint16, 4095)])
def test_an_image_has_the_size_and_depth_asked_for(bits, kind, most):
    image = Phantom.of(3).image(64, bits)
    assert image.shape == (64, 64)
    assert image.dtype == kind
    assert most * 0.7 < image.max() <= most


def test_numpy_and_torch_paint_the_same_chest():
    numbers = np.array([flatten(Phantom.of(seed).geometry) for seed in range(6)], dtype=np.float32)
    assert numbers.shape == (6, NUMBERS)
    centres = (np.arange(80, dtype=np.float32) + 0.5) / 80
    noise = np.random.default_rng(0).standard_normal((6, 80, 80), dtype=np.float32)
    by_numpy = paint(unflatten(numbers), centres[None, :], centres[:, None], noise, np)
    by_torch = paint(
        unflatten(torch.from_numpy(numbers)),
        torch.from_numpy(centres)[None, :],
        torch.from_numpy(centres)[:, None],
        torch.from_numpy(noise),
        torch,
    )
    assert by_numpy.dtype == np.float32
    np.testing.assert_allclose(by_numpy, by_torch.numpy(), atol=2e-4)


@pytest.mark.parametrize(("finding", "value"), [(f, v) for f, values in CHOICES.items() for v in values[1:]])
def test_each_finding_changes_the_image_on_its_own_side(finding, value):
    def image(facts: Facts) -> np.ndarray:
        geometry = draw_geometry(facts, Random(5))._replace(grain=0.0, tilt=0.0, shift_x=0.0)
        return Phantom(5, facts, geometry).image(192).astype(float)

    change = np.abs(image(Facts().having(finding, value)) - image(Facts()))
    assert change.max() > 20
    right, left = change[:, :96].sum(), change[:, 96:].sum()  # the patient's right is on the image's left
    if finding.endswith("_right") or (finding, value) == ("central_line", "right"):
        assert right > 20 * left
    if finding.endswith("_left"):
        assert left > 20 * right


def test_reports_vary_in_wording_and_say_only_what_the_language_has():
    phantom, known = Phantom.of(11), every_sentence()
    reports = [phantom.report(Random(k)) for k in range(40)]
    assert all(set(report) == {FINDINGS, IMPRESSION} for report in reports)
    assert all(sentence in known for report in reports for said in report.values() for sentence in said)
    assert len({str(report) for report in reports}) > 35


def test_every_value_of_every_finding_is_drawn():
    drawn = [Phantom.of(seed).facts.table() for seed in range(400)]
    for finding, values in CHOICES.items():
        assert {facts[finding] for facts in drawn} == set(values)


def test_facts_refuse_an_unknown_value():
    with pytest.raises(ValueError, match="effusion_left cannot be 'huge'; it is one of none, small, large"):
        Facts(effusion_left="huge")
