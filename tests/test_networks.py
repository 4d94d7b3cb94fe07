"""Every network of the shelf, and the papers' CNN against a plain writing of it."""

import copy

import instances
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fivesigma.networks import NETWORKS, Sliceable
from fivesigma.networks.cnn import CNN, product_logit
from fivesigma.networks.mlp import MLP

SHAPES = {"cnn, 8 pixels": ("cnn", (2, 8, 8)), "cnn, 25 pixels": ("cnn", (2, 25, 25))}

every_network = pytest.mark.parametrize(("name", "shape"), SHAPES.values(), ids=SHAPES.keys())


def events(n, shape, seed=0):
    """Images of which most pixels are empty, as those of jets are."""
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, *shape, generator=g)
    return x * (torch.rand(n, *shape, generator=g) < 0.1)


def trained(name, shape, seed=1):
    """A network whose every weight differs from its initial value, and with statistics."""
    network = NETWORKS[name](shape, seed=seed)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for q in network.parameters():
            q += 0.05 * torch.randn(q.shape, generator=g)
    network(events(64, shape, seed=seed))
    return network.eval()


def plain(network, x):
    """The papers' network in their order of layers, with the weights of a CNN."""
    statistics, scale, shift = network.norm.statistics, network.norm.scale, network.norm.shift
    logits = []
    for j in (0, 1):
        h = F.batch_norm(
            x[:, j : j + 1],
            None if network.training else statistics.running_mean[j : j + 1],
            None if network.training else statistics.running_var[j : j + 1],
            scale[j : j + 1],
            shift[j : j + 1],
            training=network.training,
            eps=1e-3,
        )
        for i, convolution in enumerate(network.convolutions):
            h = F.relu(F.conv2d(h, convolution.weight, convolution.bias, padding="same"))
            h = F.max_pool2d(h, 2) if i < 3 else h
        logits.append(network.head.layers(h.flatten(1))[:, 0])
    p = torch.sigmoid(logits[0]) * torch.sigmoid(logits[1])
    return torch.log(p / (1 - p))


def test_the_shelf_is_covered():
    others = {name.partition(",")[0] for name in instances.INSTANCES}
    assert {name for name, _ in SHAPES.values()} | others == set(NETWORKS)


@every_network
def test_output(name, shape):
    z = NETWORKS[name](shape, seed=1)(events(5, shape))
    assert z.shape == (5,)
    assert z.dtype == torch.float32
    assert z.isfinite().all()


@every_network
def test_gradient_reaches_every_parameter(name, shape):
    network = trained(name, shape).train()
    network(events(32, shape)).square().mean().backward()
    without = [n for n, q in network.named_parameters() if q.grad is None or not q.grad.any()]
    assert without == []


@every_network
def test_save_and_load(name, shape, tmp_path):
    network, other = trained(name, shape), NETWORKS[name](shape, seed=2).eval()
    x = events(5, shape)
    assert not torch.equal(network(x), other(x))
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(network(x), other(x))


@every_network
def test_copy_and_repr(name, shape):
    network = trained(name, shape)
    x = events(5, shape)
    assert torch.equal(copy.deepcopy(network)(x), network(x))
    assert type(network).__name__ in repr(network)


