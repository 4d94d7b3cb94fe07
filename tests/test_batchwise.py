"""Training with losses of whole batches, which are not cut into slices."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn
from toys import ANALYTIC_AUC, DISTANCE, Tiny, auc, blobs, gaussians

from fivesigma.heads import Chosen, fit_heads
from fivesigma.losses import CrossEntropy
from fivesigma.lovasz import ERRORS, LovaszAsimov, LovaszSignificance
from fivesigma.networks.cnn import CNN
from fivesigma.statistics import asimov
from fivesigma.training import TrainingSettings, fit, predict, step

SIGNIFICANCE = {LovaszSignificance: lambda s, b: s / b**0.5, LovaszAsimov: asimov}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", SIGNIFICANCE)
def test_two_gaussians(kind, error):
    """The network learns to tell them, and its cut at 0.5 is that of the highest significance."""
    settings = TrainingSettings(
        learning_rate=0.01, batch_size=400, max_epochs=15, patience=15, precision="float32"
    )
    data, test = (gaussians(4000), gaussians(1000, seed=1)), gaussians(20_000, seed=2)
    n_s, n_b, epsilon = 10.0, 10.0, 5.0
    loss = kind(error, epsilon=epsilon, n_s=n_s, n_b=n_b)
    network, _ = fit(Tiny(), *data, loss=loss, settings=settings, seed=0)
    p = predict(network, test.x, precision="float32")
    assert auc(p, test.y) == pytest.approx(ANALYTIC_AUC, abs=0.015)
    cuts, Z = np.linspace(-3, 5, 801), SIGNIFICANCE[kind]
    best = max(Z(n_s * norm.sf(c - DISTANCE), epsilon + n_b * norm.sf(c)) for c in cuts)
    eps_s, eps_b = ((p[test.y == k] > 0.5).mean() for k in (1, 0))
    assert Z(n_s * eps_s, epsilon + n_b * eps_b) == pytest.approx(best, rel=0.015)


def gradient(loss, slice_size):
    """Of the weights of a network after a step on one batch."""
    network, data = CNN((2, 8, 8), seed=0), blobs(64)
    network.slice_size = slice_size
    rng = np.random.default_rng(0)
    batch = tuple(torch.tensor(a, dtype=torch.float32) for a in (data.x, data.y, rng.random(64)))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-9)
    L = step(network, optimizer, batch, loss=loss, precision="float32")
    return L, torch.cat([theta.grad.flatten() for theta in network.parameters()])


@pytest.mark.parametrize(
    "loss",
    [CrossEntropy(), LovaszSignificance("cross_entropy"), LovaszAsimov("hinge", n_s=3.0)],
    ids=["cross entropy", "significance", "asimov"],
)
def test_slices_have_the_gradient_of_the_batch(loss):
    whole, sliced = gradient(loss, 64), gradient(loss, 10)
    assert sliced[0] == pytest.approx(whole[0], rel=1e-5)
    scale = whole[1].abs().max().item()
    torch.testing.assert_close(sliced[1], whole[1], rtol=0, atol=1e-4 * scale)
    assert scale > 0


def test_heads_are_of_means():
    """Their events are padded and their losses computed together."""
    rows, y = torch.randn(8, 4), torch.tensor([0.0, 1.0] * 4)
    chosen = [Chosen(torch.arange(8), y, torch.ones(8))]
    settings = TrainingSettings(max_epochs=1)
    with pytest.raises(ValueError, match="expected a loss that is a mean over events; got Lovasz"):
        fit_heads(
            *([nn.Linear(4, 1)], rows, chosen, chosen),
            loss=LovaszSignificance(),
            settings=settings,
            seeds=[0],
        )
