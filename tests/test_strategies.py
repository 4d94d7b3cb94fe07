"""Every strategy of the shelf on two data sets, one with and one without a signal."""

import copy
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from toys import SHIFTS, Exact, auc, search, weights

from fivesigma.losses import CrossEntropy
from fivesigma.networks.mlp import MLP
from fivesigma.prediction import logits
from fivesigma.rows import Rows
from fivesigma.strategies import STRATEGIES, Learner, Source, base
from fivesigma.training import TrainingSettings, fit

SETTINGS = TrainingSettings(
    learning_rate=2e-3, batch_size=200, max_epochs=8, patience=4, precision="float32"
)
INSTANCES = {  # name on the shelf, options, least area under the ROC curve for a strong signal
    "boosted": ("boosted", {"members": 6}, 0.7),
    "boosted, grid": ("boosted", {"members": 6, "depth": [1, 2]}, 0.7),
    "direct": ("direct", {}, 0.75),
    "experts": ("experts", {"prior": 5.0}, 0.8),
    "metatransfer": ("metatransfer", {}, 0.8),
    "one expert": ("one_expert", {}, 0.75),
    "transfer": ("transfer", {}, 0.8),
    "transfer, source head": ("transfer", {"head": "source"}, 0.8),
    "transfer, probe first": ("transfer", {"schedule": "probe first"}, 0.8),
    "trees": ("trees", {"members": 1, "max_iter": 10}, 0.7),
    "zero shot": ("zero_shot", {}, 0.8),
}
FIXED = ("experts", "one expert", "zero shot")
"""What is learnt without random numbers."""

TARGETS = [search(250, seed=1), search(0, n_background=725, seed=2)]
CONTROL = search(0, n_background=500, seed=7).x
TEST = search(400, n_background=400, seed=3)

every_strategy = pytest.mark.parametrize("name", INSTANCES)


def made(name):
    kind, options, _ = INSTANCES[name]
    return STRATEGIES[kind](**options)


@pytest.fixture(scope="module")
def signals():
    """A network that can tell the known signals, as one, from the background."""
    data = [search(1000, mean=SHIFTS[k], seed=4 + k) for k in (0, 1)]
    y = [d.truth for d in data]
    whole = replace(
        data[0],
        **{
            key: np.concatenate([getattr(d, key) for d in data]) for key in ("x", "truth", "weight")
        },
        y=np.concatenate(y),
    )
    train, validation = whole.split(0.8, rng=np.random.default_rng(0))
    network = MLP((4,), seed=0)
    return fit(network, train, validation, loss=CrossEntropy(), settings=SETTINGS, seed=0)[0]


@pytest.fixture
def start(signals):
    """What a strategy starts from."""

    def of(name):
        if made(name).source == "none":
            return lambda seed: MLP((4,), seed=seed)
        network = Exact().eval() if made(name).source == "process" else signals
        return lambda _seed: network

    return of


def learn(name, start, targets=TARGETS, *, seeds=(11, 12)):
    control = logits(Exact(), CONTROL) if made(name).source == "process" else None
    learner = Learner(settings=SETTINGS, seeds=tuple(seeds[: len(targets)]), control=control)
    return made(name)(start(name), targets, learner)


def test_the_shelf_is_covered():
    assert {name for name, _, _ in INSTANCES.values()} == set(STRATEGIES)


@every_strategy
def test_what_it_says_of_itself(name):
    strategy = made(name)
    assert strategy.source in get_args(Source)
    assert strategy.together in get_args(base.Together)
    with pytest.raises(AttributeError):
        strategy.source = "other"


@every_strategy
def test_scores(name, start):
    fitted = learn(name, start)
    assert len(fitted.histories) == 2
    for i, history in enumerate(fitted.histories):
        s = fitted.score(i, TEST.x)
        assert s.shape == (len(TEST),)
        assert s.dtype == np.float32
        assert np.isfinite(s).all()
        assert len(np.unique(s)) > 100
        assert history is None or not history.collapsed
    assert auc(fitted.score(0, TEST.x), TEST.truth) > INSTANCES[name][2]


@every_strategy
def test_a_score_does_not_depend_on_the_other_events(name, start):
    fitted = learn(name, start)
    s, order = fitted.score(0, TEST.x), np.random.default_rng(0).permutation(len(TEST))
    np.testing.assert_allclose(fitted.score(0, TEST.x[order]), s[order], rtol=1e-4, atol=1e-5)
    for part in (slice(0, 1), slice(5, 40)):
        np.testing.assert_allclose(fitted.score(0, TEST.x[part]), s[part], rtol=1e-4, atol=1e-5)


