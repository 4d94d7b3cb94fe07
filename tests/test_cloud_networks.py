"""What all networks of constituents, of features and of both kinds of data have in common."""

import math
import sys

import numpy as np
import pytest
import torch
from instances import CLOUD, INSTANCES, MIXED, both_precisions, close, clouds, events, new, noisy
from torch.func import functional_call, grad, stack_module_state, vmap

from fivesigma.datasets import Dataset
from fivesigma.losses import CrossEntropy
from fivesigma.networks import Sliceable, Towered
from fivesigma.networks.cloud import CloudNet
from fivesigma.networks.cnn import CNN
from fivesigma.networks.mixed import MixedNet
from fivesigma.networks.mlp import MLP
from fivesigma.training import TrainingSettings, fit, predict

every_network = pytest.mark.parametrize("name", INSTANCES)


def weights(network):
    return torch.cat([q.detach().flatten() for q in network.parameters()])


@every_network
@both_precisions
def test_output_and_gradient(name, precision):
    network, x = noisy(new(name)), events(name, 32)
    assert isinstance(network, Towered)
    assert isinstance(network, Sliceable)
    with torch.autocast("cpu", torch.bfloat16, precision == "bfloat16"):
        e, z = network.tower(x), network(x)
        close(network.head(e), z)
    assert e.shape == (32, *INSTANCES[name][3])
    assert z.shape == ((32, 3) if "three" in name else (32,))
    assert z.dtype == torch.float32
    z.square().mean().backward()
    without = [n for n, q in network.named_parameters() if q.grad is None or not q.grad.any()]
    assert without == []


@every_network
def test_seed(name):
    network = new(name, 3)
    torch.manual_seed(0)
    first, second = (weights(new(name, None)) for _ in range(2))
    torch.manual_seed(0)
    assert torch.equal(weights(new(name, None)), first)
    assert not torch.equal(first, second)
    assert torch.equal(weights(new(name, 3)), weights(network))
    assert not torch.equal(weights(new(name, 4)), weights(network))
    head = network.new_head(7)
    assert torch.equal(weights(network.new_head(7)), weights(head))
    assert not torch.equal(weights(network.new_head(8)), weights(head))
    for layer in (m for m in head.modules() if isinstance(m, torch.nn.Linear)):
        limit = math.sqrt(6 / sum(layer.weight.shape))  # Glorot's
        assert 0.9 * limit < layer.weight.abs().max() <= limit
        assert not layer.bias.any()


@every_network
def test_events_are_coupled_by_standardise_only(name):
    """Or within a slice, which then is the whole batch in training."""
    network, x = noisy(new(name)), events(name, 30)
    u = network.standardise(x)
    assert not u.requires_grad
    together = name == "mlp, norm"
    assert (network.slice_size == sys.maxsize) == together
    parts = u.split(network.slice_size if together else 7)
    close(torch.cat([network.logits(part) for part in parts]), network(x))
    z = network.eval()(x)
    assert network.slice_size < sys.maxsize
    close(torch.cat([network(part) for part in x.split(1)]), z)


@every_network
@both_precisions
def test_stacked_heads_are_a_loop(name, precision):
    """Outputs and gradients, each head with events of its own."""
    network, tolerance = new(name), 0.2 if precision == "bfloat16" else 1e-4
    heads = [noisy(network.new_head(seed), seed=seed) for seed in range(4)]
    e = torch.stack([network.tower(events(name, 10, seed=seed)).detach() for seed in range(4)])

    def logits(theta, e):
        return functional_call(heads[0], theta, (e,))

    with torch.autocast("cpu", torch.bfloat16, precision == "bfloat16"):
        theta, _ = stack_module_state(heads)
        z = vmap(logits)(theta, e)
        gradients = vmap(grad(lambda theta, e: logits(theta, e).sigmoid().sum()))(theta, e)
        assert z.dtype == torch.float32
        for i, head in enumerate(heads):
            alone = head(e[i])
            close(z[i], alone, tolerance)
            alone.sigmoid().sum().backward()
            for key, q in head.named_parameters():
                size = q.grad.abs().max().item()
                torch.testing.assert_close(gradients[key][i], q.grad, rtol=0, atol=tolerance * size)