@every_network
def test_seed(name, shape):
    first, same, other = (list(NETWORKS[name](shape, seed=s).parameters()) for s in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@every_network
def test_score_does_not_depend_on_the_other_events(name, shape):
    network, x = trained(name, shape), events(40, shape)
    z = network(x)
    alone = torch.cat([network(x[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(alone, z, rtol=1e-5, atol=1e-5)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(x[order]), z[order], rtol=1e-5, atol=1e-5)


@every_network
def test_slices_make_the_batch(name, shape):
    network, x = trained(name, shape).train(), events(40, shape)
    assert isinstance(network, Sliceable)
    z = network.standardise(x)
    assert not z.requires_grad
    slices = torch.cat([network.logits(z_s) for z_s in z.split(7)])
    torch.testing.assert_close(slices, network(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("pixels", [8, 25, 30])
def test_cnn_is_the_plain_network(pixels, mode):
    network = trained("cnn", (2, pixels, pixels)).train(mode == "train")
    x = events(16, (2, pixels, pixels), seed=5)
    results = []
    for function in (network, lambda x: plain(network, x)):
        network.zero_grad()
        z = function(x)
        z.sigmoid().square().sum().backward()
        results.append((z.detach(), [q.grad for q in network.parameters()]))
    (z, gradients), (z_plain, gradients_plain) = results
    torch.testing.assert_close(z, z_plain, rtol=1e-5, atol=1e-5)
    for gradient, expected in zip(gradients, gradients_plain, strict=True):
        size = expected.abs().max().item()
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-4 * size)


def test_cnn_gradient_of_the_input():
    network, x = trained("cnn", (2, 25, 25)), events(4, (2, 25, 25), seed=6)
    gradients = []
    for function in (network, lambda x: plain(network, x)):
        x = x.detach().clone().requires_grad_()
        function(x).sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-4 * gradients[1].abs().max().item())


@pytest.mark.parametrize(("pixels", "dense"), [(25, 180_737), (75, 1_360_385)])
def test_cnn_parameters(pixels, dense):
    network = CNN((2, pixels, pixels))
    assert sum(q.numel() for q in network.convolutions.parameters()) == 325_568
    assert sum(q.numel() for q in network.head.parameters()) == dense
    assert sum(q.numel() for q in network.parameters()) == 325_568 + dense + 4
    statistics = network.norm.statistics
    running = statistics.running_mean.numel() + statistics.running_var.numel()
    assert running == 4  # Keras counts them: 506 313 at 25 x 25


def test_cnn_initial_weights_are_those_of_keras():
    network = CNN((2, 25, 25), seed=0)
    fans = [(25, 25 * 64), (25 * 64, 25 * 64), (9 * 64, 9 * 128), (9 * 128, 9 * 128)]
    for convolution, (fan_in, fan_out) in zip(network.convolutions, fans, strict=True):
        limit = (6 / (fan_in + fan_out)) ** 0.5
        assert convolution.weight.abs().max().item() == pytest.approx(limit, rel=0.01)
        assert convolution.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.05)
        assert not convolution.bias.any()
    assert not any(m.bias.any() for m in network.head.layers if isinstance(m, nn.Linear))


def test_cnn_exchange_of_jets():
    network, x = trained("cnn", (2, 25, 25)), events(6, (2, 25, 25), seed=7)
    x[:, 1] *= 3
    exchanged = copy.deepcopy(network)
    with torch.no_grad():
        for a in (
            *exchanged.norm.parameters(),
            exchanged.norm.statistics.running_mean,
            exchanged.norm.statistics.running_var,
        ):
            a.copy_(a.flip(0))
    torch.testing.assert_close(exchanged(x.flip(1)), network(x), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(network(x.flip(1)), network(x), rtol=1e-3)


def test_cnn_statistics_are_averages_from_the_first_batch_on():
    network = CNN((2, 8, 8), seed=0)
    batches = [events(16, (2, 8, 8), seed=s) + s for s in range(3)]
    for x in batches:
        network.standardise(x)
    mean = torch.stack([x.mean((0, 2, 3)) for x in batches]).mean(0)
    torch.testing.assert_close(network.norm.statistics.running_mean, mean)
    network.norm.reset()
    network.standardise(batches[2])
    torch.testing.assert_close(network.norm.statistics.running_mean, batches[2].mean((0, 2, 3)))


@pytest.mark.parametrize("offset", [0.0, 0.3, 1234.567])
def test_features_of_any_spread_enter_the_mlp_alike(offset):
    """Spreads from a thousandth to a thousand become 1, that of a constant stays 0."""
    network, spread = MLP((4,), seed=0), torch.tensor([1e-3, 1.0, 1e3, 0.0])
    normal = torch.randn(2000, 4, generator=torch.Generator().manual_seed(1))
    x = offset + spread * normal
    for u in (network.standardise(x), network.eval().standardise(x)):
        assert u.dtype == torch.float32
        assert u.std(0).tolist() == pytest.approx([1, 1, 1, 0], rel=2e-3, abs=1e-6)
        assert u.mean(0).tolist() == pytest.approx([0] * 4, abs=1e-6)


BAD_SHAPES = [(1, 25, 25), (2, 25, 24), (2, 7, 7), (25, 25), (2, 25, 25, 1)]


@pytest.mark.parametrize("shape", BAD_SHAPES)
def test_cnn_bad_shape(shape):
    with pytest.raises(ValueError, match=r"expected events of shape \(2, P, P\)"):
        CNN(shape)


def test_product_logit_is_the_logit_of_the_product():
    a, b = torch.randn(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    p = torch.sigmoid(a) * torch.sigmoid(b)
    torch.testing.assert_close(product_logit(a, b), torch.log(p / (1 - p)))
    a.requires_grad_()
    b.requires_grad_()
    assert torch.autograd.gradcheck(product_logit, (a, b))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_product_logit_is_finite(dtype):
    values = torch.tensor([-1e4, -200, -50, -1, 0, 1, 50, 200, 1e4], dtype=dtype)
    a, b = (c.flatten().requires_grad_() for c in torch.meshgrid(values, values, indexing="ij"))
    z = product_logit(a, b)
    z.sum().backward()
    assert z.isfinite().all()
    assert a.grad.isfinite().all()
    assert b.grad.isfinite().all()
    both = product_logit(torch.tensor(50.0, dtype=dtype), torch.tensor(50.0, dtype=dtype))
    assert both.item() == pytest.approx(50 - torch.log(torch.tensor(2.0)).item())
