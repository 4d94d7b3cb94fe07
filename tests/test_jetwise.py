"""One network for each jet: what it is, what it cannot see, and what it gains on a rare signal."""

import numpy as np
import pytest
import torch
from toys import auc

from fivesigma.datasets import Dataset
from fivesigma.losses import CrossEntropy
from fivesigma.networks import Ensemble
from fivesigma.networks.jetwise import Jetwise
from fivesigma.networks.mlp import MLP
from fivesigma.training import TrainingSettings, fit, predict

SHAPE = (2, 6)
FLAT = TrainingSettings(learning_rate=1e-3, batch_size=1000, max_epochs=100, patience=10)


def events(n, seed=0):
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


def test_is_the_sum_of_plain_networks():
    network, x = Jetwise(SHAPE, seed=1), 30 * events(50) + 7
    jets = x.double().flatten(0, 1)
    u = (jets - jets.mean(0)) / jets.std(0, correction=0)
    first, second, third = (m for m in network.modules() if isinstance(m, torch.nn.Linear))
    h = u.float()
    for layer in (first, second):
        h = (h @ layer.weight.T + layer.bias).clamp_min(0)
    z = (h @ third.weight.T + third.bias).view(50, 2).sum(dim=1)
    torch.testing.assert_close(network(x), z, rtol=1e-4, atol=1e-5)


def test_jets_have_no_order_and_no_correlation():
    network, x, y = Jetwise(SHAPE, seed=1), events(50), events(50, seed=1)
    network(x)
    network.eval()
    torch.testing.assert_close(network(x.flip(1)), network(x))
    swapped = torch.stack([x[:, 0], y[:, 1]], 1), torch.stack([y[:, 0], x[:, 1]], 1)
    together = network(x) + network(y)
    torch.testing.assert_close(network(swapped[0]) + network(swapped[1]), together)


@pytest.mark.parametrize("shape", [(4,), (0, 3), (2, 0), (2, 3, 4)])
def test_shapes_that_are_no_jets(shape):
    with pytest.raises(ValueError, match=r"shape \(J, F\)"):
        Jetwise(shape)


def mixed(n, share, seed):
    """Two samples, of which the first holds a share of a signal: its jets are twice as wide."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    truth = (y == 1) & (rng.random(n) < share)
    x = rng.normal(size=(n, *SHAPE)) * np.where(truth[:, None, None], 2, 1)
    return Dataset(x.astype(np.float32), y, truth.astype(int), np.ones(n))


def test_finds_a_rarer_signal_than_a_network_of_the_event():
    """The medians of five data sets, with a signal of 6 % in one of the samples."""
    areas: dict[type, list[float]] = {Jetwise: [], MLP: []}
    test = mixed(20_000, 0.5, seed=100)
    for seed in range(5):
        train, validation = mixed(6000, 0.06, seed=seed), mixed(3000, 0.06, seed=50 + seed)
        for kind, area in areas.items():
            network, _ = fit(
                kind(SHAPE, seed=seed),
                train,
                validation,
                loss=CrossEntropy(),
                settings=FLAT,
                seed=seed,
            )
            area.append(auc(predict(network, test.x), test.truth))
    assert np.median(areas[Jetwise]) > np.median(areas[MLP]) + 0.15


def test_an_ensemble_scores_by_the_mean():
    members = [Jetwise(SHAPE, seed=s) for s in (1, 2, 3)]
    x = events(40)
    for member in members:
        member(x)
    scores = np.mean([predict(member, x.numpy()) for member in members], axis=0)
    np.testing.assert_allclose(predict(Ensemble(members), x.numpy()), scores, rtol=1e-5)
    z = Ensemble(members).eval()(1e4 * x)
    assert z.isfinite().all()
