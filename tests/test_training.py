"""The loop at known answers: two Gaussians, no signal at all, and its promises one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toys import ANALYTIC_AUC, Tiny, auc, blobs, gaussians, weights

from fivesigma.datasets import Dataset
from fivesigma.losses import CrossEntropy
from fivesigma.networks.cnn import CNN
from fivesigma.prediction import logits
from fivesigma.rows import Rows
from fivesigma.training import TrainingSettings, fit, predict

SETTINGS = TrainingSettings(
    learning_rate=3e-3, batch_size=200, max_epochs=30, patience=5, precision="float32"
)


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


def test_two_gaussians():
    network, history = run(gaussians(8000), gaussians(2000, seed=1))
    test = gaussians(20_000, seed=2)
    assert auc(predict(network, test.x), test.y) == pytest.approx(ANALYTIC_AUC, abs=0.01)
    assert not history.collapsed


def test_evaluation_is_right_from_the_first_epoch():
    """Its loss on the training events is that of training: statistics of the norm do not lag."""
    data = replace(blobs(400), x=blobs(400).x + 100)
    settings = TrainingSettings(learning_rate=1e-9, batch_size=100, max_epochs=1)
    _, history = run(data, data, network=CNN((2, 8, 8), seed=0), settings=settings)
    assert history.validation_loss[0] == pytest.approx(history.train_loss[0], abs=0.01)


class Spied:
    """Events that remember how many of them were read at once."""

    def __init__(self, x):
        self.x, self.shape, self.read = x, x.shape, []

    def __getitem__(self, index):
        self.read.append(len(index))
        return self.x[index]


def test_held_out_events_are_read_slice_by_slice():
    """And give what events in memory give, to the last digit."""
    train, validation = gaussians(300), gaussians(5000, seed=1)
    spied = Spied(validation.x)
    on_disk = replace(validation, x=Rows(spied, np.arange(5000)))
    settings = replace(SETTINGS, max_epochs=3)
    network, history = run(train, on_disk, settings=settings)
    expected, other = run(train, validation, settings=settings)
    assert max(spied.read) <= 1024
    assert sum(spied.read) == 5000 * (1 + 3 + 1)
    assert history.validation_loss == other.validation_loss
    for name, theta in network.state_dict().items():
        assert torch.equal(theta, expected.state_dict()[name])


@pytest.mark.parametrize("n", [0, 1, 1024, 2500])
def test_scores_are_those_of_slices(n):
    """One array is filled, and has the values of each slice by itself."""
    network, x = Tiny().eval(), gaussians(3000).x[:n]
    z = logits(network, x, precision="float32")
    parts = [network(torch.from_numpy(x[i : i + 1024])) for i in range(0, n, 1024)]
    assert z.shape == (n,)
    assert torch.equal(z, torch.cat([torch.empty(0), *parts]).detach())


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


class Known(nn.Module):
    """Event numbers, shape (N, 1), to the logits that a table, shape (E, N), has for the epoch."""

    def __init__(self, table):
        super().__init__()
        self.theta, self.table = nn.Parameter(torch.ones(1)), table
        self.register_buffer("epoch", torch.tensor(-1))

    def forward(self, x):
        if self.training:  # once an epoch
            self.epoch += 1
            return self.theta * x[:, 0]
        return self.table[self.epoch, x[:, 0].long()]


def known(n=200):
    """Labels of 2 n events, and six epochs: a low loss in 1, a few clear events of label 1 in 3.

    In epoch 1 of 0.6 of the events the label is known, and the loss is that of a 0.6; the measure
    is 0.1 / sqrt(0.2) at best. In epoch 3 n / 10 events of label 1 are above all others; the loss
    is that of a logit of 3 for the rest, and the measure 0.095 / sqrt(0.05) at 0.05.
    """
    y = torch.arange(2 * n) < n
    right = torch.arange(2 * n) % 10 < 6
    table = torch.zeros(6, 2 * n)
    table[1] = math.log(1.5) * torch.where(y == right, 1, -1)
    table[3] = torch.where(torch.arange(2 * n) < n // 10, 50.0, 3.0)
    events = np.arange(2 * n, dtype=np.float32)[:, None]
    return Dataset(events, y.numpy(), y.numpy(), np.ones(2 * n)), table


@pytest.mark.parametrize(("best_by", "best"), [("loss", 1), ("argos", 3)])
def test_the_best_epoch_is_the_best_by_what_is_asked_for(best_by, best):
    data, table = known()
    settings = replace(SETTINGS, batch_size=400, max_epochs=6, patience=2, best_by=best_by)
    network, history = run(data, data, network=Known(table), settings=settings)
    assert (history.best_epoch, int(network.epoch)) == (best, best)
    assert len(history.validation_loss) == best + 3
    assert history.validation_loss[1] == pytest.approx(-0.6 * math.log(0.6) - 0.4 * math.log(0.4))
    measures = [0, 0.1 / 0.2**0.5, 0, 0.095 / 0.05**0.5, 0, 0]
    if best_by == "argos":
        assert history.argos == pytest.approx(measures, abs=1e-6)
        assert history.summary()["argos"] == list(history.argos)
    else:
        assert history.argos == ()
        assert "argos" not in history.summary()


def test_a_larger_measure_has_to_be_larger_by_the_delta():
    data, table = known()
    settings = replace(SETTINGS, batch_size=400, patience=2, best_by="argos", min_delta=0.3)
    _, history = run(data, data, network=Known(table), settings=settings)
    assert (history.best_epoch, len(history.argos)) == (0, 3)


def test_the_measure_needs_events():
    settings = replace(SETTINGS, best_by="argos")
    with pytest.raises(ValueError, match="expected 50 template events or more for ARGOS; got"):
        run(validation=gaussians(60), settings=settings)
    data = replace(gaussians(200), y=gaussians(200).y + 0.0)
    several = nn.Linear(4, 3)
    loss = lambda z, y, w: z.square().mean()  # noqa: E731
    with pytest.raises(ValueError, match=r"expected one logit of each .*; got shape \(200, 3\)"):
        fit(several, data, data, loss=loss, settings=settings, seed=0)


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