def test_parameters():
    n = [len(weights(new(name))) for name in ("cloud", "cloud, absolute", "mlp", "mixed")]
    assert n == [37_761, 37_825, 17_281, 17_281 + len(weights(CNN((2, 8, 8))))]


def blobs(n, seed, y):
    """Two images of 8 x 8 pixels, brighter in the centre for signal, and a feature 1.5 larger."""
    g = torch.Generator().manual_seed(seed)
    images, features = torch.randn(n, 2, 8, 8, generator=g).abs(), torch.randn(n, 4, generator=g)
    images[:, :, 3:5, 3:5] += 0.5 * y[:, None, None, None]
    features[:, 2] += 1.5 * y
    return torch.cat([images.flatten(1), features], dim=1)


TOYS = {  # events (n, seed, label), and the least and largest area under the ROC curve
    "cloud": (lambda n, s, y: clouds(n, seed=s, spread=0.2 + 0.14 * y.view(-1, 1, 1, 1)), 0.95, 1),
    "mlp": (lambda *of: blobs(*of)[:, -4:].view(-1, 2, 2), 0.83, 0.88),  # the best is 0.8556
    "mixed": (blobs, 0.9, 1),
}


@pytest.mark.parametrize("name", TOYS)
def test_learns(name):
    """The mixed network from both parts: either input of other events spoils its score."""
    (make, *limits), data = TOYS[name], []
    for seed, n in enumerate((1000, 500, 2000)):
        y = torch.randint(2, (n,), generator=torch.Generator().manual_seed(10 + seed))
        data.append(Dataset(make(n, seed, y).numpy(), y.numpy(), y.numpy(), np.ones(n)))
    settings = TrainingSettings(learning_rate=1e-3, batch_size=50, max_epochs=4)
    network, _ = fit(new(name), *data[:2], loss=CrossEntropy(), settings=settings, seed=0)
    x, y = data[2].x, data[2].y

    def area(x):
        scores = predict(network, x)
        return (scores[y == 1][:, None] > scores[y == 0]).mean()

    assert limits[0] < area(x) < limits[1]
    for columns in (slice(128), slice(128, None)) if name == "mixed" else ():
        spoilt = x.copy()
        spoilt[:, columns] = np.roll(x[:, columns], 1, axis=0)
        assert area(spoilt) < area(x) - 0.03


BAD = {
    "one jet": (CloudNet, (1, 12, 3), {}, r"shape \(2, P, 3\)"),
    "no constituents": (CloudNet, (2, 0, 3), {}, "P >= 1"),
    "images as clouds": (CloudNet, (2, 25, 25), {}, r"got \(2, 25, 25\)"),
    "momentum": (CloudNet, CLOUD, {"momentum": "log"}, "momentum, one of .* got 'log'"),
    "no features": (MLP, (2, 0), {}, "at least one feature"),
    "activation": (MLP, (4,), {"activation": "tanh"}, r"one of \['relu', 'mish'\]; got 'tanh'"),
    "norm": (MLP, (4,), {"norm": "layer"}, r"norm to be one of \['none', 'batch'\]; got 'layer'"),
    "dropout": (MLP, (4,), {"dropout": 1.0}, r"dropout within \[0, 1\); got 1.0"),
    "pixels only": (MixedNet, (128,), {"pixels": 8}, "more than 128 numbers"),
    "not flat": (MixedNet, (2, 132), {"pixels": 8}, r"shape \(2 P\^2 \+ F,\)"),
    "part": (MixedNet, MIXED, {"pixels": 8, "part": "none"}, "part, one of .* got 'none'"),
}


@pytest.mark.parametrize(("maker", "shape", "options", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(maker, shape, options, message):
    with pytest.raises(ValueError, match=message):
        maker(shape, **options)
