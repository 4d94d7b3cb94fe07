"""Losses of a few events that can be written down, and their minima."""

import math

import numpy as np
import pytest
import torch

from fivesigma.losses import Categorical, CrossEntropy, ProcessWeights, tree_objective
from fivesigma.lovasz import ERRORS, LovaszAsimov, LovaszSignificance

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


PROCESS = np.repeat([0, 1, 2], [2, 4, 8])
SIGMA = np.array([91.23, 0.0231, 0.0739])
"""Cross sections [fb] of two backgrounds and of a signal, after the selection of the thesis."""
SIGNAL = np.array([False, False, True])

WEIGHTS = {  # size, cross section, weights of the processes
    "rates": (1, 1, [91.23 / 2, 0.0231 / 4, 0.0739 / 8]),
    "equal": (1, 0, [1 / 2, 1 / 4, 1 / 8]),
    "unweighted": (0, 0, [1, 1, 1]),
    "root of numbers": (1 / 3, 0, [2 ** (-1 / 3), 4 ** (-1 / 3), 1 / 2]),
    "root of cross sections": (0, 0.5, [91.23**0.5, 0.0231**0.5, 0.0739**0.5]),
    "roots": (0.5, 0.25, [91.23**0.25 / 2**0.5, 0.0231**0.25 / 2, 0.0739**0.25 / 8**0.5]),
    "log of numbers": ("log", 0, [1 / math.log(2), 1 / math.log(4), 1 / math.log(8)]),
    "log and rates": ("log", 1, [91.23 / math.log(2), 0.0231 / math.log(4), 0.0739 / math.log(8)]),
    "lifted": (0, "lifted", [91.23, 0.0231, 73.9]),
    "lifted rates": (1, "lifted", [91.23 / 2, 0.0231 / 4, 73.9 / 8]),
}


@pytest.mark.parametrize(("size", "section", "expected"), WEIGHTS.values(), ids=WEIGHTS.keys())
def test_process_weights(size, section, expected):
    w = ProcessWeights(size, section)(PROCESS, SIGMA, signal=SIGNAL)
    np.testing.assert_allclose(w, np.array(expected)[PROCESS], rtol=1e-12)


def test_logarithm_of_cross_sections():
    w = ProcessWeights(0, "log")(PROCESS, 1000 * SIGMA, signal=SIGNAL)
    np.testing.assert_allclose(w, np.log([91230, 23.1, 73.9])[PROCESS], rtol=1e-12)


def test_rates_are_those_of_nature():
    """Times the luminosity, the weights of a process sum to the events expected."""
    order = np.random.default_rng(0).permutation(len(PROCESS))
    w = ProcessWeights()(PROCESS[order], SIGMA, signal=SIGNAL)
    np.testing.assert_allclose(np.bincount(PROCESS[order], weights=300 * w), 300 * SIGMA)


def test_lifted_signals():
    """By whole powers of ten to at most the largest background, from above it as well."""
    sigma = np.array([5.0, 0.5, 0.04, 6000.0, 0.005])
    signal = np.array([False, True, True, True, True])
    w = ProcessWeights(0, "lifted")(np.arange(5), sigma, signal=signal)
    np.testing.assert_allclose(w, [5, 5, 4, 0.6, 5])


def test_a_process_without_events():
    w = ProcessWeights()(np.array([0, 2, 2]), SIGMA, signal=SIGNAL)
    np.testing.assert_allclose(w, [91.23, 0.0739 / 2, 0.0739 / 2])


