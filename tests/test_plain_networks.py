"""Networks of constituents, of features and of both kinds of data, against plain writings."""

import copy
import math

import numpy as np
import pytest
import torch
from instances import both_precisions, close, clouds, events, new, noisy

from fivesigma.networks.cnn import CNN
from fivesigma.networks.mlp import MLP

every_cloud = pytest.mark.parametrize("name", ["cloud", "cloud, absolute"])


def plain_dense(layers, v):
    """Dense layers with ReLUs between them, in float64."""
    for i, layer in enumerate(m for m in layers.modules() if isinstance(m, torch.nn.Linear)):
        W, b = (a.detach().double().numpy() for a in (layer.weight, layer.bias))
        v = (np.maximum(v, 0) if i else v) @ W.T + b
    return v


def plain_jet(network, jet):
    """The embedding of a jet (P, 3) by the equations of the cloud network."""
    pt, x, y = jet[jet[:, 0] > 0].T
    z, r = pt / pt.sum(), np.sqrt(x**2 + y**2 + 1e-4)
    v = np.stack([(np.log(z) + 5) / 2, 4 * x, 4 * y, np.log(r) + 2, 8 * z], axis=1)
    h = np.maximum(plain_dense(network.phi, v), 0)
    g = [*h.mean(axis=0), *(z @ h), *h.max(axis=0), np.log(1 + len(pt)) - 4]
    g += [np.log(pt.sum() / 1000)] if network.momentum == "absolute" else []
    return np.maximum(plain_dense(network.rho, np.array(g)), 0)


@every_cloud
def test_cloud_is_the_plain_network(name):
    network, x = noisy(new(name)), clouds(20)
    e = [[plain_jet(network, jet) for jet in event] for event in x.double().numpy()]
    z = torch.tensor(plain_dense(network.head, np.reshape(e, (20, 128)))[:, 0])
    close(network(x), z)
    with torch.autocast("cpu", torch.bfloat16):
        close(network(x), z, 0.05)


@every_cloud
def test_cloud_knows_neither_order_nor_padding(name):
    network, x = noisy(new(name)), clouds(20)
    z = network(x)
    close(network(x[:, :, [3, 11, 0, 7, 1, 9, 10, 2, 5, 8, 4, 6]]), z)
    close(network(torch.cat([x, torch.zeros(20, 2, 30, 3)], dim=2)), z)
    close(network(torch.where(x[..., :1] > 0, x, torch.tensor([0.0, 3.0, -5.0]))), z)
    assert not torch.allclose(network(x[:, [1, 0]]), z, rtol=1e-3)
    assert not torch.allclose(network(x[:, :, :6]), z, rtol=1e-3)


def test_cloud_sees_absolute_momenta_only_if_told():
    x = clouds(20)
    higher = x * torch.tensor([3.7, 1, 1])
    relative, absolute = noisy(new("cloud")), noisy(new("cloud, absolute"))
    close(relative(higher), relative(x))
    assert ((absolute(higher) - absolute(x)).abs() > 1e-3).all()


@every_cloud
@both_precisions
@pytest.mark.parametrize(("n", "jets"), [(1, 1), (6, 2)])
def test_cloud_of_empty_jets(name, precision, n, jets):
    network, x = noisy(new(name)), clouds(6)
    x[:n, :jets] = 0
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, precision == "bfloat16"):
        z = network(x)
    z.square().sum().backward()
    assert all(a.isfinite().all() for a in (z, x.grad, *(q.grad for q in network.parameters())))
    assert network.head.layers[0].weight.grad.any()


def test_mlp_is_the_plain_network():
    network, batches = noisy(new("mlp")), [50 * events("mlp", 40, s) + s for s in (0, 100, 200)]
    logits = [network(x) for x in batches]
    f = [x.flatten(1).double() for x in batches]
    u = (f[2] - f[2].mean(0)) / (f[2].var(0, correction=0) + 1e-3).sqrt()
    h = np.maximum(plain_dense(network.first, u.numpy()), 0)
    close(logits[2], torch.tensor(plain_dense(network.head, h)[:, 0]), 1e-4)
    close(network.statistics.running_mean, torch.stack([f_b.mean(0) for f_b in f]).mean(0))
    network.reset()
    network.tower(batches[2])
    close(network.statistics.running_mean, f[2].mean(0))


