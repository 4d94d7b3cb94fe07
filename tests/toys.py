"""Data sets and networks whose answers are known."""

import math

import numpy as np
import torch
from torch import nn

from fivesigma.datasets import Dataset

DISTANCE = 1.5
"""Between the means of two unit Gaussians: AUC = Phi(distance / sqrt(2)) = 0.8556."""

ANALYTIC_AUC = 0.5 * (1 + math.erf(DISTANCE / 2))


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
    """Unit Gaussians, of which the first number is larger by the distance if y = 1."""
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


def clouds(n, *, seed=0, particles=12, spread=1.7):
    """Two jets of 1 to P constituents, unaligned, wider by the factor `spread` if y = 1."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    pt = np.sort(600 * rng.random((n, 2, particles)) ** 4 + 0.5)[..., ::-1]
    pt = pt * (np.arange(particles) < rng.integers(1, particles + 1, (n, 2, 1)))
    xy = rng.normal(0, 0.2, (n, 2, particles, 2)) * (pt > 0)[..., None]
    xy *= (1 + (spread - 1) * y)[:, None, None, None]
    return Dataset(np.concatenate([pt[..., None], xy], axis=-1), y, y, np.ones(n))


def auc(scores, y):
    """Area under the ROC curve of scores without ties."""
    order = np.argsort(np.argsort(scores))
    n_1, n_0 = (y == 1).sum(), (y == 0).sum()
    return (order[y == 1].sum() - n_1 * (n_1 - 1) / 2) / (n_1 * n_0)


def weights(network):
    """All parameters of a network as one vector."""
    return torch.cat([q.detach().flatten() for q in network.parameters()])


SHIFTS = np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0]], np.float32)
"""Means of two known signals in four features; the background is a unit Gaussian at 0."""


def search(n_signal, *, n_background=600, seed=0, mean=(1.4, 1.4, 0, 0)):
    """CWoLa data: a signal in the signal region, and as much background there as besides."""
    rng = np.random.default_rng(seed)
    n = n_signal + 2 * n_background
    x = rng.normal(size=(n, 4))
    x[:n_signal] += mean
    y, truth = np.arange(n) < n_signal + n_background, np.arange(n) < n_signal
    return Dataset(x, y, truth, np.ones(n))


class Exact(nn.Module):
    """Logits of the processes of `SHIFTS` in equal total weight of signals and background.

    The tower multiplies by 2, so that it can be told from no tower.
    """

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False)
        self.head = nn.Linear(4, 3)
        K = len(SHIFTS)
        with torch.no_grad():
            self.first.weight.copy_(2 * torch.eye(4))
            self.head.weight.zero_()
            self.head.weight[1:] = torch.from_numpy(SHIFTS) / 2
            self.head.bias.zero_()
            self.head.bias[1:] = torch.from_numpy(-(SHIFTS**2).sum(axis=1) / 2) - math.log(K)

    def tower(self, x):
        return self.first(x)

    def forward(self, x):
        return self.head(self.tower(x))

    def new_head(self, seed):
        raise NotImplementedError
