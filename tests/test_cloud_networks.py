"""Networks of constituents, of features and of both kinds of data, against plain writings."""

import copy
import math

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from fivesigma.datasets import Dataset
from fivesigma.losses import CrossEntropy
from fivesigma.networks import Sliceable, Towered
from fivesigma.networks.cloud import CloudNet
from fivesigma.networks.cnn import CNN
from fivesigma.networks.mixed import MixedNet
from fivesigma.networks.mlp import MLP
from fivesigma.training import TrainingSettings, fit, predict

CLOUD, MIXED = (2, 12, 3), (2 * 8 * 8 + 4,)
INSTANCES = {  # maker, shape of events, options, shape of their embedding
    "cloud": (CloudNet, CLOUD, {}, (2, 64)),
    "cloud, absolute": (CloudNet, CLOUD, {"momentum": "absolute"}, (2, 64)),
    "cloud, three outputs": (CloudNet, CLOUD, {"outputs": 3}, (2, 64)),
    "mlp": (MLP, (2, 3), {}, (128,)),
    "mlp, three outputs": (MLP, (5,), {"outputs": 3}, (128,)),
    "mixed": (MixedNet, MIXED, {"pixels": 8}, (2 * 128 + 128,)),
    "mixed, images": (MixedNet, MIXED, {"pixels": 8, "part": "images"}, (2 * 128,)),
    "mixed, features": (MixedNet, MIXED, {"pixels": 8, "part": "features"}, (128,)),
    "mixed, three outputs": (MixedNet, MIXED, {"pixels": 8, "outputs": 3}, (2 * 128 + 128,)),
}
every_network = pytest.mark.parametrize("name", INSTANCES)
every_cloud = pytest.mark.parametrize("momentum", ["relative", "absolute"])


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


def events(name, n, seed=0):
    shape = INSTANCES[name][1]
    if shape == CLOUD:
        return clouds(n, seed=seed)
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))


def clouds(n, *, particles=12, spread=0.2, seed=0):
    """Jets of 1 to P constituents, the hardest first."""
    g = torch.Generator().manual_seed(seed)
    pt = 600 * torch.rand(n, 2, particles, generator=g) ** 4 + 0.5
    pt *= torch.arange(particles) < torch.randint(1, particles + 1, (n, 2, 1), generator=g)
    xy = spread * torch.randn(n, 2, particles, 2, generator=g) * (pt > 0)[..., None]
    return torch.cat([pt.sort(dim=-1, descending=True)[0][..., None], xy], dim=-1)


def dense(layers, v, *, last_relu=False):
    """Dense layers of a Sequential in float64."""
    linear = [m for m in layers if isinstance(m, torch.nn.Linear)]
    for i, layer in enumerate(linear):
        v = v @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
        v = np.maximum(v, 0) if i < len(linear) - 1 or last_relu else v
    return v


def plain_cloud(network, x):
    """The equations of the cloud network, jet by jet, in float64."""
    logits = []
    for event in x.double().numpy():
        e = []
        for jet in event:
            pt, x_i, y_i = jet[jet[:, 0] > 0].T
            n, z = len(pt), pt / pt.sum()
            r = np.log(np.sqrt(x_i**2 + y_i**2 + 1e-4)) + 2
            v = np.stack([(np.log(z) + 5) / 2, 4 * x_i, 4 * y_i, r, 8 * z], axis=1)
            h = dense(network.phi, v, last_relu=True)
            g = [*h.mean(axis=0), *(z @ h), *h.max(axis=0), np.log(1 + n) - 4]
            g += [np.log(pt.sum() / 1000)] if network.momentum == "absolute" else []
            e.append(dense(network.rho.layers, np.array(g), last_relu=True))
        logits.append(dense(network.head.layers, np.concatenate(e)))
    return torch.tensor(np.array(logits)[:, 0])


def close(a, b, tolerance=1e-5):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, check_dtype=False)


