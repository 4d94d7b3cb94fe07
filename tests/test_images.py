"""Images of jets that are placed by hand, where the answer is known; and what is refused."""

import math

import awkward as ak
import numpy as np
import pytest
from handmade_jets import PT, X, Y, make, one, turned

from fivesigma.constituents import (
    Constituents,
    align,
    constituents,
    flip,
    rotate,
)
from fivesigma.representations.images import JetImages, pixelate

KNOWN = np.zeros((25, 25), np.float32)
KNOWN[[14, 17, 5, 8], [13, 11, 13, 11]] = PT


@pytest.mark.parametrize("pixels", [25, 75])
def test_one_particle_lands_in_the_centre(pixels):
    image = JetImages(pixels)(one([37.5], [0.3], [-0.2]))
    expected = np.zeros((1, 2, pixels, pixels), np.float32)
    expected[..., pixels // 2, pixels // 2] = 37.5
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, 2.0, math.pi, -0.9])
def test_two_particles_lie_along_eta(angle):
    # Centroid at a quarter of the distance 0.64: x = 0.16 and -0.48, two and six pixels.
    x, y = turned([0.32, -0.32], [0, 0], angle)
    image = JetImages()(one([30, 10], x, y))[0, 0]
    assert image[14, 12] == pytest.approx(30)
    assert image[6, 12] == pytest.approx(10)
    assert np.count_nonzero(image) == 2


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, math.pi / 2, 2.5, math.pi, -0.7, -2.0])
@pytest.mark.parametrize("mirror", [1, -1])
@pytest.mark.parametrize("phi", [0.0, math.pi, -math.pi, 3.1])
def test_known_jet_in_any_position(angle, mirror, phi):
    x, y = turned(X, mirror * Y, angle)
    image = JetImages()(one(PT, x + 0.05, y - 0.03, eta=0.7, phi=phi))
    np.testing.assert_allclose(image, np.broadcast_to(KNOWN, (1, 2, 25, 25)), rtol=1e-6)


def test_axes_are_event_jet_eta_phi():
    second = ([5.0], [0.0], [0.0])
    jets = make([(0.0, 0.0, PT, X, Y), (1.0, 2.0, *second), (1.0, 1.0, *second), (0, 0, PT, X, Y)])
    image = JetImages()(jets)
    for known in (image[0, 0], image[1, 1]):
        np.testing.assert_allclose(known, KNOWN, rtol=1e-6)
    for single in (image[0, 1], image[1, 0]):
        assert single[12, 12] == single.sum() == 5


def test_two_particles_in_one_pixel_are_summed():
    assert JetImages()(one([10, 20], [0.001, 0], [0, 0.001]))[0, 1, 12, 12] == 30


@pytest.mark.parametrize("pixels", [1, 24, 25, 50, 75])
@pytest.mark.parametrize("half_width", [1.0, 0.4])
def test_pixels_tile_the_window(pixels, half_width):
    edges = np.linspace(-half_width, half_width, pixels + 1)
    centres = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
    x, y = (a.ravel() for a in np.meshgrid(centres, centres, indexing="ij"))
    pt = np.arange(1, pixels**2 + 1, dtype=np.float32)
    jet = Constituents(x, y, pt, np.array([pixels**2]))
    image = pixelate(jet, pixels, half_width=half_width)
    np.testing.assert_array_equal(image.ravel(), pt)


@pytest.mark.parametrize("pixels", [25, 50, 75])
def test_window_is_half_open(pixels):
    lowest, highest = np.float32(-1), np.nextafter(np.float32(1), np.float32(0))
    beyond = np.nextafter(lowest, np.float32(-2)), np.float32(1), np.float32(1.02), np.float32(-3)
    for outside in beyond:
        for x, y in [(outside, 0), (0, outside), (outside, outside)]:
            assert not pixelate(particle(x, y), pixels).any()
    for i, inside in [(0, lowest), (pixels - 1, highest)]:
        assert pixelate(particle(inside, 0), pixels)[0, i, pixels // 2] == 1
        assert pixelate(particle(0, inside), pixels)[0, pixels // 2, i] == 1


def particle(x, y):
    x, y, pt = (np.array([a], np.float32) for a in (x, y, 1))
    return Constituents(x, y, pt, np.array([1]))


def test_dropped_particles_do_not_wrap_around():
    expected = np.zeros((25, 25), np.float32)
    expected[[16, 22, 4], [14, 10, 10]] = PT[[0, 1, 3]]  # the third lies at x = -0.56
    image = JetImages(half_width=0.5)(one(PT, X, Y))
    np.testing.assert_allclose(image[0, 0], expected, rtol=1e-6)


def test_rotation_after_alignment():
    jets = align(constituents(one(PT, *turned(X, Y, 0.6))))
    image = pixelate(rotate(jets, np.full(2, np.pi / 2, np.float32)), 25)
    np.testing.assert_allclose(image[1], KNOWN.T[::-1], rtol=1e-6)
    np.testing.assert_allclose(pixelate(flip(jets), 25)[0], KNOWN, rtol=1e-6)


def test_logarithmic_intensity():
    jets = one([*PT, 1e-3], [*X, 3.0], [*Y, 0.0])
    linear, logarithmic = (
        pixelate(align(constituents(jets)), 25, intensity=i) for i in ("linear", "logarithmic")
    )
    assert linear[0].sum() == pytest.approx(180)
    np.testing.assert_allclose(logarithmic, np.log(1 + 1000 * linear / 180.001), rtol=1e-5)
    crowded = JetImages(intensity="logarithmic")(one([1, 2, 3], [0, 0, 0], [0, 0, 0]))
    assert crowded.sum() == pytest.approx(2 * math.log(1001), rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pixels": 0}, "expected pixels, a whole number >= 1; got 0"),
        ({"pixels": 12.5}, "expected pixels, a whole number >= 1; got 12.5"),
        ({"half_width": 0.0}, "expected a finite half_width > 0; got 0.0"),
        ({"half_width": -1.0}, "expected a finite half_width > 0; got -1.0"),
        ({"half_width": math.nan}, "expected a finite half_width > 0; got nan"),
        ({"intensity": "cubic"}, "expected intensity linear or logarithmic; got 'cubic'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        JetImages(**settings)
    jet = {"jets": particle(0, 0), "pixels": 25} | settings
    with pytest.raises(ValueError, match=message):
        pixelate(**jet)


@pytest.mark.parametrize("field", ["constituents", "eta", "phi"])
def test_missing_field_of_jets(field):
    jets = one(PT, X, Y)
    with pytest.raises(ValueError, match=f"expected jets with a field '{field}'; got"):
        JetImages()(jets[[name for name in jets.fields if name != field]])


@pytest.mark.parametrize("field", ["pt", "eta", "phi"])
def test_missing_field_of_constituents(field):
    jets = one(PT, X, Y)
    rest = [name for name in jets.constituents.fields if name != field]
    jets = ak.with_field(jets, jets.constituents[rest], "constituents")
    with pytest.raises(ValueError, match=f"expected constituents with a field '{field}'; got"):
        JetImages()(jets)


def test_not_two_jets():
    jets = one(PT, X, Y)
    with pytest.raises(ValueError, match="expected two jets in every event; got an event with 1"):
        JetImages()(ak.concatenate([jets, jets[:, :1]]))
