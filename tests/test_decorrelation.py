"""Scores whose dependence on the mass is known, and taken away."""

import numpy as np
import pytest
from scipy.special import ndtr

from fivesigma.decorrelation import standardise
from fivesigma.evaluation import auc, roc

KNOWN = {  # mean and width of t as functions of u
    "independent": (lambda u: 0 * u, lambda u: 1 + 0 * u, 1),
    "mean": (lambda u: 0.6 * u, lambda u: 1 + 0 * u, 1),
    "mean and width": (lambda u: -0.4 * u, lambda u: np.exp(0.3 * u), 1),
    "curved": (lambda u: 0.5 * u**2, lambda u: np.exp(0.2 * u), 2),
}


def events(mean, width, n=40_000, seed=0):
    rng = np.random.default_rng(seed)
    m = rng.uniform(4400, 5800, n)
    u = (m - 5100) / 700
    outside = (m < 4700) | (m > 5500)
    return ndtr((mean(u) + width(u) * rng.normal(size=n)) / 1.2), m, outside


@pytest.mark.parametrize(("mean", "width", "degree"), KNOWN.values(), ids=KNOWN.keys())
def test_mean_and_width_no_longer_depend_on_the_mass(mean, width, degree):
    score, m, outside = events(mean, width)
    t = standardise(score, m, outside, degree=degree)(score, m)
    interval = np.digitize(m, np.linspace(4400, 5800, 8)[1:-1])
    parts = [t[interval == i] for i in range(7)]
    expected = np.std([p.mean() for p in parts]), np.std([np.log(p.std()) for p in parts])
    assert expected[0] < 3 * t.std() / np.sqrt(len(t) / 7)
    assert expected[1] < 3 / np.sqrt(2 * len(t) / 7)


def test_sidebands_can_no_longer_be_told_apart():
    score, m, outside = events(*KNOWN["mean and width"][:2])
    upper = (m[outside] > 5000).astype(int)
    t = standardise(score, m, outside)(score, m)
    before, after = (auc(roc(s[outside], upper)) for s in (score, t))
    assert before.value < 0.4
    assert abs(after.value - 0.5) < 3 * after.error


def test_order_at_one_mass_stays_even_beyond_the_ends():
    score, m, outside = events(*KNOWN["mean"][:2], n=500)
    found = standardise(score, m, outside)
    s = np.array([-1e-4, 0, 1e-4, 0.5, 0.9999, 1, 1 + 1e-4])
    t = found(s, np.full(len(s), 5000.0))
    assert (np.diff(t) > 0).all()
    assert np.isfinite(t).all()


def test_models_of_each_fold_at_once():
    score, m, outside = events(*KNOWN["mean"][:2], n=500)
    found = standardise(score, m, outside)
    assert np.array_equal(found(np.stack([score, score**2]), m)[1], found(score**2, m))


def test_bad_events():
    score, m, outside = events(*KNOWN["mean"][:2], n=500)
    with pytest.raises(ValueError, match=r"at least 20 events outside the signal region; got 0"):
        standardise(score, m, outside & False)
    with pytest.raises(ValueError, match=r"expected scores that differ; got 0.5 of \d+ events"):
        standardise(np.full(500, 0.5), m, outside)