@every_network
@pytest.mark.parametrize("bfloat16", [True, False])
def test_output(name, bfloat16):
    network, x = new(name), events(name, 5)
    assert isinstance(network, Towered)
    assert isinstance(network, Sliceable)
    _, _, options, embedding = INSTANCES[name]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        e, z = network.tower(x), network(x)
        close(network.head(e), z)
    assert e.shape == (5, *embedding)
    assert z.shape == ((5, options["outputs"]) if "outputs" in options else (5,))
    assert z.dtype == torch.float32
    assert z.isfinite().all()


@every_network
def test_gradient_reaches_every_parameter(name):
    network = noisy(new(name))
    network(events(name, 32)).square().mean().backward()
    without = [n for n, q in network.named_parameters() if q.grad is None or not q.grad.any()]
    assert without == []


@every_network
def test_seed(name):
    def weights(network):
        return torch.cat([q.detach().flatten() for q in network.parameters()])

    assert torch.equal(weights(new(name, 3)), weights(new(name, 3)))
    assert not torch.equal(weights(new(name, 3)), weights(new(name, 4)))
    by_generator = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        by_generator.append(weights(new(name, None)))
    assert torch.equal(by_generator[0], by_generator[1])
    assert not torch.equal(by_generator[0], by_generator[2])
    network = new(name, 3)
    heads = [weights(network.new_head(seed)) for seed in (7, 7, 8)]
    assert heads[0].shape == weights(network.head).shape
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert not torch.equal(heads[0], weights(network.head))


@every_network
def test_initial_weights_are_glorot(name):
    network = new(name)
    for module in (network, network.new_head(2)):
        for layer in module.modules():
            if isinstance(layer, torch.nn.Linear):
                limit = math.sqrt(6 / sum(layer.weight.shape))
                assert 0.9 * limit < layer.weight.abs().max() <= limit
                assert not layer.bias.any()


@every_network
def test_copy_and_state(name):
    network, other, x = noisy(new(name)), new(name, 2), events(name, 6)
    assert not torch.allclose(network(x), other(x))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.eval()(x), network.eval()(x))
    assert torch.equal(copy.deepcopy(network)(x), network(x))


@every_network
def test_events_are_coupled_by_standardise_only(name):
    network, x = noisy(new(name)), events(name, 30)
    u = network.standardise(x)
    assert not u.requires_grad
    close(torch.cat([network.logits(part) for part in u.split(7)]), network(x))
    z = network.eval()(x)
    close(torch.cat([network(part) for part in x.split(1)]), z)


@every_network
@pytest.mark.parametrize("bfloat16", [True, False])
def test_stacked_heads_are_a_loop(name, bfloat16):
    """Outputs and gradients, each head with events of its own."""
    network = new(name)
    heads = [noisy(network.new_head(seed), seed=seed) for seed in range(4)]
    theta, _ = stack_module_state(heads)
    e = torch.stack([network.tower(events(name, 10, seed=seed)).detach() for seed in range(4)])

    def square(theta, e):
        return functional_call(heads[0], theta, (e,)).square().sum()

    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        z = vmap(lambda theta, e: functional_call(heads[0], theta, (e,)))(theta, e)
        gradients = vmap(grad(square))(theta, e)
        assert z.dtype == torch.float32
        tolerance = 0.1 if bfloat16 else 1e-4
        for i, head in enumerate(heads):
            alone = head(e[i])
            close(z[i], alone, tolerance)
            alone.square().sum().backward()
            for key, q in head.named_parameters():
                size = q.grad.abs().max().item()
                torch.testing.assert_close(gradients[key][i], q.grad, rtol=0, atol=tolerance * size)


COUNTS = {
    "cloud": 37_761,
    "cloud, absolute": 37_825,
    "mlp": 7 * 128 + 129 * 128 + 129,
    "mixed, features": 5 * 128 + 129 * 128 + 129,
    "mixed, images": sum(q.numel() for q in CNN((2, 8, 8)).parameters()),
}


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_parameters(name, count):
    assert sum(q.numel() for q in new(name).parameters()) == count


