"""Jets are placed by hand where the answer is known; random jets meet a slow reference."""

import math

import awkward as ak
import numpy as np
import pytest

from fivesigma.constituents import (
    Constituents,
    align,
    constituents,
    flip,
    principal_angle,
    rotate,
)
from fivesigma.representations import REPRESENTATIONS
from fivesigma.representations.images import JetImages, pixelate

INSTANCES = {
    "25": JetImages(25),
    "50": JetImages(50),
    "75": JetImages(75),
    "narrow": JetImages(24, half_width=0.4),
    "logarithmic": JetImages(25, intensity="logarithmic"),
    "logarithmic 75": JetImages(75, intensity="logarithmic"),
}
SIZES = {"few": (3, 16), "usual": (40, 80)}

# In pixels of a 25 x 25 image from its centre. Centroid and s_xy vanish, s_xx = 17 s_yy, and the
# quadrant (+, +) holds most pT: alignment must leave this jet alone.
PT = np.array([70, 40, 20, 50])
X = 0.08 * np.array([2, 5, -7, -4])
Y = 0.08 * np.array([1, -1, 1, -1])
KNOWN = np.zeros((25, 25), np.float32)
KNOWN[[14, 17, 5, 8], [13, 11, 13, 11]] = PT


@pytest.fixture(params=INSTANCES.values(), ids=INSTANCES.keys())
def images(request):
    return request.param


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def shower(request):
    return random_jets(request.param)


def wrapped(phi):
    return np.arctan2(np.sin(phi), np.cos(phi))


def make(jets):
    """Awkward events of two jets each from a list of (eta, phi, pt, x, y), angles from the axis."""
    counts = np.array([len(jet[2]) for jet in jets])
    axes = np.array([jet[:2] for jet in jets], np.float64)
    pt, x, y = (np.concatenate([jet[k] for jet in jets]) for k in (2, 3, 4))
    eta, phi = np.repeat(axes, counts, axis=0).T
    parts = {"pt": pt, "eta": eta + x, "phi": wrapped(phi + y)}
    particles = ak.zip(
        {name: value.astype(np.float32) for name, value in parts.items()}
        | {"species": np.zeros(len(pt), np.int8)}
    )
    sums = [np.sum(jet[2]) for jet in jets]
    values = {"pt": sums, "eta": axes[:, 0], "phi": axes[:, 1], "mass": np.zeros(len(jets))}
    record = {name: np.asarray(value, np.float32) for name, value in values.items()}
    record["constituents"] = ak.unflatten(particles, counts)
    return ak.unflatten(ak.zip(record, depth_limit=1), np.full(len(jets) // 2, 2))


def one(pt, x, y, *, eta=0.4, phi=-1.0):
    """One event whose two jets are the same."""
    return make([(eta, phi, pt, x, y)] * 2)


def random_jets(size, *, n=300, seed=5):
    rng = np.random.default_rng(seed)
    jets = []
    for _ in range(n):
        m = rng.integers(*size)
        pt = np.minimum(0.5 / (1 - rng.random(m)), 300)
        eta, phi = rng.uniform(-2, 2), rng.uniform(-math.pi, math.pi)
        jets.append((eta, phi, pt, rng.normal(0.02, 0.25, m), rng.normal(-0.03, 0.15, m)))
    return jets


def changed(jets, change):
    return make([change(*jet) for jet in jets])


def turned(x, y, angle):
    c, s = math.cos(angle), math.sin(angle)
    return c * np.asarray(x) - s * np.asarray(y), s * np.asarray(x) + c * np.asarray(y)


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


def test_registered():
    names = {
        REPRESENTATIONS["images"](pixels=p, intensity=i).name
        for p in (25, 50)
        for i in ("linear", "logarithmic")
    }
    assert len(names) == 4
    assert REPRESENTATIONS["images"](pixels=50) == JetImages(50)