def test_mlp_has_the_weights_that_it_had():
    """Names, order and values of those without options."""
    state, g = new("mlp").state_dict(), torch.Generator().manual_seed(1)
    statistics = [f"statistics.{name}" for name in ("running_mean", "running_var")]
    layers = {"first.layers.0": (128, 4), "head.layers.0": (128, 128), "head.layers.2": (1, 128)}
    kinds = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert [*state] == [*statistics, "statistics.num_batches_tracked", *kinds]
    for layer, (o, i) in layers.items():
        glorot = (2 * torch.rand(o, i, generator=g) - 1) * math.sqrt(6 / (o + i))
        torch.testing.assert_close(state[f"{layer}.weight"], glorot, rtol=1e-6, atol=1e-7)
        assert not state[f"{layer}.bias"].any()


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_mlp_of_other_layers_is_the_plain_network(mode):
    """Linear, Mish, norm, twice, and linear, in float64."""
    network, x = noisy(new("mlp, norm")), 5 * events("mlp, norm", 40) + 1
    for s in (1, 2):
        network(events("mlp, norm", 50, s))
    before = copy.deepcopy(network.train(mode == "train").state_dict())
    n = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    z, v = network(x), x.flatten(1).double().numpy()

    def normed(v, norm, prefix):
        mean, var = v.mean(0), v.var(0)
        if mode == "eval":
            mean, var = (before[f"{prefix}.running_{k}"].double().numpy() for k in ("mean", "var"))
        u = (v - mean) / np.sqrt(var + norm.eps)
        return u * norm.weight.detach().numpy() + norm.bias.detach().numpy() if norm.affine else u

    mish = lambda v: v * np.tanh(np.logaddexp(0, v))  # noqa: E731
    first, second, last = (m for m in network.modules() if isinstance(m, torch.nn.Linear))
    v = normed(v, n[0], "statistics")
    for layer, norm, prefix in ((first, n[1], "first.layers.1.1"), (second, n[2], "after.1")):
        v = normed(mish(plain_dense(layer, v)), norm, prefix)
    close(z, torch.tensor(plain_dense(last, v)[:, 0]), 1e-4)


def test_mlp_drops_in_training_only():
    network = MLP((4,), seed=0, activation="mish", norm="batch", dropout=0.2)
    x = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    e = network.tower(x)
    assert (e == 0).float().mean().item() == pytest.approx(0.2, abs=0.005)
    # Of zero mean and unit variance before, so of variance 1 / 0.8 after the drop.
    assert e.square().mean().item() == pytest.approx(1 / 0.8, abs=0.02)
    assert (network.eval().tower(x) != 0).all()


def test_mixed_score_is_the_product_of_its_parts():
    x = events("mixed", 20)
    both, images, features = map(new, ("mixed", "mixed, images", "mixed, features"))
    close(both(x).sigmoid(), images(x).sigmoid() * features(x).sigmoid())
    cnn = CNN((2, 8, 8))
    cnn.load_state_dict(images.towers["images"].state_dict(), strict=False)
    cnn.head.load_state_dict(images.head.heads[0].state_dict())
    c = math.log(1 + math.sqrt(2))
    close(images(x), cnn(x[:, :128].view(-1, 2, 8, 8)) + c + math.log(3))
    for head in both.head.heads:
        torch.nn.init.zeros_(head.layers[-1].weight)
    close(both(x), torch.zeros(20))


@pytest.mark.parametrize(("kept", "certain"), [("images", 1), ("features", 0)])
def test_mixed_part_alone_is_the_other_factor_at_one(kept, certain):
    network, alone, x = new("mixed"), new(f"mixed, {kept}"), events("mixed", 20)
    assert not torch.allclose(network(x), alone(x), rtol=1e-3)
    last = network.head.heads[certain].layers[-1]
    torch.nn.init.constant_(last.bias, 60)
    close(network(x), alone(x))
