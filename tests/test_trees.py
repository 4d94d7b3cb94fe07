"""Trees at known answers."""

from dataclasses import replace

import numpy as np
import pytest
from toys import ANALYTIC_AUC, auc, gaussians

from fivesigma.rows import Rows
from fivesigma.strategies import Learner
from fivesigma.strategies.trees import Trees
from fivesigma.training import TrainingSettings

SETTINGS = TrainingSettings(patience=5, validation_fraction=0.3)
FEW = Trees(members=2, max_iter=10)


def grow(target, trees=FEW, *, seed=0, settings=SETTINGS, **options):
    """Scores by what was learnt from one data set."""
    learner = Learner(settings=settings, seeds=(seed,), **options)
    fitted = trees(lambda _seed: None, [target], learner)
    assert fitted.histories == (None,)
    return lambda x: fitted.score(0, x)


def test_two_gaussians():
    scores, test = grow(gaussians(6000), Trees(members=5)), gaussians(20_000, seed=2)
    s = scores(test.x)
    assert auc(s, test.y) == pytest.approx(ANALYTIC_AUC, abs=0.01)
    # Probabilities: of the events with a score about p a share p is signal.
    for low in (0.2, 0.4, 0.6):
        near = (s > low) & (s < low + 0.2)
        assert test.y[near].mean() == pytest.approx(s[near].mean(), abs=0.05)


def test_the_score_is_the_mean_of_the_members():
    """An ensemble of two is the mean of its members; the first is that of an ensemble of one."""
    data, x = gaussians(500), gaussians(300, seed=1).x
    sums = {m: m * grow(data, replace(FEW, members=m))(x).astype(float) for m in (1, 2, 3)}
    for m in (1, 2, 3):
        member = sums[m] - sums.get(m - 1, 0)
        assert (member > -1e-6).all()
        assert (member < 1 + 1e-6).all()
    assert not np.allclose(sums[2], 2 * sums[1])


def test_weights_weigh():
    """Events of no weight are none; equal weights of another size change nothing."""
    data, x = gaussians(500), gaussians(300, seed=1).x
    keep = np.arange(500) % 5 > 0
    spoilt = replace(data, y=np.where(keep, data.y, 1 - data.y), weight=keep)
    np.testing.assert_array_equal(grow(spoilt)(x), grow(data.subset(keep))(x))
    # More weight of signal, higher scores: the odds are those of the weights.
    heavy = replace(data, weight=np.where(data.y == 1, 9.0, 1.0))
    assert np.median(grow(heavy)(x)) > np.median(grow(data)(x)) + 0.2


def test_events_are_flattened():
    data, x = gaussians(500), gaussians(300, seed=1).x
    square = replace(data, x=data.x.reshape(-1, 2, 2))
    np.testing.assert_array_equal(grow(square)(x.reshape(-1, 2, 2)), grow(data)(x))


def test_events_on_disk(tmp_path):
    data = gaussians(500)
    np.save(tmp_path / "x.npy", data.x)
    rows = Rows(np.load(tmp_path / "x.npy", mmap_mode="r"), np.arange(500))
    np.testing.assert_array_equal(grow(replace(data, x=rows))(rows), grow(data)(data.x))


def test_progress():
    told = []
    grow(gaussians(500), replace(FEW, members=3), progress=lambda *args: told.append(args))
    assert [args[:2] for args in told] == [(1, 3), (2, 3), (3, 3)]
    assert all(0 < loss < 0.7 for *_, train, validation in told for loss in (train, validation))


BAD = {
    "few": (gaussians(9), "expected at least 10 events to train on; got 9"),
    "NaN": (replace(gaussians(50), x=np.full((50, 4), np.nan)), "expected finite events"),
    "weight": (replace(gaussians(50), weight=-np.ones(50)), "expected weights of at least 0"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD.keys())
def test_bad_data(data, message):
    with pytest.raises(ValueError, match=message):
        grow(data)


BAD_VALUES = {
    "members": [0, -1],
    "learning_rate": [0.0, -0.1, np.inf],
    "max_iter": [0],
    "max_leaf_nodes": [1],
    "min_samples_leaf": [0],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values]
)
def test_bad_values(name, value):
    with pytest.raises(ValueError, match=f"expected .*; got {value}"):
        Trees(**{name: value})
