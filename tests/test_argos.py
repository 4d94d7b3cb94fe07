"""The measure at known answers: two Gaussians in mixed samples, constant scores, weights."""

import numpy as np
import pytest
from scipy.stats import norm
from toys import gaussians

from fivesigma.argos import EFFICIENCIES, argos, at, largest

DISTANCES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
FRACTIONS = {"pure template": (0.1, 0.0), "signal in the template": (0.1, 0.02)}


def mixture(distance, f_1, f_2, *, n=200_000, seed=0):
    """Scores and regions: signal of a fraction f_1 in the signal region, f_2 in the template."""
    data = gaussians(4 * n, seed=seed, distance=distance, d=1)
    signal, background = (data.x[data.y == k, 0] for k in (1, 0))
    parts, used = [], [0, 0]
    for f in (f_1, f_2):
        for kind, (pool, m) in enumerate(((signal, round(f * n)), (background, n - round(f * n)))):
            parts.append(pool[used[kind] : used[kind] + m])
            used[kind] += m
    return np.concatenate(parts), np.repeat([1, 0], n), np.ones(2 * n)


def improvement(distance, eps):
    """True significance improvement eps_S / sqrt(eps_B)."""
    return norm.sf(norm.isf(eps) - distance) / np.sqrt(eps)


def test_by_hand():
    assert argos(0.1, 0.01) == pytest.approx(0.9)
    assert argos(0.3, 0.3) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="expected a template efficiency above 0; got 0"):
        argos(0.1, 0.0)


@pytest.mark.parametrize("distance", DISTANCES)
def test_two_gaussians(distance):
    """A = f (SIC - sqrt(eps)) in 200 000 events, at every efficiency."""
    eps = np.array(EFFICIENCIES)
    found = at(*mixture(distance, 0.1, 0.0), eps)
    ratio = 1 + 0.1 * improvement(distance, eps) / np.sqrt(eps)  # eps_SR / eps_BT, or a bit more
    error = np.sqrt((ratio + ratio**2) / 200_000)  # of the counts there and of where the cut is
    expected = 0.1 * (improvement(distance, eps) - np.sqrt(eps))
    assert (np.abs(found - expected) < 4 * error).all()


@pytest.mark.parametrize(("f_1", "f_2"), FRACTIONS.values(), ids=FRACTIONS.keys())
def test_the_order_is_that_of_the_significance_improvement(f_1, f_2):
    truth = [improvement(d, np.array(EFFICIENCIES)).max() for d in DISTANCES]
    found = [largest(*mixture(d, f_1, f_2)) for d in DISTANCES]
    assert (np.diff(truth) > 0).all()
    assert (np.diff(found) > 0).all()


def test_without_a_signal():
    """About 0, by as much as is said, at every efficiency; the largest is not far above."""
    rng, eps = np.random.default_rng(1), np.array([0.2, 0.05, 0.02])
    y = np.arange(2000) < 800
    toys = [rng.random(2000) for _ in range(400)]
    found = np.array([at(s, y, np.ones(2000), eps) for s in toys])
    sigma = np.sqrt((1 - eps) * (1 / 800 + 1 / 1200))
    assert (np.abs(found.mean(axis=0)) < 4 * sigma / 20).all()
    assert found.std(axis=0) == pytest.approx(sigma, rel=0.15)
    most = np.array([largest(s, y, np.ones(2000)) for s in toys])
    assert 0 < most.mean() < 2 * sigma.max()


@pytest.mark.parametrize("score", [0.0, 1.0, -3.5])
def test_a_constant_score_has_none(score):
    y = np.arange(1000) < 300
    assert largest(np.full(1000, score), y, np.ones(1000)) == pytest.approx(0, abs=1e-12)
    assert largest(np.full(1000, score), y, 0.1 + y) == pytest.approx(0, abs=1e-12)


def test_ties_are_kept_in_part():
    """A half of the template shares the highest score with 0.8 of the signal region."""
    y = np.arange(200) < 100
    score = np.concatenate([np.arange(100) < 80, np.arange(100) < 50])
    found = at(score, y, np.ones(200), [0.5, 0.1])
    assert found == pytest.approx([argos(0.8, 0.5), argos(0.16, 0.1)])


def test_weights_count():
    rng = np.random.default_rng(2)
    y, copies = np.arange(400) < 150, rng.integers(0, 4, 400)
    score = rng.normal(size=400) + y
    repeated = [np.repeat(a, copies) for a in (score, y)]
    eps = [0.2, 0.103]
    found = at(score, y, copies, eps)
    assert found == pytest.approx(at(*repeated, np.ones(copies.sum()), eps))
    assert found == pytest.approx(at(score, y, 7.0 * copies, eps))
    assert found != pytest.approx(at(score, y, np.ones(400), eps))


def test_cuts_with_few_template_events_are_left_out():
    """One clear event would decide the tightest cut; weights count as (sum w)^2 / sum w^2."""
    rng = np.random.default_rng(3)
    y = np.arange(160) < 100
    score = rng.random(160)
    score[:20] = 2.0
    same = np.ones(160)
    assert largest(score, y, same) == at(score, y, same, [0.2])[0]
    assert largest(score, y, same) < at(score, y, same, [0.02])[0]
    uneven = np.where(np.arange(160) % 2, 1.0, 1e-3)
    with pytest.raises(ValueError, match="expected 50 template events or more for ARGOS; got 30"):
        largest(score, y, uneven)


ONES = np.ones(100)
BAD = {
    "no template": (ONES, ONES, ONES, "of the template for ARGOS; got 100 and 0"),
    "no signal region": (ONES, 0 * ONES, ONES, "of the template for ARGOS; got 0 and 100"),
    "weights of zero": (ONES, np.arange(100) < 50, np.arange(100) < 50, "got 50 and 0"),
    "lengths": (ONES, ONES[1:], ONES, r"got \(100,\), \(99,\) and \(100,\)"),
    "classes": (np.ones((100, 3)), ONES, ONES, r"got \(100, 3\), \(100,\) and"),
}


@pytest.mark.parametrize(("scores", "y", "weight", "message"), BAD.values(), ids=BAD.keys())
def test_errors(scores, y, weight, message):
    with pytest.raises(ValueError, match=message):
        largest(scores, y, weight)