BAD_WEIGHTS = {  # weights, processes, cross sections, signals
    "log below 1": (ProcessWeights(1, "log"), PROCESS, SIGMA, SIGNAL, "above 1"),
    "one event": (ProcessWeights("log"), [0, 1, 1], SIGMA, SIGNAL, "above 1"),
    "one event of 1 fb": (ProcessWeights("log", "log"), [0], [1.0], [True], "above 1"),
    "no background": (ProcessWeights(1, "lifted"), PROCESS, SIGMA, [True] * 3, "a background"),
    "negative": (ProcessWeights(), PROCESS, -SIGMA, SIGNAL, "positive, finite cross sections"),
    "NaN": (ProcessWeights(), PROCESS, SIGMA * math.nan, SIGNAL, "positive, finite"),
    "unknown process": (ProcessWeights(), [0, 3], SIGMA, SIGNAL, "process numbers of 0 to 2"),
    "half a process": (ProcessWeights(), [0, 0.5], SIGMA, SIGNAL, "process numbers of 0 to 2"),
    "lengths": (ProcessWeights(), PROCESS, SIGMA, SIGNAL[:2], "a signal flag per cross section"),
}


@pytest.mark.parametrize(
    ("weights", "process", "sigma", "signal", "message"),
    BAD_WEIGHTS.values(),
    ids=BAD_WEIGHTS.keys(),
)
def test_bad_process_weights(weights, process, sigma, signal, message):
    with pytest.raises(ValueError, match=message):
        weights(process, sigma, signal=signal)


@pytest.mark.parametrize(
    ("name", "value"), [("size", "lifted"), ("size", math.nan), ("cross_section", "square")]
)
def test_unknown_process_weights(name, value):
    with pytest.raises(ValueError, match=f"expected {name} .*; got"):
        ProcessWeights(**{name: value})


RNG = np.random.default_rng(0)
EVENTS = RNG.normal(size=12), np.arange(12) % 2, RNG.uniform(0.5, 2, 12)  # logits, labels, weights
OBJECTIVES = {"mean": CrossEntropy()} | {
    f"{kind.__name__} {error}": kind(error, epsilon=2.0)
    for kind in (LovaszSignificance, LovaszAsimov)
    for error in ERRORS
}
every_objective = pytest.mark.parametrize("loss", OBJECTIVES.values(), ids=OBJECTIVES.keys())


def test_tree_objective_of_cross_entropy():
    """That of logistic regression, if the step is free."""
    z, y, _ = EVENTS
    G, h = tree_objective(CrossEntropy(), z, y, np.ones(12), max_step=math.inf)
    p = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(G, p - y, rtol=1e-12)
    np.testing.assert_allclose(h, p * (1 - p), rtol=1e-12)


@every_objective
def test_tree_objective_is_of_finite_differences(loss):
    z, *rest = EVENTS
    G, h = tree_objective(loss, *EVENTS)
    f = lambda z: 12 * loss(*map(torch.tensor, (z, *map(np.float64, rest)))).item()  # noqa: E731
    for i, d in enumerate(1e-4 * np.eye(12)):
        assert G[i] == pytest.approx((f(z + d) - f(z - d)) / 2e-4, rel=1e-5, abs=1e-7)
        assert h[i] >= abs(f(z + d) - 2 * f(z) + f(z - d)) / 1e-8 * (1 - 1e-3) - 1e-5


@every_objective
@pytest.mark.parametrize("max_step", [0.3, 1.0, 5.0])
def test_no_leaf_moves_too_far(loss, max_step):
    G, h = tree_objective(loss, *EVENTS, max_step=max_step)
    assert (h > 0).all()
    assert (np.abs(G / h) <= max_step * (1 + 1e-12)).all()
    assert np.abs(G).max() > 1e-3


@every_objective
def test_boosting_falls(loss):
    """Stumps of one bin each: the steps of single events."""
    z, y, weight = np.zeros(12), *EVENTS[1:]
    value = lambda: loss(*map(torch.tensor, (z, np.float64(y), weight))).item()  # noqa: E731
    start = value()
    for _ in range(60):
        G, h = tree_objective(loss, z, y, weight)
        z = z - 0.3 * G / h
    assert value() < 0.1 * start
    assert ((z > 0) == y).all()


def test_bad_tree_objective():
    with pytest.raises(ValueError, match="expected max_step > 0; got 0"):
        tree_objective(CrossEntropy(), *EVENTS, max_step=0.0)
