"""Evidence for one of several known signals, beyond what background looks like."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom
from toys import SHIFTS, Exact, search

from fivesigma.prediction import logits
from fivesigma.strategies import Learner
from fivesigma.strategies.one_expert import OneExpert, evidence
from fivesigma.training import TrainingSettings

SETTINGS = TrainingSettings(precision="float32")


def kinds(n, of):
    """Of two kinds of events with odds of 0.7 : 0.2 and 0.3 : 0.8, n of the first among all."""
    return np.log(np.where(np.arange(of) < n, 0.7 / 0.2, 0.3 / 0.8))[:, None]


def binomial(n, of):
    """Largest log likelihood of n events of the first kind, of which background has a fifth."""
    q = max(n / of, 0.2)
    return n * math.log(q) + (of - n) * math.log(1 - q)


TABLES = {  # events of the first kind, and all: of the data, of the background
    "more": (350, 1000, 120, 500),
    "much more": (500, 1000, 210, 1000),
    "little background": (350, 1000, 3, 10),
    "much background": (230, 1000, 20_000, 100_000),
    "background below its expectation": (300, 1000, 150, 1000),
}


@pytest.mark.parametrize(("n", "N", "m", "M"), TABLES.values(), ids=TABLES)
def test_two_kinds_of_events(n, N, m, M):
    """The likelihood ratio of two shares against a common one."""
    expected = binomial(n, N) + binomial(m, M) - binomial(n + m, N + M)
    found = evidence(kinds(n, N), np.ones(N), kinds(m, M))
    assert expected > 0.05
    np.testing.assert_allclose(found, [expected], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("n", "m"), [(100, 100), (300, 300), (250, 400), (200, 150)])
def test_no_more_than_background(n, m):
    np.testing.assert_allclose(
        evidence(kinds(n, 1000), np.ones(1000), kinds(m, 1000)), 0, atol=1e-6
    )


@pytest.mark.parametrize("wrong", [0.5, 1.0, 1.5])
def test_without_a_signal_it_is_as_rare_as_it_says(wrong):
    """Also with ratios that are wrong by a factor: twice the evidence is half a chi-squared."""
    rng, toys, n = np.random.default_rng(0), 400, 3000
    shift = SHIFTS[:1]

    def ratios():
        x = rng.normal(size=(n, 4))
        return x @ shift.T - (shift**2).sum() / 2 + math.log(wrong)

    found = np.array([evidence(ratios(), np.ones(n), ratios())[0] for _ in range(toys)])
    for z, p in ((1.282, 0.10), (1.645, 0.05)):
        beyond = int((found > z**2 / 2).sum())
        assert beyond <= binom.ppf(0.999, toys, p)
        if wrong > 1:  # else a fraction is below 0 as often as not, and is fitted as 0
            assert beyond >= binom.ppf(0.001, toys, p)
    assert (found >= 0).all()


def test_background_that_looks_like_a_signal_is_no_evidence():
    """Events that an expert takes for its own, in the data and in the background alike."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(4000, 4)), rng.normal(size=(4000, 4))
    x[:150, 2] += 3  # a signal
    odd = lambda x: np.stack([3 * x[:, 2] - 4.5, 3 * x[:, 3] - 2], axis=1)  # noqa: E731
    alone = evidence(odd(x), np.ones(4000), odd(y) - 60)
    seen = evidence(odd(x), np.ones(4000), odd(y))
    assert alone[1] > 30 > seen[1] + 27
    assert seen[0] > 30


def test_a_weight_of_two_is_two_events():
    rng = np.random.default_rng(2)
    l, control = rng.normal(0.1, 1, (900, 3)), rng.normal(-0.5, 1, (700, 3))
    w = np.where(np.arange(900) < 300, 2.0, 1.0)
    twice = evidence(np.concatenate([l, l[:300]]), np.ones(1200), control)
    np.testing.assert_allclose(evidence(l, w, control), twice, rtol=1e-9)
    assert (twice > 0).all()


def test_large_ratios_do_not_overflow():
    l = np.array([[2000.0, -2000.0], [-2000.0, 2000.0], [-2000.0, -2000.0]])
    assert np.isfinite(evidence(l, np.ones(3), l)).all()
    n, N, M = 1, 3, 50
    expected = n * math.log(n / N) + (N - n) * math.log(1 - n / N)
    expected -= n * math.log(n / (N + M)) + (N + M - n) * math.log(1 - n / (N + M))
    found = evidence(l, np.ones(N), np.full((M, 2), -2000.0))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


EMPTY, NAN = np.empty((0, 1)), np.full((3, 1), np.nan)


@pytest.mark.parametrize("pair", [(EMPTY, kinds(1, 3)), (kinds(1, 3), EMPTY), (kinds(1, 3), NAN)])
def test_bad_ratios(pair):
    l, control = pair
    with pytest.raises(ValueError, match=r"expected finite ratios of at least one event; got [03]"):
        evidence(l, np.ones(len(l)), control)


# The strategy

BACKGROUND = torch.from_numpy(np.random.default_rng(5).normal(size=(4000, 4)).astype("f4"))
X = np.random.default_rng(6).normal(1, 1.5, (500, 4)).astype("f4")


def one_expert(*targets, control=None):
    control = logits(Exact(), BACKGROUND) if control is None else control
    learner = Learner(settings=SETTINGS, seeds=tuple(range(len(targets))), control=control)
    return OneExpert()(lambda _seed: Exact(), targets, learner)


def log_ratios(x):
    return x @ SHIFTS.T - (SHIFTS**2).sum(axis=1) / 2


@pytest.mark.parametrize("k", [0, 1])
def test_score_is_the_ratio_of_the_signal_that_is_there(k):
    fitted = one_expert(search(200, mean=SHIFTS[k]))
    np.testing.assert_allclose(fitted.score(0, X), log_ratios(X)[:, k], rtol=1e-3, atol=1e-3)
    assert fitted.histories == (None,)


def test_without_evidence_it_is_the_mean_of_all_ratios():
    """The data are the background."""
    data = search(0, n_background=2000)
    data = replace(data, x=np.concatenate([BACKGROUND.numpy()] * 1), y=np.ones(4000))
    expected = np.log(np.exp(log_ratios(X)).mean(axis=1))
    np.testing.assert_allclose(one_expert(data).score(0, X), expected, rtol=1e-3, atol=1e-3)


def test_sidebands_are_not_looked_at():
    target = search(100)
    spoilt = replace(target, x=np.where(target.y[:, None] == 1, target.x, np.nan))
    np.testing.assert_array_equal(one_expert(target).score(0, X), one_expert(spoilt).score(0, X))


@pytest.mark.parametrize("control", [None, torch.empty(0, 3)], ids=["none", "empty"])
def test_without_background_that_was_not_learnt(control):
    learner = Learner(settings=SETTINGS, seeds=(0,), control=control)
    with pytest.raises(ValueError, match=r"expected a network with background events .*; got none"):
        OneExpert()(lambda _seed: Exact(), [search(50)], learner)
