"""Weighted events: splits by hard event, and correlations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weighted import drawn

from fivesigma.yields import (
    correlation,
)

# Splits


@given(
    sizes=st.lists(st.integers(100, 150), min_size=2, max_size=4),
    showers=st.integers(1, 4),
    shares=st.lists(st.floats(0.5, 3), min_size=2, max_size=4),
    seed=st.integers(0, 2**31),
)
def test_no_hard_event_is_on_two_sides(sizes, showers, shares, seed):
    events = drawn(sizes, showers=showers, seed=seed)
    parts = events.split(shares, rng=np.random.default_rng(seed))
    hard = [set(part.origin.tolist()) for part in parts]
    assert sum(map(len, hard)) == len(set.union(*hard)) == len(np.unique(events.origin))
    assert sorted(np.concatenate([part.x[:, 0] for part in parts])) == sorted(events.x[:, 0])
    for part in parts:
        assert (np.bincount(part.process, minlength=len(sizes)) > 0).all()


def test_each_part_stands_for_the_full_luminosity():
    events = drawn([300, 90])
    parts = events.split((1, 1, 1), rng=np.random.default_rng(0))
    for part in parts:
        assert len(part) == 130
        assert part.expected()[0] == pytest.approx(events.expected()[0])
        assert part.expected()[1] == pytest.approx(3**0.5 * events.expected()[1])
    uneven = events.split((4, 1), rng=np.random.default_rng(0))
    assert [len(part) for part in uneven] == [312, 78]


def test_a_part_needs_events_of_each_process():
    with pytest.raises(ValueError, match="expected events of b in each part; got 2 in all"):
        drawn([30, 2]).split((1, 1, 1), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="expected events of b in each part; got 1 in all"):
        drawn([30, 8], showers=8).split((1, 1, 1), rng=np.random.default_rng(0))


def test_a_share_of_the_events_to_train_on():
    events = drawn([400, 200, 100], showers=2)
    some = events.thinned(signal=1.0, background=0.1, rng=np.random.default_rng(0))
    assert np.bincount(some.process).tolist() == [400, 20, 10]
    assert some.expected()[0] == pytest.approx(events.expected()[0])
    assert (np.unique(some.origin, return_counts=True)[1] == 2).all()
    with pytest.raises(ValueError, match="expected events of b to train on; got 0 of 20"):
        drawn([400, 20]).thinned(signal=1.0, background=0.01, rng=np.random.default_rng(0))


# Correlations


def test_correlations():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(45_000, 3)).astype(np.float32)
    x[:, 1] = 1000 + 5 * (0.6 * x[:, 0] + 0.8 * x[:, 1])
    w = rng.exponential(size=len(x))
    found = correlation(x, w)
    covariance = np.cov(x.astype(float).T, aweights=w)
    sigma = np.sqrt(np.diag(covariance))
    assert found == pytest.approx(covariance / np.outer(sigma, sigma), abs=1e-4)
    assert found[0, 1] == pytest.approx(0.6, abs=0.02)


def test_what_never_changes_is_correlated_with_nothing():
    x = np.array([[1, 1], [2, 1], [4, 1]], np.float32)
    assert (correlation(x, np.ones(3)) == np.eye(2)).all()
