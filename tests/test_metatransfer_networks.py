"""What meta-transfer learning moves in networks of the shelf, and what it leaves."""

import copy
from dataclasses import replace

import metatraining
import numpy as np
import pytest
import torch
from metatraining import SETTINGS, same

from fivesigma.datasets import Dataset
from fivesigma.networks import NETWORKS, Sliceable
from fivesigma.strategies import metatransfer
from fivesigma.strategies.metatransfer import Scaled, meta_train

GENTLE = replace(SETTINGS, events=30, base_learning_rate=1e-3, meta_learning_rate=3e-3)

SHAPES = {
    "cnn": (2, 8, 8),
    "cloud": (2, 6, 3),
    "mlp": (5,),
    "jetwise": (2, 3),
    "mixed": (2 * 8 * 8 + 3,),
}
every_network = pytest.mark.parametrize("name", SHAPES)


def network_of(name):
    """A network that has seen events, with no weight at its initial value."""
    network = NETWORKS[name](SHAPES[name], seed=1, **({"pixels": 8} if name == "mixed" else {}))
    shake(network.parameters(), 0.05)
    network.train()(events_of(name, 64))
    return network


def shake(parameters, size):
    g = torch.Generator().manual_seed(0)
    for theta in parameters:
        theta.data += size * torch.randn(theta.shape, generator=g)


def events_of(name, n, seed=0):
    return torch.rand(n, *SHAPES[name], generator=torch.Generator().manual_seed(seed))


def task_of(name, k, n=300):
    """Signal is shifted along a direction of its own."""
    y = np.arange(n) % 2
    direction = np.random.default_rng(k).uniform(0, 0.3, SHAPES[name])
    x = events_of(name, n, seed=10 + k).numpy() + np.multiply.outer(y, direction)
    return Dataset(x, y, y, np.ones(n))


def moved(network):
    """The scaled network with no scale at 1 and no shift at 0."""
    scaled = Scaled(network).eval()
    shake((*scaled.phi_1, *scaled.phi_2), 0.3)
    return scaled


instances = pytest.fixture(metatraining.instances)


@every_network
def test_scales_are_applied_and_merged(name):
    network, x = network_of(name).eval(), events_of(name, 20)
    assert torch.equal(Scaled(network)(x), network(x))
    assert same(Scaled(network).merged(), network)
    scaled = moved(network)
    merged = scaled.merged()
    torch.testing.assert_close(merged(x), scaled(x), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(scaled(x), network(x), rtol=1e-2)
    for layer, phi_1, phi_2 in zip(scaled.layers, scaled.phi_1, scaled.phi_2, strict=True):
        before, after = network.get_submodule(layer), merged.get_submodule(layer)
        torch.testing.assert_close(after.weight / before.weight, phi_1.expand_as(before.weight))
        torch.testing.assert_close(after.bias - before.bias, phi_2)
    assert isinstance(scaled.train(), Sliceable)
    slices = torch.cat([scaled.logits(x_s) for x_s in scaled.standardise(x).split(7)])
    torch.testing.assert_close(slices, scaled(x), rtol=1e-5, atol=1e-5)
    assert same(scaled.network, network)
    assert scaled.network.head.training


@every_network
def test_gradient_reaches_scales_head_and_norms_only(name):
    scaled, x = moved(network_of(name)).train(), events_of(name, 64)
    scaled(x).square().mean().backward()
    assert all(phi.grad.any() for phi in (*scaled.phi_1, *scaled.phi_2, *scaled.theta))
    with_gradient = {theta for theta in scaled.network.parameters() if theta.grad is not None}
    assert with_gradient == set(scaled.theta) >= set(scaled.network.head.parameters())


def test_one_scale_for_each_pair_of_channels_or_output():
    shapes = [(64, 1, 1, 1), (64, 64, 1, 1), (128, 64, 1, 1), (128, 128, 1, 1)]
    assert [phi.shape for phi in Scaled(network_of("cnn")).phi_1] == shapes
    assert [phi.shape for phi in Scaled(network_of("cloud")).phi_1] == [(64, 1)] * 5


def test_scales_move_and_weights_stay(instances):
    network, tasks = network_of("cnn"), [task_of("cnn", k) for k in range(2)]
    given, state = copy.deepcopy(network), torch.get_rng_state()
    result, history = meta_train(network, tasks, replace(GENTLE, base_learning_rate=1e-9), seed=0)
    assert same(network, given)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(instances[0].network.convolutions, given.convolutions)
    assert same(result.norm.statistics, given.norm.statistics)
    assert (result.norm.scale - given.norm.scale).abs().max() > 1e-3
    assert history.layers == tuple(f"convolutions.{i}" for i in range(4))
    assert np.shape(history.scale_rms) == np.shape(history.shift_rms) == (3, 4)
    assert (np.array([history.scale_rms, history.shift_rms]) > 1e-3).all()
    assert (np.array(history.scale_rms[-1]) > history.scale_rms[0]).all()
    assert not result.training


@pytest.mark.parametrize("name", ["cloud", "mlp", "jetwise", "cnn"])
def test_embedding_once_is_exact(name, monkeypatch):
    """Where no norm is trained, step (a) on embedded events is that on the whole network."""
    network, tasks = network_of(name), [task_of(name, k) for k in range(2)]
    assert Scaled(network).trains_norms == (name == "cnn")
    if name == "cnn":
        network.norm.requires_grad_(requires_grad=False)
    scaled, x = Scaled(network), torch.from_numpy(tasks[0].x)
    assert not scaled.trains_norms
    fast, _ = meta_train(network, tasks, GENTLE, seed=0)
    scaled.trains_norms = True
    monkeypatch.setattr(metatransfer, "Scaled", lambda _: scaled)
    slow, _ = meta_train(network, tasks, GENTLE, seed=0)
    torch.testing.assert_close(fast(x), slow(x), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(fast(x), network.eval()(x), rtol=1e-2, atol=1e-2)


def test_same_seed_same_result():
    tasks = [task_of("mlp", k) for k in range(2)]
    settings = replace(GENTLE, hard_tasks=1, max_epochs=2)
    runs = [meta_train(network_of("mlp"), tasks, settings, seed=s) for s in (5, 5, 6)]
    first, again, other = (network for network, _ in runs)
    assert same(first, again)
    assert not same(first, other)
    assert replace(runs[0][1], seconds=()) == replace(runs[1][1], seconds=())
