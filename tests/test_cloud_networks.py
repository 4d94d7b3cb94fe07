"""Networks of constituents, of features and of both kinds of data, against plain writings."""

import copy
import math
import sys

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from fivesigma.datasets import Dataset
from fivesigma.losses import CrossEntropy
from fivesigma.networks import Sliceable, Towered
from fivesigma.networks.cloud import CloudNet
from fivesigma.networks.cnn import CNN
from fivesigma.networks.jetwise import Jetwise
from fivesigma.networks.mixed import MixedNet
from fivesigma.networks.mlp import MLP
from fivesigma.training import TrainingSettings, fit, predict

CLOUD, MIXED = (2, 12, 3), (2 * 8 * 8 + 4,)
INSTANCES = {  # maker, shape of events, options, shape of their embedding
    "cloud": (CloudNet, CLOUD, {}, (2, 64)),
    "cloud, absolute": (CloudNet, CLOUD, {"momentum": "absolute"}, (2, 64)),
    "cloud, three outputs": (CloudNet, CLOUD, {"outputs": 3}, (2, 64)),
    "mlp": (MLP, (2, 2), {}, (128,)),
    "mlp, three outputs": (MLP, (5,), {"outputs": 3}, (128,)),
    "mlp, mish": (MLP, (2, 2), {"activation": "mish"}, (128,)),
    "mlp, norm": (MLP, (2, 2), {"activation": "mish", "norm": "batch"}, (128,)),
    "jetwise": (Jetwise, (2, 3), {}, (2, 128)),
    "jetwise, three outputs": (Jetwise, (2, 3), {"outputs": 3}, (2, 128)),
    "mixed": (MixedNet, MIXED, {"pixels": 8}, (2 * 128 + 128,)),
    "mixed, images": (MixedNet, MIXED, {"pixels": 8, "part": "images"}, (2 * 128,)),
    "mixed, features": (MixedNet, MIXED, {"pixels": 8, "part": "features"}, (128,)),
    "mixed, three outputs": (MixedNet, MIXED, {"pixels": 8, "outputs": 3}, (2 * 128 + 128,)),
}
every_network = pytest.mark.parametrize("name", INSTANCES)
every_cloud = pytest.mark.parametrize("name", ["cloud", "cloud, absolute"])
both_precisions = pytest.mark.parametrize("precision", ["float32", "bfloat16"])


def new(name, seed=1):
    maker, shape, options, _ = INSTANCES[name]
    return maker(shape, seed=seed, **options)


def noisy(network, seed=0):
    """The network with no weight at its initial value."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for theta in network.parameters():
            theta += 0.05 * torch.randn(theta.shape, generator=g)
    return network


def weights(network):
    return torch.cat([q.detach().flatten() for q in network.parameters()])


def events(name, n, seed=0):
    shape, g = INSTANCES[name][1], torch.Generator().manual_seed(seed)
    return clouds(n, seed=seed) if shape == CLOUD else torch.rand(n, *shape, generator=g)


def clouds(n, *, spread=0.2, seed=0):
    """Jets of 1 to 12 constituents, the hardest first."""
    g = torch.Generator().manual_seed(seed)
    pt = 600 * torch.rand(n, 2, 12, generator=g) ** 4 + 0.5
    pt *= torch.arange(12) < torch.randint(1, 13, (n, 2, 1), generator=g)
    xy = spread * torch.randn(n, 2, 12, 2, generator=g) * (pt > 0)[..., None]
    return torch.cat([pt.sort(dim=-1, descending=True)[0][..., None], xy], dim=-1)


def close(a, b, tolerance=1e-5):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, check_dtype=False)


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
