"""What the loop promises, one by one, and what it refuses."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting import SETTINGS, run
from torch import nn
from toys import Tiny, auc, blobs, gaussians, weights

from fivesigma.datasets import Dataset
from fivesigma.networks.cnn import CNN
from fivesigma.training import TrainingSettings, fit, predict


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
    data, network = blobs(150), CNN((2, 8, 8), seed=0)
    networks = [run(data, data, network=network, settings=settings, seed=1)[0] for _ in range(2)]
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


class Scale(nn.Module):
    """Numbers, shape (N, 1), times one weight theta that starts at 3; sliceable."""

    def __init__(self, slice_size):
        super().__init__()
        self.theta, self.slice_size = nn.Parameter(torch.tensor(3.0)), slice_size

    def standardise(self, x):
        return x

    def logits(self, x):
        return self.theta * x[:, 0]

    forward = logits


@pytest.mark.parametrize("slice_size", [40, 10])
@pytest.mark.parametrize("anchor", [0.0, 0.5, 1e4])
def test_anchor(anchor, slice_size):
    """Of (theta - 1)^2 + anchor (theta - 3)^2 the minimum is at (1 + 3 anchor) / (1 + anchor)."""
    ones = Dataset(np.ones((40, 1)), np.ones(40), np.ones(40), np.ones(40))
    settings = replace(SETTINGS, learning_rate=0.03, max_epochs=200, patience=200, anchor=anchor)
    square = lambda z, y, w: (w * (z - y) ** 2).sum() / w.sum()  # noqa: E731
    _, history = fit(Scale(slice_size), ones, ones, loss=square, settings=settings, seed=0)
    theta = 1 + math.sqrt(history.train_loss[-1])
    assert theta == pytest.approx((1 + 3 * anchor) / (1 + anchor), abs=0.01)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_weight_decay(decay):
    """Where the loss is flat, Adam stays and each step takes off its share."""
    ones = Dataset(np.ones((40, 1)), np.ones(40), np.ones(40), np.ones(40))
    settings = replace(SETTINGS, learning_rate=0.1, batch_size=10, patience=1, weight_decay=decay)
    flat = lambda z, y, w: 0 * z.sum()  # noqa: E731
    result, _ = fit(Scale(10), ones, ones, loss=flat, settings=settings, seed=0)
    assert result.theta.item() == pytest.approx(3 * (1 - 0.1 * decay) ** 4, rel=1e-6)


def test_weight_decay_is_not_in_the_gradient():
    """Of a slope of any size Adam steps by the learning rate; an L2 loss would change nothing."""
    ones = Dataset(np.ones((40, 1)), np.ones(40), np.ones(40), np.ones(40))
    for decay in (0.0, 0.5):
        settings = replace(SETTINGS, learning_rate=0.1, max_epochs=1, weight_decay=decay)
        slope = lambda z, y, w: 7 * z.mean()  # noqa: E731
        result, _ = fit(Scale(40), ones, ones, loss=slope, settings=settings, seed=0)
        assert result.theta.item() == pytest.approx(3 * (1 - 0.1 * decay) - 0.1, rel=1e-5)


def test_precisions_agree():
    results, test = [], blobs(400, seed=1)
    for precision in ("float32", "bfloat16"):
        settings = TrainingSettings(
            learning_rate=1e-3, batch_size=50, max_epochs=3, precision=precision
        )
        network = CNN((2, 8, 8), seed=0)
        result, history = run(blobs(480), blobs(120, seed=2), network=network, settings=settings)
        assert history.precision == precision
        scores = predict(result, test.x, precision=precision)
        results.append((min(history.validation_loss), auc(scores, test.y)))
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
    "anchor": [-1.0, math.inf],
    "weight_decay": [-1e-4, math.inf],
    "precision": ["float16"],
    "best_by": ["truth", ""],
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