@every_cloud
def test_cloud_is_the_plain_network(momentum):
    network, x = noisy(CloudNet(CLOUD, seed=1, momentum=momentum)), clouds(20)
    close(network(x), plain_cloud(network, x), 1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close(network(x), plain_cloud(network, x), 0.05)


@every_cloud
def test_cloud_knows_neither_order_nor_padding(momentum):
    network, x = noisy(CloudNet(CLOUD, seed=1, momentum=momentum)), clouds(20)
    z = network(x)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    close(network(x[:, :, order]), z)
    close(network(torch.cat([x, torch.zeros(20, 2, 30, 3)], dim=2)), z)
    spoilt = torch.where(x[..., :1] > 0, x, torch.tensor([0.0, 3.0, -5.0]))
    close(network(spoilt), z)
    assert not torch.allclose(network(x[:, [1, 0]]), z, rtol=1e-3)
    assert not torch.allclose(network(x[:, :, :6]), z, rtol=1e-3)


def test_cloud_sees_absolute_momenta_only_if_told():
    x = clouds(20)
    relative, absolute = (
        noisy(CloudNet(CLOUD, seed=1, momentum=m)) for m in ("relative", "absolute")
    )
    higher = x * torch.tensor([3.7, 1, 1])
    close(relative(higher), relative(x))
    assert ((absolute(higher) - absolute(x)).abs() > 1e-3).all()


@every_cloud
@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("empty", ["one jet", "all"])
def test_cloud_of_empty_jets(momentum, bfloat16, empty):
    network, x = noisy(CloudNet(CLOUD, seed=1, momentum=momentum)), clouds(6)
    x[0 if empty == "one jet" else slice(None), 0] = 0
    x[slice(0 if empty == "one jet" else None), 1] = 0
    x.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        z = network(x)
    z.square().sum().backward()
    assert z.isfinite().all()
    assert all(q.grad.isfinite().all() for q in [x, *network.parameters()])
    assert network.head.layers[0].weight.grad.any()


def test_mlp_is_the_plain_network():
    network, x = noisy(MLP((2, 3), seed=1)), 100 + 50 * events("mlp", 40)
    f = x.flatten(1).double()
    u = (f - f.mean(0)) / (f.var(0, correction=0) + 1e-3).sqrt()
    h = dense([network.first.layers[0]], u.numpy(), last_relu=True)
    close(network(x), torch.tensor(dense(network.head.layers, h)[:, 0]), 1e-4)


def test_mlp_statistics_are_averages_since_the_last_reset():
    network = MLP((2, 3), seed=0)
    batches = [events("mlp", 16, seed=s) + s for s in range(3)]
    for x in batches:
        network.tower(x)
    mean = torch.stack([x.flatten(1).mean(0) for x in batches]).mean(0)
    close(network.statistics.running_mean, mean)
    network.reset()
    network.tower(batches[2])
    close(network.statistics.running_mean, batches[2].flatten(1).mean(0))


def test_mixed_score_is_the_product_of_its_parts():
    x = events("mixed", 20)
    both, images, features = map(new, ("mixed", "mixed, images", "mixed, features"))
    close(both(x).sigmoid(), images(x).sigmoid() * features(x).sigmoid())
    for network, single, part in (
        (images, CNN((2, 8, 8)), x[:, :128].view(-1, 2, 8, 8)),
        (features, MLP((4,)), x[:, 128:]),
    ):
        (tower,), (head,) = network.towers.values(), network.head.heads
        single.load_state_dict(tower.state_dict(), strict=False)
        single.head.load_state_dict(head.state_dict())
        close(network(x), single(part))


@pytest.mark.parametrize(("kept", "certain"), [("images", 1), ("features", 0)])
def test_mixed_part_alone_is_the_other_factor_at_one(kept, certain):
    network, alone, x = new("mixed"), new(f"mixed, {kept}"), events("mixed", 20)
    assert not torch.allclose(network(x), alone(x), rtol=1e-3)
    last = network.head.heads[certain].layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(60)
    close(network(x), alone(x))


@pytest.mark.parametrize("columns", [slice(128), slice(128, None)], ids=["images", "features"])
def test_mixed_score_depends_on_both_inputs(columns):
    network, x = new("mixed").eval(), events("mixed", 20).requires_grad_()
    changed = x.detach().clone()
    changed[:, columns] += events("mixed", 20, seed=1)[:, columns]
    assert ((network(changed) - network(x)).abs() > 1e-3).all()
    network(x).sum().backward()
    assert x.grad[:, columns].any(dim=1).all()


def blobs(n, seed, y):
    """Two images of 8 x 8 pixels with a brighter centre in signal, and 4 features."""
    g = torch.Generator().manual_seed(seed)
    images, features = torch.randn(n, 2, 8, 8, generator=g), torch.randn(n, 4, generator=g)
    images[:, :, 3:5, 3:5] += 0.5 * y[:, None, None, None]
    features[:, 2] += 1.5 * y
    return torch.cat([images.flatten(1), features], dim=1)


TOYS = {  # network, events (n, seed, label), least area under the ROC curve, n to train on
    "cloud": (
        CloudNet(CLOUD, seed=1),
        lambda n, seed, y: clouds(n, seed=seed, spread=0.2 + 0.14 * y[:, None, None, None]),
        *(0.9, 2000),
    ),
    "mlp": (MLP((4,), seed=1), lambda n, seed, y: blobs(n, seed, y)[:, -4:], 0.84, 8000),
    "mixed": (MixedNet((132,), pixels=8, seed=1), blobs, 0.9, 1000),
}


@pytest.mark.parametrize(("network", "x", "area", "n"), TOYS.values(), ids=TOYS.keys())
def test_learns(network, x, area, n):
    """Feature alone: area 0.856."""
    data = []
    for seed, size in enumerate((n, n // 2, 2000)):
        y = torch.randint(2, (size,), generator=torch.Generator().manual_seed(10 + seed))
        data.append(Dataset(x(size, seed, y).numpy(), y.numpy(), y.numpy(), np.ones(size)))
    settings = TrainingSettings(learning_rate=2e-3, batch_size=100, max_epochs=5)
    network, history = fit(network, *data[:2], loss=CrossEntropy(), settings=settings, seed=0)
    scores, y = predict(network, data[2].x), data[2].y
    a = (scores[y == 1][:, None] > scores[y == 0]).mean()
    print(a, history.validation_loss)
    assert a > area


BAD = {
    "cloud, one jet": (CloudNet, (1, 12, 3), {}, r"shape \(2, P, 3\)"),
    "cloud, no constituents": (CloudNet, (2, 0, 3), {}, "P >= 1"),
    "cloud, images": (CloudNet, (2, 25, 25), {}, r"got \(2, 25, 25\)"),
    "cloud, momentum": (CloudNet, CLOUD, {"momentum": "log"}, "momentum, one of .* got 'log'"),
    "mlp, no axis": (MLP, (), {}, "at least one feature"),
    "mlp, no features": (MLP, (2, 0), {}, "at least one feature"),
    "mixed, no features": (MixedNet, (128,), {"pixels": 8}, "more than 128 numbers"),
    "mixed, not flat": (MixedNet, (2, 132), {"pixels": 8}, r"shape \(2 P\^2 \+ F,\)"),
    "mixed, few pixels": (MixedNet, (132,), {"pixels": 7}, "P >= 8"),
    "mixed, part": (MixedNet, MIXED, {"pixels": 8, "part": "none"}, "part, one of .* got 'none'"),
}


@pytest.mark.parametrize(("maker", "shape", "options", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(maker, shape, options, message):
    with pytest.raises(ValueError, match=message):
        maker(shape, **options)