@every_strategy
def test_seeds(name, start):
    """The same seeds, the same scores; other seeds, others."""
    s = learn(name, start).score(0, TEST.x)
    torch.manual_seed(5)
    np.testing.assert_array_equal(learn(name, start).score(0, TEST.x), s)
    other = learn(name, start, seeds=(13, 14)).score(0, TEST.x)
    assert np.array_equal(other, s) == (name in FIXED)


@every_strategy
def test_each_data_set_is_learnt_by_itself(name, start):
    """They are of one size, so that there are as many steps as alone."""
    both = learn(name, start)
    for i, seed in enumerate((11, 12)):
        alone = learn(name, start, TARGETS[i : i + 1], seeds=(seed,))
        s = alone.score(0, TEST.x)
        np.testing.assert_allclose(both.score(i, TEST.x), s, rtol=1e-3, atol=1e-4)


@every_strategy
def test_truth_is_not_looked_at(name, start):
    rng = np.random.default_rng(0)
    scrambled = [replace(target, truth=rng.integers(0, 2, len(target))) for target in TARGETS]
    fitted, blind = learn(name, start), learn(name, start, scrambled)
    for i in (0, 1):
        np.testing.assert_array_equal(blind.score(i, TEST.x), fitted.score(i, TEST.x))


@every_strategy
def test_labels_are_looked_at(name, start):
    """But for a network that is used as it is."""
    turned = [replace(target, y=1 - target.y) for target in TARGETS]
    fitted, other = learn(name, start), learn(name, start, turned)
    same = np.array_equal(other.score(0, TEST.x), fitted.score(0, TEST.x))
    assert same == (name == "zero shot")


@every_strategy
def test_what_it_is_given_stays(name, start):
    targets = copy.deepcopy(TARGETS)
    network = start(name)(11)
    state = copy.deepcopy(network.state_dict())
    before, trainable = weights(network), [q.requires_grad for q in network.parameters()]
    fitted = learn(name, lambda _name: lambda _seed: network, targets)
    fitted.score(0, TEST.x)
    assert torch.equal(weights(network), before)
    assert all(torch.equal(v, state[key]) for key, v in network.state_dict().items())
    assert [q.requires_grad for q in network.parameters()] == trainable
    for target, given in zip(targets, TARGETS, strict=True):
        for key in ("x", "y", "truth", "weight"):
            assert np.array_equal(getattr(target, key), getattr(given, key))


@every_strategy
def test_events_that_are_not_in_memory(name, start, tmp_path):
    """Rows of one array on disk, as those of a study, are as good as arrays."""
    x = np.concatenate([target.x for target in TARGETS])
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    n = len(TARGETS[0])
    numbers = np.arange(n), np.arange(n, len(x))
    on_disk = [
        replace(target, x=Rows(mapped, index))
        for target, index in zip(TARGETS, numbers, strict=True)
    ]
    fitted, same = learn(name, start), learn(name, start, on_disk)
    for i, index in enumerate(numbers):
        s = same.score(i, Rows(mapped, index[:50]))
        np.testing.assert_allclose(s, fitted.score(i, TARGETS[i].x[:50]), rtol=1e-4, atol=1e-5)


@every_strategy
def test_bad_events(name, start):
    if name == "zero shot":
        pytest.skip("the data are not looked at")
    x = TARGETS[0].x.copy()
    x[3] = np.nan
    with pytest.raises(ValueError, match="expected finite"):
        learn(name, start, [replace(TARGETS[0], x=x)])


@every_strategy
def test_no_events(name, start):
    if name == "zero shot":
        pytest.skip("the data are not looked at")
    with pytest.raises(ValueError, match=r"expected .*; got 0"):
        learn(name, start, [TARGETS[0].subset(slice(0))])


def test_areas_without_a_signal(start):
    """Of what is learnt from the data alone, nothing is learnt where there is nothing."""
    x, y = TEST.x[400:], TEST.y[400:]  # background only
    for name in ("boosted", "direct", "trees"):
        s = learn(name, start).score(1, x)
        assert auc(s, y) == pytest.approx(0.5, abs=0.07)
