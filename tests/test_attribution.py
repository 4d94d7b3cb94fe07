"""Integrated gradients at known answers, and their completeness for every network of the shelf."""

import numpy as np
import pytest
import torch
from torch import nn

from fivesigma.attribution import Baselines, attributions, same_constituents
from fivesigma.networks import NETWORKS
from fivesigma.prediction import slices

CLOUD, MIXED = (2, 12, 3), (2 * 8 * 8 + 4,)
INSTANCES = {  # name on the shelf, shape of events, options
    "cloud": ("cloud", CLOUD, {}),
    "cloud, absolute": ("cloud", CLOUD, {"momentum": "absolute"}),
    "cnn": ("cnn", (2, 8, 8), {}),
    "jetwise": ("jetwise", (2, 3), {}),
    "mixed": ("mixed", MIXED, {"pixels": 8}),
    "mixed, images": ("mixed", MIXED, {"pixels": 8, "part": "images"}),
    "mlp": ("mlp", (2, 3), {}),
    "mlp, mish": ("mlp", (2, 3), {"activation": "mish"}),
    "mlp, norm": ("mlp", (2, 3), {"norm": "batch", "dropout": 0.2}),
}
every_network = pytest.mark.parametrize("name", INSTANCES)


class Function(nn.Module):
    """A function of events as a network."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


LINEAR = Function(lambda x: x @ torch.tensor([2.0, -1.0, 0.0]) + 5)


def rng(seed=0):
    return np.random.default_rng(seed)


def normal(*shape, seed=0):
    return rng(seed).normal(size=shape).astype(np.float32)


def clouds(n, seed=0):
    """Jets of 1 to 12 constituents, the hardest first."""
    g = rng(seed)
    pt = np.sort(600 * g.random((n, 2, 12)) ** 4 + 0.5)[..., ::-1]
    real = np.arange(12) < g.integers(1, 13, (n, 2, 1))
    xy = 0.2 * g.normal(size=(n, 2, 12, 2))
    return (np.concatenate([pt[..., None], xy], axis=-1) * real[..., None]).astype(np.float32)


def events(name, n, seed):
    shape = INSTANCES[name][1]
    return clouds(n, seed) if shape == CLOUD else normal(n, *shape, seed=seed)


def trained(name):
    """A network that is not at its initial weights, and has statistics."""
    kind, shape, options = INSTANCES[name]
    network, g = NETWORKS[kind](shape, seed=1, **options), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for theta in network.parameters():
            theta += 0.05 * torch.randn(theta.shape, generator=g)
            theta *= 1.3  # logits that differ by enough to be explained
    network(torch.from_numpy(events(name, 64, 9)))
    return network.eval()


def matched(name, x, b):
    """Baselines with as many constituents as the event, in a plain writing; else as they are."""
    if INSTANCES[name][1] != CLOUD:
        return b
    out = np.zeros_like(b)
    for i in np.ndindex(x.shape[:3]):
        if x[i][0] > 0:
            out[i] = b[i] if b[i][0] > 0 else x[i]
    return out


def baselines(name, b, **options):
    if INSTANCES[name][1] == CLOUD:
        options["match"] = same_constituents
    return Baselines(b, **options)


def test_the_shelf_is_covered():
    assert {name for name, _, _ in INSTANCES.values()} == set(NETWORKS)


def test_linear_network():
    x, b = normal(7, 3), normal(5, 3, seed=1) + 3
    found = attributions(LINEAR, x, Baselines(b), rng=rng(), draws=4, steps=3)
    mean = b[rng().choice(5, (7, 4), p=np.full(5, 0.2))].mean(axis=1)
    np.testing.assert_allclose(found.values, [2, -1, 0] * (x - mean), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.logit, 2 * x[:, 0] - x[:, 1] + 5, rtol=1e-5)
    np.testing.assert_allclose(found.baseline_logit, 2 * mean[:, 0] - mean[:, 1] + 5, rtol=1e-5)
    assert not found.rest.any()
    assert (found.steps == 3).all()


def test_many_draws_are_the_mean_of_the_baselines():
    x, b = normal(3, 3), normal(50, 3, seed=1)
    found = attributions(LINEAR, x, Baselines(b), rng=rng(), draws=4000, steps=1)
    expected = np.array([2, -1, 0]) * (x - b.mean(axis=0))
    np.testing.assert_allclose(found.values, expected, atol=5 * 2 * b.std() / 4000**0.5)


def test_halves_of_a_product():
    x = normal(6, 2)
    product = Function(lambda x: x[:, 0] * x[:, 1])
    found = attributions(product, x, Baselines(np.zeros((1, 2))), rng=rng(), draws=2)
    half = x.prod(axis=1, keepdims=True) / 2
    np.testing.assert_allclose(found.values, np.hstack([half, half]), rtol=1e-5, atol=1e-6)


@every_network
def test_completeness(name):
    network, x, b = trained(name), events(name, 6, 2), events(name, 1, 3)
    found = attributions(network, x, baselines(name, b), rng=rng(), draws=1)
    with torch.no_grad():
        drawn = np.repeat(b, len(x), axis=0)
        f_x, f_start, f_b = (
            network(torch.from_numpy(a)).numpy() for a in (x, matched(name, x, drawn), drawn)
        )
    assert found.values.shape == x.shape
    assert found.values.dtype == np.float32
    assert np.std(f_x - f_start) > 0.1
    allowed = 0.02 * np.maximum(1, np.abs(f_x - f_start)) + 1e-3
    total = found.values.reshape(len(x), -1).sum(axis=1)
    assert (np.abs(total - (f_x - f_start)) <= allowed).all()
    assert (np.abs(total + found.rest - (f_x - f_b)) <= allowed).all()
    np.testing.assert_allclose(found.rest, f_start - f_b, atol=1e-3)
    np.testing.assert_allclose(found.error, total + found.rest - (f_x - f_b), atol=2e-3)


@every_network
def test_slices_and_modes_do_not_matter(name, monkeypatch):
    network, x, b = trained(name), events(name, 3, 2), events(name, 4, 3)
    options = {"draws": 2, "steps": 16, "tolerance": 9.0}
    found = attributions(network, x, baselines(name, b), rng=rng(), **options)
    monkeypatch.setattr("fivesigma.attribution.slices", lambda n, size: slices(n, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        alone = attributions(network.train(), x, baselines(name, b), rng=rng(), **options)
    assert network.training
    np.testing.assert_allclose(alone.values, found.values, atol=1e-4)
    assert np.abs(found.values).max() > 1e-3


def test_padding_and_pixels_without_difference_get_nothing():
    x, b = clouds(4, 2), clouds(6, 3)
    network, match = trained("cloud"), same_constituents
    found = attributions(network, x, Baselines(b, match=match), rng=rng(), draws=2)
    assert not found.values[x[..., 0] == 0].any()
    assert found.values[x[..., 0] > 0].any()
    x, b = events("cnn", 4, 2), events("cnn", 5, 3)
    x[:, :, :4], b[:, :, :4] = 1.0, 1.0
    found = attributions(trained("cnn"), x, Baselines(b), rng=rng(), draws=2)
    assert not found.values[:, :, :4].any()
    assert np.abs(found.values[:, :, 4:]).min() > 0


def test_what_a_network_ignores_gets_nothing():
    found = attributions(trained("mixed, images"), events("mixed", 3, 2),
                         Baselines(events("mixed", 4, 3)), rng=rng(), draws=2)  # fmt: skip
    assert not found.values[:, 2 * 8 * 8 :].any()
    assert found.values[:, : 2 * 8 * 8].any(axis=0).all()


def test_baselines_are_drawn_in_proportion_to_weights():
    drawn = Baselines(normal(4, 3), weights=[0, 1, 0, 3]).draw(2000, 5, rng())
    assert drawn.shape == (2000, 5)
    share = np.bincount(drawn.ravel(), minlength=4) / drawn.size
    np.testing.assert_allclose(share, [0, 0.25, 0, 0.75], atol=5 * (0.25 * 0.75 / 1e4) ** 0.5)
    assert share[0] == share[2] == 0
    x, b = normal(3, 3), normal(4, 3, seed=1)
    found = attributions(LINEAR, x, Baselines(b, weights=[0, 0, 1, 0]), rng=rng(), draws=3)
    np.testing.assert_allclose(found.values, [2, -1, 0] * (x - b[2]), rtol=1e-5, atol=1e-5)


def test_steps_are_doubled_where_the_sum_is_coarse():
    steep = Function(lambda x: 4 * torch.sigmoid(8 * (x[:, 0] - 0.51)))
    x = np.array([[0.0], [1.0], [3.0]], np.float32)
    found = attributions(
        steep, x, Baselines(np.zeros((1, 1))), rng=rng(), draws=1, steps=2, tolerance=1e-3
    )
    assert found.steps[0] == 2
    assert (found.steps[1:] > 2).all()
    expected = 4 / (1 + np.exp(-8 * (x[:, 0] - 0.51))) - 4 / (1 + np.exp(8 * 0.51))
    np.testing.assert_allclose(found.values[:, 0], expected, atol=4e-3)


def test_a_jump_is_an_error():
    jump = Function(lambda x: x[:, 0] + (x[:, 1] > 0.5) * 3.0)
    x = np.array([[1, 0.2], [1, 0.7], [1, 0.9]], np.float32)
    with pytest.raises(ValueError, match=r"2 of 3 events .* 512 steps, the first by -3: the logit"):
        attributions(jump, x, Baselines(np.zeros((1, 2))), rng=rng(), draws=1)
    x, b = clouds(3, 2), clouds(1, 3)
    x[:, :, 5:], b[:, :, 2:] = 0, 0
    with pytest.raises(ValueError, match="add up to the logit"):
        attributions(trained("cloud"), x, Baselines(b), rng=rng(), draws=1, steps=8)


ONES, BAD = np.ones((3, 2), np.float32), np.array([[1, np.nan]], np.float32)
BAD_INPUT = {  # events, baselines, options, message
    "no baselines": (ONES, np.empty((0, 2)), {}, "expected at least one background event"),
    "no events": (ONES[:0], ONES, {}, "expected events, at least one"),
    "shapes": (ONES, np.ones((3, 4)), {}, r"of one shape; got \(3, 2\) and \(3, 4\)"),
    "event is NaN": (BAD, ONES, {}, "expected finite events"),
    "baseline is NaN": (ONES, BAD, {}, "expected finite baselines"),
    "number of weights": (ONES, ONES, {"weights": [1, 2]}, "weights of baselines, 3 finite"),
    "negative weight": (ONES, ONES, {"weights": [1, 2, -1]}, "from -1 to 2"),
    "NaN as weight": (ONES, ONES, {"weights": [1, 2, np.nan]}, "weights of baselines"),
    "weights of 0": (ONES, ONES, {"weights": [0, 0, 0]}, "not all 0"),
    "no draws": (ONES, ONES, {"draws": 0}, "draws and steps of at least 1"),
    "no steps": (ONES, ONES, {"steps": 0}, "draws and steps of at least 1"),
    "no tolerance": (ONES, ONES, {"tolerance": 0.0}, "a tolerance > 0"),
}


@pytest.mark.parametrize(("x", "b", "options", "message"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input(x, b, options, message):
    weights = {k: options[k] for k in options if k == "weights"}
    others = {k: options[k] for k in options if k != "weights"}
    with pytest.raises(ValueError, match=message):
        attributions(Function(lambda x: x.sum(1)), x, Baselines(b, **weights), rng=rng(), **others)


def test_several_logits_are_refused():
    with pytest.raises(ValueError, match=r"one logit for an event; got shape \(1, 2\)"):
        attributions(Function(lambda x: x), ONES, Baselines(ONES), rng=rng())
