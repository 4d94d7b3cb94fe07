"""The loop at known answers: two Gaussians, no signal at all, and its promises one by one."""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from fivesigma.datasets import Dataset
from fivesigma.losses import CrossEntropy
from fivesigma.networks.cnn import CNN
from fivesigma.strategies import STRATEGIES, Learner
from fivesigma.training import TrainingSettings, fit, predict

DISTANCE = 1.5
"""Between the means of two unit Gaussians: AUC = Phi(distance / sqrt(2)) = 0.8556."""

ANALYTIC_AUC = 0.5 * (1 + math.erf(DISTANCE / 2))

SETTINGS = TrainingSettings(
    learning_rate=3e-3, batch_size=200, max_epochs=30, patience=5, precision="float32"
)


class Tiny(nn.Module):
    """Features, shape (N, d), to logits, shape (N,)."""

    def __init__(self, d=4, dropout=0.0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Linear(d, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 1)
            )

    def forward(self, x):
        return self.layers(x)[:, 0]


def gaussians(n, *, seed=0, distance=DISTANCE, d=4):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.normal(size=(n, d))
    x[:, 0] += distance * y
    return Dataset(x, y, y, np.ones(n))


def blobs(n, *, seed=0, pixels=8):
    """Two jet images of noise, with a brighter centre if y = 1."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.exponential(size=(n, 2, pixels, pixels))
    x[:, :, 3:5, 3:5] += 1.5 * y[:, None, None, None]
    return Dataset(x, y, y, np.ones(n))


def direct(network, target, *, settings, seed):
    """Train on one data set; returns its scores and history."""
    learner = Learner(settings=settings, seeds=(seed,))
    fitted = STRATEGIES["direct"]()(lambda seed: network, [target], learner)
    return partial(fitted.score, 0), fitted.histories[0]


def auc(scores, y):
    order = np.argsort(np.argsort(scores))
    n_1, n_0 = (y == 1).sum(), (y == 0).sum()
    return (order[y == 1].sum() - n_1 * (n_1 - 1) / 2) / (n_1 * n_0)


def run(train=None, validation=None, *, network=None, settings=SETTINGS, seed=0, **options):
    return fit(
        network or Tiny(),
        gaussians(2000) if train is None else train,
        gaussians(500, seed=1) if validation is None else validation,
        loss=CrossEntropy(),
        settings=settings,
        seed=seed,
        **options,
    )


def weights(network):
    return torch.cat([q.detach().flatten() for q in network.parameters()])


def test_two_gaussians():
    network, history = run(gaussians(8000), gaussians(2000, seed=1))
    test = gaussians(20_000, seed=2)
    assert auc(predict(network, test.x), test.y) == pytest.approx(ANALYTIC_AUC, abs=0.01)
    assert not history.collapsed


def test_mixed_samples_learn_what_labels_would():
    """Labels that are right for 80 % of the events give the same classifier."""
    data = gaussians(8000)
    flip = np.random.default_rng(3).random(len(data)) < 0.2
    mixed = replace(data, y=np.where(flip, 1 - data.y, data.y))
    network, _ = direct(Tiny(), mixed, settings=SETTINGS, seed=0)
    test = gaussians(20_000, seed=2)
    assert auc(predict(network, test.x), test.y) == pytest.approx(ANALYTIC_AUC, abs=0.01)


def test_equal_mixtures_learn_nothing():
    """The network separates nothing held out by its label, whatever the truth of the events."""
    train, test = gaussians(4000), gaussians(4000, seed=2)
    rng = np.random.default_rng(4)
    coin = replace(train, y=rng.integers(0, 2, len(train)))
    network, _ = direct(Tiny(), coin, settings=SETTINGS, seed=0)
    y = rng.integers(0, 2, len(test))
    error = math.sqrt((len(y) + 1) / (12 * (y == 1).sum() * (y == 0).sum()))
    assert auc(predict(network, test.x), y) == pytest.approx(0.5, abs=3 * error)


def test_cnn_learns():
    settings = TrainingSettings(learning_rate=1e-3, batch_size=50, max_epochs=4)
    network, history = direct(CNN((2, 8, 8), seed=0), blobs(600), settings=settings, seed=0)
    test = blobs(400, seed=1)
    assert auc(predict(network, test.x), test.y) > 0.9
    assert min(history.validation_loss) < 0.5


def test_evaluation_is_right_from_the_first_epoch():
    """Its loss on the training events is that of training: statistics of the norm do not lag."""
    data = replace(blobs(400), x=blobs(400).x + 100)
    settings = TrainingSettings(learning_rate=1e-9, batch_size=100, max_epochs=1)
    _, history = run(data, data, network=CNN((2, 8, 8), seed=0), settings=settings)
    assert history.validation_loss[0] == pytest.approx(history.train_loss[0], abs=0.01)


def test_stops_and_restores_the_best_weights():
    train, validation = gaussians(100, d=40), gaussians(300, seed=1, d=40)
    settings = replace(SETTINGS, learning_rate=0.02, batch_size=20, max_epochs=200)
    network, history = run(train, validation, network=Tiny(40), settings=settings)
    epochs = len(history.validation_loss)
    assert len(history.train_loss) == len(history.seconds) == epochs
    assert epochs == history.best_epoch + 1 + settings.patience < settings.max_epochs
    assert history.best_epoch == int(np.argmin(history.validation_loss))
    p = predict(network, validation.x, precision="float32")
    loss = -np.log(np.where(validation.y == 1, p, 1 - p)).mean()
    assert loss == pytest.approx(min(history.validation_loss), rel=1e-5)
    assert not network.training


def test_min_delta():
    settings = replace(SETTINGS, min_delta=10.0, patience=3)
    _, history = run(settings=settings)
    assert history.best_epoch == 0
    assert len(history.validation_loss) == 4


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_same_seed_same_weights(dropout):
    settings = replace(SETTINGS, max_epochs=2)
    torch.manual_seed(1)
    first, _ = run(network=Tiny(dropout=dropout), settings=settings, seed=7)
    torch.manual_seed(2)
    same, _ = run(network=Tiny(dropout=dropout), settings=settings, seed=7)
    other, _ = run(network=Tiny(dropout=dropout), settings=settings, seed=8)
    assert torch.equal(weights(first), weights(same))
    assert not torch.equal(weights(first), weights(other))


def test_same_seed_same_weights_of_a_cnn():
    settings = TrainingSettings(batch_size=50, max_epochs=1)
    networks = [
        direct(CNN((2, 8, 8), seed=0), blobs(150), settings=settings, seed=1)[0] for _ in range(2)
    ]
    assert torch.equal(*map(weights, networks))


def test_leaves_what_it_is_given():
    network, data = Tiny(), gaussians(500)
    before, x = weights(network), data.x.copy()
    state = torch.get_rng_state()
    result, _ = run(data, network=network)
    assert result is not network
    assert torch.equal(weights(network), before)
    assert network.training
    assert np.array_equal(data.x, x)
    assert torch.equal(torch.get_rng_state(), state)


def test_frozen_weights_stay():
    network = Tiny()
    network.layers[0].requires_grad_(requires_grad=False)
    result, _ = run(network=network)
    assert torch.equal(result.layers[0].weight, network.layers[0].weight)
    assert not torch.equal(result.layers[3].weight, network.layers[3].weight)


def test_precisions_agree():
    results = []
    for precision in ("float32", "bfloat16"):
        settings = TrainingSettings(
            learning_rate=1e-3, batch_size=50, max_epochs=3, precision=precision
        )
        network, history = direct(CNN((2, 8, 8), seed=0), blobs(600), settings=settings, seed=0)
        assert history.precision == precision
        scores = predict(network, blobs(400, seed=1).x, precision=precision)
        results.append((min(history.validation_loss), auc(scores, blobs(400, seed=1).y)))
    assert results[0] == pytest.approx(results[1], abs=0.05)


def test_bfloat16_scores_do_not_tie():
    scores = predict(CNN((2, 25, 25), seed=0), blobs(300, pixels=25).x, precision="bfloat16")
    assert len(np.unique(scores)) > 290


def test_slices_are_the_whole_batch():
    """The step is the same however the batch is cut, also with weights."""
    data = blobs(64)
    data = replace(data, weight=np.random.default_rng(0).uniform(0.1, 2, 64))
    settings = TrainingSettings(max_epochs=2, precision="float32")
    results = []
    for slice_size in (64, 10):
        network = CNN((2, 8, 8), seed=0)
        network.slice_size = slice_size
        result, history = run(data, data, network=network, settings=settings)
        results.append((history.train_loss, result))
    (loss, network), (sliced_loss, sliced) = results
    assert loss == pytest.approx(sliced_loss, rel=1e-5)
    torch.testing.assert_close(weights(network), weights(sliced), rtol=0, atol=2e-5)


def test_zero_weights_remove_events():
    data = gaussians(1000)
    keep = np.arange(1000) % 3 > 0
    spoilt = replace(data, y=np.where(keep, data.y, 1 - data.y), weight=keep)
    assert torch.equal(weights(run(spoilt)[0]), weights(run(data.subset(keep))[0]))


def test_weights_weigh():
    """An event of weight two is two events."""
    z, y = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([1.0, 0.0, 0.0])
    loss = CrossEntropy()
    twice = loss(z[[0, 0, 1, 2]], y[[0, 0, 1, 2]], torch.ones(4))
    assert loss(z, y, torch.tensor([2.0, 1.0, 1.0])).item() == pytest.approx(twice.item())
    assert loss(z[:1], y[:1], torch.ones(1)).item() == pytest.approx(math.log1p(math.exp(-0.3)))


def test_progress():
    seen = []
    _, history = run(
        settings=replace(SETTINGS, max_epochs=3), progress=lambda *args: seen.append(args)
    )
    assert seen == [(i + 1, 3, history.train_loss[i], history.validation_loss[i]) for i in range(3)]


def test_prints_nothing_and_writes_nothing(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(settings=replace(SETTINGS, max_epochs=2))
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_collapsed_training_is_reported():
    network = Tiny()
    nn.init.constant_(network.layers[0].weight, 0)
    nn.init.constant_(network.layers[0].bias, -1)
    _, history = run(network=network)
    assert history.collapsed


def test_direct_splits_by_event():
    sizes = []

    @dataclass(frozen=True)
    class Spy(CrossEntropy):
        def __call__(self, logits, y, weight):
            sizes.append(len(y))
            return super().__call__(logits, y, weight)

    settings = replace(SETTINGS, max_epochs=1, batch_size=10_000, validation_fraction=0.25)
    train, validation = gaussians(1000).split(0.75, rng=np.random.default_rng(5))
    fit(Tiny(), train, validation, loss=Spy(), settings=settings, seed=5)
    assert sizes == [750, 250]
    network, history = direct(Tiny(), gaussians(1000), settings=settings, seed=5)
    expected, expected_history = run(train, validation, settings=settings, seed=5)
    assert torch.equal(weights(network), weights(expected))
    assert history.validation_loss == expected_history.validation_loss


def test_strategies():
    assert {"direct": direct} == STRATEGIES


def test_predict_nothing():
    assert predict(Tiny(), np.empty((0, 4), np.float32)).shape == (0,)


def test_predict_keeps_the_mode():
    network = Tiny(dropout=0.5)
    x = gaussians(3000).x
    assert np.array_equal(predict(network, x), predict(network, x))
    assert network.training


def broken(data, **changes):
    arrays = {name: getattr(data, name).copy() for name in ("x", "y", "truth", "weight")}
    for name, value in changes.items():
        arrays[name][3] = value
    return Dataset(**arrays)


GOOD = gaussians(50)
NOTHING = GOOD.subset(slice(0))
BAD_DATA = {
    "no validation": (GOOD, NOTHING, "expected at least 1 events to validate on; got 0"),
    "one event": (GOOD.subset(slice(1)), GOOD, "expected at least 2 events to train on; got 1"),
    "weights of zero": (
        replace(GOOD, weight=np.zeros(50)), GOOD, "expected at least 2 events to train on; got 0",
    ),
    "NaN": (broken(GOOD, x=np.nan), GOOD, "expected finite events and weights to train on"),
    "infinity": (GOOD, broken(GOOD, x=np.inf), "expected finite events and weights to validate"),
    "negative weight": (broken(GOOD, weight=-1), GOOD, "expected weights of at least 0"),
}  # fmt: skip


@pytest.mark.parametrize(("train", "validation", "message"), BAD_DATA.values(), ids=BAD_DATA.keys())
def test_bad_data(train, validation, message):
    with pytest.raises(ValueError, match=message):
        run(train, validation)


BAD_SETTINGS = {
    "learning_rate": [0.0, -1.0, math.nan],
    "batch_size": [0],
    "max_epochs": [0],
    "patience": [0],
    "min_delta": [-1.0],
    "validation_fraction": [0.0, 1.0],
    "precision": ["float16"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_SETTINGS.items() for value in values]
)
def test_bad_settings(name, value):
    with pytest.raises(ValueError, match=f"expected {name} .*; got"):
        TrainingSettings(**{name: value})


def test_diverging_training():
    settings = replace(SETTINGS, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="expected finite losses; got"):
        run(settings=settings)
