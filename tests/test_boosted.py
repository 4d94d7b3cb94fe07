"""Boosted trees at known answers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import xgboost
from scipy.special import expit
from scipy.stats import norm
from toys import ANALYTIC_AUC, auc, gaussians

from fivesigma.lovasz import LovaszAsimov, LovaszSignificance
from fivesigma.statistics import asimov
from fivesigma.strategies import Boosted, Learner, boosted
from fivesigma.training import TrainingSettings

SETTINGS = TrainingSettings(patience=5, validation_fraction=0.3)
FEW = Boosted(trees=10)


def grow(target, trees=FEW, *, seed=0, settings=SETTINGS, **options):
    """Scores by what was learnt from one data set."""
    learner = Learner(settings=settings, seeds=(seed,), **options)
    fitted = trees(lambda _seed: None, [target], learner)
    assert fitted.histories == (None,)
    return lambda x: fitted.score(0, x)


def test_the_defaults_are_those_of_the_thesis():
    assert (Boosted().grid, Boosted().trees) == ([(2, 0.4)], 200)


def test_two_gaussians():
    scores, test = grow(gaussians(6000), Boosted(members=3)), gaussians(20_000, seed=2)
    s = scores(test.x)
    assert auc(s, test.y) == pytest.approx(ANALYTIC_AUC, abs=0.01)
    # Probabilities: of the events with a score about p a share p is signal.
    for low in (0.2, 0.4, 0.6):
        near = (s > low) & (s < low + 0.2)
        assert test.y[near].mean() == pytest.approx(s[near].mean(), abs=0.05)


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_that_of_the_library(weighted):
    """Its own logistic objective from logits of 0, with weights of mean 1, gives the same trees."""
    data = gaussians(600)
    if weighted:
        w = np.random.default_rng(1).uniform(0.5, 2, 600)
        data = replace(data, weight=1e-3 * w)
    scores = grow(data, FEW, settings=replace(SETTINGS, patience=100))
    (seed,) = np.random.SeedSequence(0).generate_state(1)
    train, held_out = data.split(0.7, rng=np.random.default_rng(int(seed)))
    events = xgboost.QuantileDMatrix(train.x, train.y, weight=train.weight / train.weight.mean())
    options = {"objective": "binary:logistic", "max_depth": 2, "reg_lambda": 0.4}
    plain = xgboost.train(options | {"base_score": 0.5}, events, num_boost_round=10)
    z = [
        plain.predict(xgboost.DMatrix(held_out.x), iteration_range=(0, n), output_margin=True)
        for n in range(1, 11)
    ]
    t = 2 * held_out.y - 1
    losses = [np.average(np.logaddexp(0, -t * z_n), weights=held_out.weight) for z_n in z]
    best = expit(z[int(np.argmin(losses))])
    np.testing.assert_allclose(scores(held_out.x), best, atol=1e-5)


def test_all_trees_are_kept_where_more_are_worse():
    """Of labels without a meaning the first trees are best, and patience would stop soon."""
    data, x = gaussians(300, distance=0.0), gaussians(300, seed=1).x
    impatient = replace(SETTINGS, patience=1)
    (seed,) = np.random.SeedSequence(0).generate_state(1)
    train, _ = data.split(0.7, rng=np.random.default_rng(int(seed)))
    options = {"objective": "binary:logistic", "max_depth": 2, "reg_lambda": 0.4, "base_score": 0.5}
    plain = xgboost.train(options, xgboost.QuantileDMatrix(train.x, train.y), num_boost_round=40)
    every, best = (
        grow(data, Boosted(trees=40, keep=keep), settings=impatient)(x) for keep in ("all", "best")
    )
    np.testing.assert_allclose(every, plain.predict(xgboost.DMatrix(x)), atol=1e-4)
    assert np.abs(every - best).max() > 0.1


def test_weights_are_copies():
    """Where there is no penalty, also the size of the weights is nothing; an event of 0 is none."""
    data, x = gaussians(400), gaussians(300, seed=1).x
    free = Boosted(trees=5, penalty=0.0, min_curvature=0.0)
    # The first number alone, in steps of 1/2, so that the bins are the same.
    rounded = replace(data, x=np.round(2 * data.x[:, :1]) / 2)
    train, held_out = rounded.split(0.5, rng=np.random.default_rng(3))
    times = np.random.default_rng(4).integers(0, 4, 200)
    copies = train.subset(np.repeat(np.arange(200), times))
    learner = Learner(settings=SETTINGS, seeds=(0,))
    scores = []
    for part in (copies, replace(train, weight=0.1 * times).subset(times > 0)):
        events = [
            xgboost.DMatrix(d.x, d.y == 1, weight=d.weight.astype(float)) for d in (part, held_out)
        ]
        _, trees = free._grow(*events, (2, 0.0), learner, 1)
        scores.append(boosted._score([trees], x[:, :1]))
    np.testing.assert_allclose(*scores, rtol=1e-4)
    keep = np.arange(400) % 5 > 0
    spoilt = replace(data, y=np.where(keep, data.y, 1 - data.y), weight=keep)
    np.testing.assert_array_equal(grow(spoilt)(x), grow(data.subset(keep))(x))
    small = replace(data, weight=1e-3 * data.weight)
    np.testing.assert_allclose(grow(small)(x), grow(data)(x), rtol=1e-4)


def test_the_score_is_the_mean_of_the_members():
    data, x = gaussians(500), gaussians(300, seed=1).x
    one, two = (grow(data, replace(FEW, members=m))(x).astype(float) for m in (1, 2))
    other = 2 * two - one
    assert ((other > 0) & (other < 1)).all()
    assert not np.allclose(other, one)


def test_same_seed_same_scores():
    data, x = gaussians(500), gaussians(300, seed=1).x
    np.testing.assert_array_equal(grow(data)(x), grow(data)(x))
    assert not np.array_equal(grow(data, seed=1)(x), grow(data)(x))


N_S, N_B, EPSILON, FAR = 60.0, 3000.0, 40.0, 3.0


@pytest.mark.parametrize("kind", [LovaszAsimov, LovaszSignificance])
def test_a_significance_is_trained_to_the_best_cut(kind):
    """Of logits above 0 it is nearly that of the best cut on the likelihood ratio."""
    significance = {LovaszAsimov: asimov, LovaszSignificance: lambda s, b: s / np.sqrt(b)}[kind]
    t = np.linspace(-2, 6, 1000)
    best = significance(N_S * norm.sf(t - FAR), EPSILON + N_B * norm.sf(t)).max()
    assert best > significance(N_S, EPSILON) / 2  # what no cut at all costs
    data, test = gaussians(8000, distance=FAR), gaussians(100_000, seed=1, distance=FAR)
    share = np.where(data.y == 1, N_S / (data.y == 1).sum(), N_B / (data.y == 0).sum())
    trees = Boosted(members=3, loss=kind(epsilon=EPSILON))
    s = grow(replace(data, weight=share), trees)(test.x)
    signal, background = ((s > 0.5)[test.y == k].mean() for k in (1, 0))
    reached = significance(N_S * signal, EPSILON + N_B * background)
    assert 0.95 * best < reached < 1.03 * best


def test_the_grid_is_decided_by_held_out_events():
    """Signal where two numbers have one sign: stumps see nothing, trees of depth 2 do."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 2))
    y = x[:, 0] * x[:, 1] > 0
    data = replace(gaussians(4000), x=x, y=y, truth=0 * y)
    told = []
    grid = Boosted(depth=[1, 2], penalty=[1e6, 0.4], members=2)
    s = grow(data, grid, progress=lambda *args: told.append(args))(x)
    assert [args[:2] for args in told] == [(i, 8) for i in range(1, 9)]
    assert auc(s + 1e-9 * rng.random(4000), y) > 0.97
    np.testing.assert_array_equal(s, grow(data, Boosted(members=2))(x))


