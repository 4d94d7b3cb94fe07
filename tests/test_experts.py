"""Fractions of mixtures whose densities are known, by expectation maximisation."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from toys import SHIFTS, Exact, search

from fivesigma.strategies import Learner
from fivesigma.strategies.experts import Experts, expectation_maximisation
from fivesigma.training import TrainingSettings

SETTINGS = TrainingSettings(precision="float32")


def log_ratios(x, shifts=SHIFTS):
    """Of unit Gaussians at the shifts to one at 0."""
    return x @ shifts.T - (shifts**2).sum(axis=1) / 2


def mixture(numbers, *, seed=0):
    """Events of the background and of each of the signals."""
    rng = np.random.default_rng(seed)
    means = np.concatenate([np.zeros((1, 4)), SHIFTS])
    return np.concatenate(
        [rng.normal(size=(n, 4)) + mean for n, mean in zip(numbers, means, strict=True)]
    )


def standard_errors(l, fractions):
    """Of the fractions of the signals, from the curvature of the likelihood at the truth."""
    r = np.exp(l)
    g = (r - 1) / (1 - sum(fractions) + r @ fractions)[:, None]
    return np.sqrt(np.diag(np.linalg.inv(g.T @ g)))


@pytest.mark.parametrize("numbers", [(9000, 700, 300), (5000, 4000, 1000), (20_000, 200, 200)])
@pytest.mark.parametrize("seed", range(3))
def test_three_gaussians(numbers, seed):
    """The events of each process are counted within three standard errors."""
    x = mixture(numbers, seed=seed)
    l, w = log_ratios(x), np.ones(len(x))
    truth = np.array(numbers[1:]) / sum(numbers)
    f, a = expectation_maximisation(l, w, prior=1e-6, tolerance=1e-9, steps=5000)
    assert a.sum() == pytest.approx(1)
    pulls = (f * a - truth) / standard_errors(l, truth)
    assert (abs(pulls) < 3).all()


def test_default_steps_are_enough():
    x = mixture((9000, 700, 300))
    l, w = log_ratios(x), np.ones(len(x))
    f, a = expectation_maximisation(l, w, prior=50)
    far_f, far_a = expectation_maximisation(l, w, prior=50, tolerance=1e-12, steps=50_000)
    errors = standard_errors(l, np.array([0.07, 0.03]))
    assert (abs(f * a - far_f * far_a) < 0.05 * errors).all()


def test_one_expert_and_two_kinds_of_events():
    """Events 0 and 1 with odds 0.8 : 0.2 and 0.3 : 0.7; a share q of ones: f = (q - 0.2) / 0.5."""
    for q in (0.25, 0.4, 0.6):
        ones = np.arange(1000) < 1000 * q
        l = np.log(np.where(ones, 0.7 / 0.2, 0.3 / 0.8))[:, None]
        f, a = expectation_maximisation(l, np.ones(1000), prior=5, tolerance=1e-12)
        assert f == pytest.approx((q - 0.2) / 0.5, abs=1e-6)
        assert a == pytest.approx([1])


@pytest.mark.parametrize("alpha", [1e-6, 3.0, 50.0])
def test_experts_that_are_certain(alpha):
    """Every event tells its process: shares are (n_k + alpha / K) / (n + alpha)."""
    numbers = np.array([700, 200, 70, 30])
    k = np.repeat(np.arange(4), numbers)
    l = np.where(k[:, None] == [1, 2, 3], 60.0, -60.0)
    f, a = expectation_maximisation(l, np.ones(1000), prior=alpha)
    assert f == pytest.approx(0.3)
    assert a == pytest.approx((numbers[1:] + alpha / 3) / (300 + alpha))


def test_each_step_raises_the_posterior():
    x = mixture((900, 60, 40))
    l, w, alpha = log_ratios(x), np.random.default_rng(1).uniform(0.5, 2, len(x)), 20.0

    def posterior(steps):
        f, a = expectation_maximisation(l, w, prior=alpha, tolerance=0, steps=steps)
        likelihood = w @ np.log(1 - f + f * np.exp(l) @ a)
        return likelihood + alpha / len(a) * np.log(a).sum()

    values = [posterior(steps) for steps in range(60)]
    assert (np.diff(values) > -1e-9).all()
    assert values[-1] > values[0] + 10


def test_a_weight_of_two_is_two_events():
    l, w = log_ratios(mixture((900, 60, 40))), np.ones(1000)
    w[:500] = 2
    f, a = expectation_maximisation(l, w, prior=20)
    expected_f, expected_a = expectation_maximisation(
        np.concatenate([l, l[:500]]), np.ones(1500), prior=20
    )
    assert f == pytest.approx(expected_f)
    assert a == pytest.approx(expected_a)


@pytest.mark.parametrize("seed", range(3))
def test_without_a_signal_it_falls_back_on_the_prior(seed):
    l = log_ratios(mixture((20_000, 0, 0), seed=seed))
    f, a = expectation_maximisation(l, np.ones(len(l)), prior=1000)
    assert f < 3 * standard_errors(l, np.zeros(2)).max()
    assert a == pytest.approx([0.5, 0.5], abs=0.05)
    without = np.full((1000, 3), -60.0)  # no event that any expert could want
    f, a = expectation_maximisation(without, np.ones(1000), prior=50)
    assert f < 1e-5
    assert a == pytest.approx(np.full(3, 1 / 3))


def test_large_ratios_do_not_overflow():
    l = np.array([[2000.0, -2000.0], [-2000.0, 2000.0], [-2000.0, -2000.0]])
    f, a = expectation_maximisation(l, np.ones(3), prior=1)
    assert f == pytest.approx(2 / 3)
    assert a == pytest.approx([0.5, 0.5])


BAD = {
    "no events": (np.empty((0, 2)), "expected finite ratios of at least one event; got 0 events"),
    "NaN": (np.full((3, 2), np.nan), "expected finite ratios of at least one event; got 3 events"),
    "infinity": (np.full((3, 2), np.inf), "expected finite ratios .*; got 3 events"),
}


@pytest.mark.parametrize(("l", "message"), BAD.values(), ids=BAD.keys())
def test_bad_ratios(l, message):
    with pytest.raises(ValueError, match=message):
        expectation_maximisation(l, np.ones(len(l)), prior=1)


@pytest.mark.parametrize("prior", [0, -1.0, math.inf, math.nan])
def test_bad_prior(prior):
    with pytest.raises(ValueError, match=f"expected a finite prior > 0; got {prior}"):
        Experts(prior=prior)


# The strategy


def experts(*targets, prior=50.0):
    learner = Learner(settings=SETTINGS, seeds=tuple(range(len(targets))))
    return Experts(prior=prior)(lambda _seed: Exact(), targets, learner)


def test_score_is_the_ratio_of_the_mixture():
    """A mixture of the first signal alone is scored by that signal's ratio, up to the prior."""
    target, nothing = search(400, mean=SHIFTS[0]), search(0, seed=1)
    x = np.random.default_rng(2).normal(1, 1.5, (500, 4)).astype("f4")
    fitted, l = experts(target, nothing, prior=0.5), log_ratios(x)
    found = fitted.score(0, x)
    inside = target.subset(target.y == 1)
    _, a = expectation_maximisation(log_ratios(inside.x), np.ones(len(inside)), prior=0.5)
    assert a[0] > 0.9
    np.testing.assert_allclose(found, logsumexp(l, b=a, axis=1), rtol=1e-4, atol=1e-4)
    fitted = experts(target, nothing, prior=1e6)
    for i in (0, 1):
        np.testing.assert_allclose(
            fitted.score(i, x), logsumexp(l, axis=1) - math.log(2), rtol=1e-3, atol=1e-3
        )
    assert fitted.histories == (None, None)


def test_sidebands_are_not_looked_at():
    target, x = search(200), search(0, seed=1).x
    spoilt = replace(target, x=np.where(target.y[:, None] == 1, target.x, np.nan))
    np.testing.assert_array_equal(experts(target).score(0, x), experts(spoilt).score(0, x))


def test_no_events_in_the_signal_region():
    target = search(0)
    with pytest.raises(ValueError, match="expected finite ratios of at least one event; got 0"):
        experts(target.subset(target.y == 0))


def test_a_network_without_tower():
    learner = Learner(settings=SETTINGS, seeds=(0,))
    with pytest.raises(ValueError, match=r"expected a network .*tower and head; got Linear"):
        Experts()(lambda _seed: torch.nn.Linear(4, 3), [search(0)], learner)
