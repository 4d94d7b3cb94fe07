"""Losses of a few events that can be written down, and their minima."""

import math

import numpy as np
import pytest
import torch

from fivesigma.losses import Categorical, CrossEntropy

Z = torch.tensor([0.3, -1.0, 2.0])
Z_3 = torch.tensor([[0.3, -1.0, 2.0], [0.0, 0.0, 0.0], [5.0, 1.0, -2.0]])
LOSSES = {  # loss, logits, labels
    "binary": (CrossEntropy(), Z, torch.tensor([1.0, 0.0, 0.0])),
    "categorical": (Categorical(), Z_3, torch.tensor([2.0, 1.0, 0.0])),
}

every_loss = pytest.mark.parametrize(("loss", "z", "y"), LOSSES.values(), ids=LOSSES.keys())


@every_loss
def test_weights_weigh(loss, z, y):
    """An event of weight two is two events, and one of weight zero is none."""
    twice = loss(z[[0, 0, 1, 2]], y[[0, 0, 1, 2]], torch.ones(4))
    torch.testing.assert_close(loss(z, y, torch.tensor([2.0, 1.0, 1.0])), twice)
    torch.testing.assert_close(loss(z, y, torch.tensor([4.0, 2.0, 2.0])), twice)
    without = loss(z[1:], y[1:], torch.ones(2))
    torch.testing.assert_close(loss(z, y, torch.tensor([0.0, 1.0, 1.0])), without)


def test_cross_entropy_of_one_event():
    for z in (-30.0, -0.3, 0.0, 2.0, 30.0):
        l = [
            CrossEntropy()(torch.tensor([z]), torch.tensor([y]), torch.ones(1)) for y in (0.0, 1.0)
        ]
        assert l[0].item() == pytest.approx(np.logaddexp(0, z), rel=1e-6)
        assert l[1].item() == pytest.approx(np.logaddexp(0, -z), rel=1e-6)


def test_categorical_of_one_event():
    z = torch.tensor([[0.3, -1.0, 2.0]])
    for k in range(3):
        l = Categorical()(z, torch.tensor([float(k)]), torch.ones(1)).item()
        assert l == pytest.approx(math.log(sum(math.exp(a) for a in (0.3, -1.0, 2.0))) - z[0, k])


def test_categorical_of_two_processes_is_binary():
    """z_1 - z_0 is the logit."""
    z, y, weight = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(0))
    y, weight = (y[:, 0] > 0).float(), weight[:, 0].abs()
    binary = CrossEntropy()(z[:, 1] - z[:, 0], y, weight)
    torch.testing.assert_close(Categorical()(z, y, weight), binary)


def test_minima_are_logarithms_of_ratios():
    """Of events that all look alike: the logits are those of the shares in weight."""
    y = torch.tensor([0.0, 1.0, 2.0])
    weight = torch.tensor([2.0, 1.0, 5.0])
    z = weight.log()[None].repeat(3, 1).requires_grad_()
    Categorical()(z, y, weight).backward()
    torch.testing.assert_close(z.grad.sum(dim=0), torch.zeros(3), rtol=0, atol=1e-7)
    logit = torch.tensor(math.log(6 / 2)).repeat(3).requires_grad_()
    CrossEntropy()(logit, (y > 0).float(), weight).backward()
    assert abs(logit.grad.sum().item()) < 1e-7