def test_nothing_to_learn_from():
    """Constant features: the share of signal, by weight, for all events."""
    data = gaussians(500)
    flat = replace(data, x=np.ones((500, 3)), weight=np.where(data.y == 1, 3.0, 1.0))
    s = grow(flat, Boosted())(flat.x)
    assert np.ptp(s) == 0
    assert s[0] == pytest.approx(np.average(flat.y, weights=flat.weight), abs=0.03)


BAD = {
    "few": (gaussians(9), FEW, "expected at least 10 events to train on; got 9"),
    "none held out": (gaussians(10), FEW, "expected at least 1 events to validate on; got 0"),
    "NaN": (replace(gaussians(50), x=np.full((50, 4), np.nan)), FEW, "expected finite events"),
    "weight": (replace(gaussians(50), weight=-np.ones(50)), FEW, "expected weights of at least 0"),
    "one label": (
        replace(gaussians(50), y=np.ones(50)),
        Boosted(loss=LovaszAsimov()),
        "expected signal and background in a batch",
    ),
}


@pytest.mark.parametrize(("data", "trees", "message"), BAD.values(), ids=BAD.keys())
def test_bad_data(data, trees, message):
    fraction = 0.04 if len(data) == 10 else 0.3
    with pytest.raises(ValueError, match=message):
        grow(data, trees, settings=replace(SETTINGS, validation_fraction=fraction))


BAD_VALUES = {
    "members": [0],
    "trees": [0],
    "keep": ["last"],
    "depth": [0, [2, 0], []],
    "penalty": [-0.1, [0.4, -1.0], []],
    "learning_rate": [0.0, math.inf],
    "min_curvature": [-1.0],
    "max_step": [0.0],
    "loss": ["lovasz"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values]
)
def test_bad_values(name, value):
    with pytest.raises(ValueError, match=f"expected {name} to be .*; got"):
        Boosted(**{name: value})
