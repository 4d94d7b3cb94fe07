"""Jets are placed by hand where the answer is known; random jets meet a slow reference."""

import math

import awkward as ak
import numpy as np
import pytest
from handmade_jets import make, one, random_jets, turned

from fivesigma.constituents import Constituents, align, constituents, from_clouds
from fivesigma.representations import REPRESENTATIONS
from fivesigma.representations.clouds import JetClouds

INSTANCES = {
    "80": JetClouds(),
    "12": JetClouds(12),
    "1": JetClouds(1),
    "unaligned": JetClouds(alignment="none"),
    "unaligned 12": JetClouds(12, alignment="none"),
}
SIZES = {"few": (3, 16), "usual": (40, 80), "more than fit": (90, 120)}

# Centroid and s_xy vanish, s_xx > s_yy, and the quadrant (+, +) holds most pT.
PT = np.array([70, 40, 20, 50])
X = 0.08 * np.array([2, 5, -7, -4])
Y = 0.08 * np.array([1, -1, 1, -1])
KNOWN = np.stack([PT, X, Y], axis=1)[[0, 3, 1, 2]]


@pytest.fixture(params=INSTANCES.values(), ids=INSTANCES.keys())
def clouds(request):
    return request.param


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def shower(request):
    return random_jets(request.param, n=60)


def slow(jets, clouds):
    """Jet by jet in float64; alignment by the main axis of the moments, flips by the quadrants."""
    result = np.zeros((len(jets), clouds.particles, 3))
    for cloud, (_, _, pt, x, y) in zip(result, jets, strict=True):
        if clouds.alignment == "principal":
            x, y = x - np.average(x, weights=pt), y - np.average(y, weights=pt)
            axis = np.linalg.eigh(np.cov(x, y, aweights=pt))[1][:, -1]
            x, y = turned(x, y, -math.atan2(axis[1], axis[0]))
            signs = [(a, b) for a in (1, -1) for b in (1, -1)]
            a, b = max(signs, key=lambda s: pt[(s[0] * x > 0) & (s[1] * y > 0)].sum())
            x, y = a * x, b * y
        kept = np.argsort(-pt, kind="stable")[: clouds.particles]
        cloud[: len(kept)] = np.stack([pt, x, y], axis=1)[kept]
    return result.reshape(-1, *clouds.shape)


def equal(a, b):
    """Fraction of equal clouds; rounding decides the axis and quadrant of a round jet."""
    assert a.shape == b.shape
    return np.isclose(a, b, rtol=1e-4, atol=1e-4).all(axis=(-2, -1)).mean()


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, math.pi / 2, 2.5, math.pi, -0.7])
@pytest.mark.parametrize("phi", [0.0, math.pi, -math.pi, 3.1])
def test_known_jet_in_any_position(angle, phi):
    x, y = turned(X, -Y, angle)
    cloud = JetClouds(6)(one(PT, x + 0.05, y - 0.03, eta=0.7, phi=phi))
    assert cloud.shape == (1, 2, 6, 3)
    for jet in cloud[0]:
        np.testing.assert_allclose(jet[:4], KNOWN, atol=1e-6)
        assert not jet[4:].any()


def test_unaligned_clouds_are_distances_to_the_axis():
    jets = one(PT, X + 0.05, Y - 0.03, eta=0.7, phi=3.1)
    cloud = JetClouds(4, alignment="none")(jets)
    np.testing.assert_allclose(cloud[0, 1], np.add(KNOWN, [0, 0.05, -0.03]), atol=1e-6)


def test_the_hardest_are_kept():
    cloud = JetClouds(2)(one(PT, X, Y))
    np.testing.assert_allclose(cloud[0, 0], KNOWN[:2], atol=1e-6)


def test_axes_are_event_jet_particle():
    jets = make([(0, 0, [k], [0.0], [0.0]) for k in (1, 2, 3, 4)])
    np.testing.assert_array_equal(JetClouds(2)(jets)[..., 0], [[[1, 0], [2, 0]], [[3, 0], [4, 0]]])


def test_matches_the_slow_reference(clouds, shower):
    assert equal(clouds(make(shower)), slow(shower, clouds)) > 0.97


