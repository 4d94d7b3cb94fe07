"""Images of random jets meet a slow reference and their symmetries."""

import math

import awkward as ak
import numpy as np
import pytest
from handmade_jets import PT, X, Y, make, one, random_jets, turned

from fivesigma.constituents import (
    align,
    constituents,
    principal_angle,
)
from fivesigma.representations import REPRESENTATIONS
from fivesigma.representations.images import JetImages

INSTANCES = {
    "25": JetImages(25),
    "50": JetImages(50),
    "75": JetImages(75),
    "narrow": JetImages(24, half_width=0.4),
    "logarithmic": JetImages(25, intensity="logarithmic"),
    "logarithmic 75": JetImages(75, intensity="logarithmic"),
}
SIZES = {"few": (3, 16), "usual": (40, 80)}


@pytest.fixture(params=INSTANCES.values(), ids=INSTANCES.keys())
def images(request):
    return request.param


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def shower(request):
    return random_jets(request.param)


def changed(jets, change):
    return make([change(*jet) for jet in jets])


def equal(a, b):
    """Fraction of equal images; rounding carries a constituent over a pixel edge now and then."""
    assert a.shape == b.shape
    return np.isclose(a, b, rtol=1e-4, atol=1e-4).all(axis=(-2, -1)).mean()


def slow(jets, images):
    """The papers' recipe, jet by jet, in float64."""
    result = np.zeros((len(jets), images.pixels, images.pixels))
    for image, (_, _, pt, x, y) in zip(result, jets, strict=True):
        x, y = x - np.average(x, weights=pt), y - np.average(y, weights=pt)
        s_ee, s_pp, s_ep = (np.average(a, weights=pt) for a in (x * x, y * y, x * y))
        root = math.sqrt((s_ee - s_pp) ** 2 + 4 * s_ep**2)
        x, y = turned(x, y, -math.atan2(-s_ee + s_pp + root, 2 * s_ep))
        signs = [(a, b) for a in (1, -1) for b in (1, -1)]
        a, b = max(signs, key=lambda sign: pt[(sign[0] * x > 0) & (sign[1] * y > 0)].sum())
        edges = np.linspace(-images.half_width, images.half_width, images.pixels + 1)
        image += np.histogram2d(a * x, b * y, (edges, edges), weights=pt)[0]
        if images.intensity == "logarithmic":
            image[:] = np.log(1 + 1000 * image / pt.sum())
    return result.reshape(-1, *images.shape)


def test_matches_the_slow_reference(images, shower):
    assert equal(images(make(shower)), slow(shower, images)) > 0.97


def test_shape_type_and_range(images, shower):
    image = images(make(shower))
    assert image.shape == (len(shower) // 2, *images.shape)
    assert images.shape == (2, images.pixels, images.pixels)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert (image >= 0).all()
    assert (image.sum(axis=(2, 3)) > 0).all()


def test_azimuth_of_the_jet_is_irrelevant(images, shower):
    at_zero = images(changed(shower, lambda eta, phi, *rest: (eta, 0.0, *rest)))
    for phi in (math.pi, -math.pi, 3.13, -3.1, 1.5):
        moved = images(changed(shower, lambda eta, _, *rest, phi=phi: (eta, phi, *rest)))
        assert equal(moved, at_zero) > 0.97


def test_rotation_about_the_axis_is_irrelevant(images, shower):
    rng = np.random.default_rng(2)

    def rotated(eta, phi, pt, x, y):
        return (eta, phi, pt, *turned(x, y, rng.uniform(-math.pi, math.pi)))

    assert equal(images(changed(shower, rotated)), images(make(shower))) > 0.97


def test_reflections_are_irrelevant(images, shower):
    original = images(make(shower))
    in_eta = changed(shower, lambda eta, phi, pt, x, y: (-eta, phi, pt, -x, y))
    in_phi = changed(shower, lambda eta, phi, pt, x, y: (eta, -phi, pt, x, -y))
    assert equal(images(in_eta), original) > 0.97
    assert equal(images(in_phi), original) > 0.97


def test_order_of_particles_is_irrelevant(images, shower):
    reverse = changed(shower, lambda eta, phi, *abc: (eta, phi, *(a[::-1] for a in abc)))
    assert equal(images(reverse), images(make(shower))) > 0.97


def test_each_event_stands_alone(images, shower):
    jets = make(shower)
    together = images(jets)
    picked = np.arange(len(jets)) % 3 == 1
    np.testing.assert_array_equal(images(jets[picked]), together[picked])
    np.testing.assert_array_equal(images(jets[::-1]), together[::-1])
    np.testing.assert_array_equal(images(ak.to_regular(jets, axis=1)), together)
    repeated = images(ak.concatenate([jets] * 9))
    np.testing.assert_array_equal(repeated, np.concatenate([together] * 9))


def test_argument_is_untouched(images, shower):
    jets = make(shower)
    before = ak.to_list(jets)
    images(jets)
    assert ak.to_list(jets) == before


def test_energy_scale(images, shower):
    hard = images(changed(shower, lambda eta, phi, pt, x, y: (eta, phi, 8 * pt, x, y)))
    factor = 1 if images.intensity == "logarithmic" else 8
    assert equal(hard, factor * images(make(shower))) > 0.97


@pytest.mark.parametrize("pixels", [25, 50, 75])
def test_sum_of_pixels_is_the_pt_of_the_constituents(pixels, shower):
    total = [jet[2].sum() for jet in shower]
    wide = JetImages(pixels, half_width=3.0)(make(shower))
    np.testing.assert_allclose(wide.sum(axis=(2, 3)).ravel(), total, rtol=1e-5)


def test_hardest_quadrant_becomes_plus_plus(shower):
    image = JetImages(50, half_width=3.0)(make(shower)).reshape(-1, 2, 25, 2, 25)
    quadrants = image.sum(axis=(2, 4)).reshape(-1, 4)
    assert (quadrants.argmax(axis=1) == 3).all()


def test_main_axis_lies_along_eta(shower):
    jets = align(constituents(make(shower)))
    assert np.abs(np.tan(2 * principal_angle(jets))).max() < 1e-3
    for first, m in zip(np.cumsum(jets.counts) - jets.counts, jets.counts, strict=True):
        x, y, pt = (a[first : first + m].astype(float) for a in (jets.x, jets.y, jets.pt))
        assert np.average(x, weights=pt) == pytest.approx(0, abs=1e-6)
        assert np.average(y, weights=pt) == pytest.approx(0, abs=1e-6)
        assert np.average(x**2, weights=pt) > np.average(y**2, weights=pt)


def test_empty_jets_give_empty_images(images):
    full, empty = (0.2, 3.0, PT, X, Y), (0.1, -3.0, [], [], [])
    alone = images(make([full, full]))[0, 0]
    image = images(make([empty, full, full, empty, empty, empty]))
    assert not image[[0, 1, 2, 2], [0, 1, 0, 1]].any()
    np.testing.assert_array_equal(image[[0, 1], [1, 0]], np.stack([alone, alone]))


def test_no_pt_no_image(images):
    assert not images(one([0.0, 0.0], [0.1, 0.2], [0.1, 0.2])).any()


def test_no_events(images):
    assert images(one(PT, X, Y)[:0]).shape == (0, *images.shape)


def test_registered():
    names = {
        REPRESENTATIONS["images"](pixels=p, intensity=i).name
        for p in (25, 50)
        for i in ("linear", "logarithmic")
    }
    assert len(names) == 4
    assert REPRESENTATIONS["images"](pixels=50) == JetImages(50)
