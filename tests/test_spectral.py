"""Convolutions in frequency space and pooled ones against those of torch."""

import pytest
import torch
import torch.nn.functional as F

from fivesigma.networks import pooling, spectral
from fivesigma.networks.pooling import PooledConvolution, pool
from fivesigma.networks.spectral import Convolution

CONVOLUTIONS = {
    "second layer": (64, 64, 5, 12),
    "third layer": (64, 128, 3, 6),
    "fourth layer": (128, 128, 3, 3),
    "one pixel": (3, 2, 3, 1),
    "odd pixels": (2, 3, 5, 7),
    "kernel of one": (3, 4, 1, 6),
    "wide kernel": (2, 2, 7, 8),
}


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gradients(y, *inputs):
    return torch.autograd.grad((y * normal(*y.shape, seed=1)).sum(), inputs)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6 * b.abs().max().item())


@pytest.mark.parametrize("direct", [False, True], ids=["frequency space", "direct"])
@pytest.mark.parametrize("instance", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_convolution_is_that_of_torch(instance, direct, monkeypatch):
    monkeypatch.setattr(spectral, "DIRECT", direct)
    channels, outputs, kernel, pixels = instance
    convolution = Convolution(channels, outputs, kernel, pixels=pixels).double()
    x = normal(pixels, pixels, 5, channels).requires_grad_()
    y = convolution(x)
    W = convolution.weight.detach().clone().requires_grad_()
    expected = F.conv2d(x.permute(2, 3, 0, 1), W, padding="same").permute(2, 3, 0, 1)
    close(y, expected)
    found = gradients(y, x, convolution.weight)
    for a, b in zip(found, gradients(expected, x, W), strict=True):
        close(a, b)


def test_convolution_in_bfloat16_is_as_good_as_bfloat16(monkeypatch):
    monkeypatch.setattr(spectral, "DIRECT", False)
    convolution, x = Convolution(64, 64, 5, pixels=12), normal(12, 12, 20, 64).float().relu()
    exact = convolution(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = convolution(x)
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact).std() / exact.std() < 4 * 2**-9


def test_convolution_keeps_its_transforms_out_of_checkpoints():
    assert set(Convolution(2, 3, 5, pixels=6).state_dict()) == {"weight", "bias"}


POOLED = {"papers": (25, 5), "even": (8, 5), "small kernel": (9, 3), "one pixel": (6, 1)}


@pytest.mark.parametrize(("pixels", "kernel"), POOLED.values(), ids=POOLED.keys())
@pytest.mark.parametrize("cached", [1, 100, pooling.CACHED])
def test_pooled_convolution_is_that_of_torch(pixels, kernel, cached, monkeypatch):
    monkeypatch.setattr(pooling, "CACHED", cached)
    torch.manual_seed(1)
    first = PooledConvolution(4, kernel, pixels=pixels).double()
    torch.nn.init.normal_(first.bias)
    z, gamma, beta = normal(2, 3, pixels, pixels), normal(2, seed=2), normal(2, seed=3)
    inputs = [a.requires_grad_() for a in (z, gamma, beta)]
    y = first(*inputs)
    images = (gamma[:, None, None, None] * z + beta[:, None, None, None]).flatten(0, 1)
    expected = F.conv2d(images[:, None], first.weight, first.bias, padding="same")
    expected = F.max_pool2d(expected, 2).relu().permute(2, 3, 0, 1)
    assert 0.1 < (expected > 0).double().mean() < 0.95
    close(y, expected)
    inputs += [first.weight, first.bias]
    for a, b in zip(gradients(y, *inputs), gradients(expected, *inputs), strict=True):
        close(a, b)


@pytest.mark.parametrize("pixels", [2, 5, 6])
def test_pool_is_that_of_torch_with_ties(pixels):
    h = normal(pixels, pixels, 3, 4).round().requires_grad_()
    y, expected = pool(h), F.max_pool2d(h.permute(2, 3, 0, 1), 2).permute(2, 3, 0, 1)
    assert torch.equal(y, expected)
    assert torch.equal(*(gradients(a, h)[0] for a in (y, expected)))
