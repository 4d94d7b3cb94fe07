"""The loop at known answers: two Gaussians, scores that are known, and the best epoch."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting import SETTINGS, run
from torch import nn
from toys import ANALYTIC_AUC, Tiny, auc, blobs, gaussians

from fivesigma.datasets import Dataset
from fivesigma.networks.cnn import CNN
from fivesigma.prediction import logits
from fivesigma.rows import Rows
from fivesigma.training import TrainingSettings, fit, predict


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