def test_shape_type_and_order(clouds, shower):
    cloud = clouds(make(shower))
    assert clouds.shape == (2, clouds.particles, 3)
    assert cloud.shape == (len(shower) // 2, *clouds.shape)
    assert cloud.dtype == np.float32
    assert np.isfinite(cloud).all()
    assert (np.diff(cloud[..., 0], axis=-1) <= 0).all()
    sizes = [min(len(jet[2]), clouds.particles) for jet in shower]
    np.testing.assert_array_equal((cloud[..., 0] > 0).sum(axis=-1).ravel(), sizes)
    assert not cloud[cloud[..., 0] == 0].any()


def test_order_of_particles_is_irrelevant(clouds, shower):
    reverse = make([(eta, phi, *(a[::-1] for a in abc)) for eta, phi, *abc in shower])
    ties = [len(set(jet[2])) < len(jet[2]) for jet in shower]  # pT is capped at 300 GeV
    alike = np.isclose(clouds(reverse), clouds(make(shower)), rtol=1e-4, atol=1e-4)
    assert alike.all(axis=(-2, -1)).ravel()[~np.array(ties)].mean() > 0.97
    assert np.mean(ties) < 0.5


def test_azimuth_of_the_jet_is_irrelevant(clouds, shower):
    at_zero = clouds(make([(eta, 0.0, *rest) for eta, _, *rest in shower]))
    for phi in (math.pi, -math.pi, 3.13, 1.5):
        moved = clouds(make([(eta, phi, *rest) for eta, _, *rest in shower]))
        assert equal(moved, at_zero) > 0.97


def test_rotation_is_irrelevant_after_alignment(shower):
    rng = np.random.default_rng(2)
    rotated = [(*jet[:3], *turned(*jet[3:], rng.uniform(-3, 3))) for jet in shower]
    clouds = JetClouds(120)
    assert equal(clouds(make(rotated)), clouds(make(shower))) > 0.97
    free = JetClouds(120, alignment="none")
    assert equal(free(make(rotated)), free(make(shower))) < 0.1


def test_each_event_stands_alone(clouds, shower):
    jets = make(shower)
    together = clouds(jets)
    picked = np.arange(len(jets)) % 3 == 1
    np.testing.assert_array_equal(clouds(jets[picked]), together[picked])
    repeated = clouds(ak.concatenate([jets] * 20))
    np.testing.assert_array_equal(repeated, np.concatenate([together] * 20))


def test_argument_is_untouched(clouds, shower):
    jets = make(shower)
    before = ak.to_list(jets)
    clouds(jets)
    assert ak.to_list(jets) == before


def test_draws_what_the_images_draw(clouds, shower):
    flat = constituents(make(shower))
    lying = align(flat) if clouds.alignment == "principal" else flat
    np.testing.assert_array_equal(clouds.draw(lying), clouds(make(shower)))


def test_clouds_keep_all_of_a_jet_that_fits():
    shower = random_jets((40, 80), n=60)
    flat, back = constituents(make(shower)), from_clouds(JetClouds(alignment="none")(make(shower)))
    np.testing.assert_array_equal(back.counts, flat.counts)
    order = np.lexsort((-flat.pt, np.repeat(np.arange(60), flat.counts)))
    for name in ("pt", "x", "y"):
        np.testing.assert_array_equal(getattr(back, name), getattr(flat, name)[order])


def test_empty_jets_are_padding(clouds):
    full, empty = (0.2, 3.0, PT, X, Y), (0.1, -3.0, [], [], [])
    cloud = clouds(make([empty, full, full, empty, empty, empty]))
    assert not cloud[[0, 1, 2, 2], [0, 1, 0, 1]].any()
    np.testing.assert_array_equal(cloud[0, 1], clouds(make([full, full]))[0, 0])


def test_particles_without_pt_are_padding(clouds):
    cloud = clouds(one([*PT, 0.0, 0.0], [*X, 0.4, 3.0], [*Y, 0.7, -2.0]))
    np.testing.assert_allclose(cloud, clouds(one(PT, X, Y)), atol=1e-6)


def test_no_events(clouds):
    assert clouds(one(PT, X, Y)[:0]).shape == (0, *clouds.shape)


BAD = {
    "none": ({"particles": 0}, "expected particles, a whole number >= 1; got 0"),
    "part": ({"particles": 2.5}, "expected particles, a whole number >= 1; got 2.5"),
    "alignment": ({"alignment": "up"}, "expected alignment principal or none; got 'up'"),
}


@pytest.mark.parametrize(("settings", "message"), BAD.values(), ids=BAD.keys())
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        JetClouds(**settings)


@pytest.mark.parametrize("field", ["constituents", "eta", "phi"])
def test_missing_field(field):
    jets = one(PT, X, Y)
    with pytest.raises(ValueError, match=f"expected jets with a field '{field}'; got"):
        JetClouds()(jets[[name for name in jets.fields if name != field]])


def test_not_two_jets():
    jets = one(PT, X, Y)
    with pytest.raises(ValueError, match="expected two jets in every event; got an event with 1"):
        JetClouds()(jets[:, :1])


def test_registered():
    assert REPRESENTATIONS["clouds"]() == JetClouds(80, "principal")
    assert JetClouds().name == "clouds-80-principal"
    names = {REPRESENTATIONS["clouds"](p, a).name for p in (1, 80) for a in ("principal", "none")}
    assert len(names) == 4


def test_draw_leaves_its_argument():
    jet = Constituents(
        *(np.array(a, np.float32) for a in (X, Y, PT * [1, 0, 1, 1])), np.array([4, 0])
    )
    before = [a.copy() for a in (jet.x, jet.y, jet.pt)]
    assert JetClouds(4).draw(jet)[0, 0, 2].tolist() == [20, *np.float32([X[2], Y[2]]).tolist()]
    for a, b in zip(before, (jet.x, jet.y, jet.pt), strict=True):
        np.testing.assert_array_equal(a, b)
