"""Networks of constituents, of features and of both kinds of data, and random events of theirs."""

import pytest
import torch

from fivesigma.networks.cloud import CloudNet
from fivesigma.networks.jetwise import Jetwise
from fivesigma.networks.mixed import MixedNet
from fivesigma.networks.mlp import MLP

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
