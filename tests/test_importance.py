"""Rankings of known means, and maps of known places."""

import numpy as np
import pytest

from fivesigma.constituents import from_clouds
from fivesigma.importance import map_of_clouds, map_of_images, ranking
from fivesigma.representations import REPRESENTATIONS
from fivesigma.representations.images import pixelate


def rng(seed=0):
    return np.random.default_rng(seed)


def test_order_and_means():
    a = np.array([[1.0, -5, 0.1], [1.0, 5, 0.3]])
    found = ranking(a, ["a", "b", "c"], rng=rng(), replicas=2)
    assert found.names == ("b", "a", "c")
    np.testing.assert_allclose(found.mean, [0, 1, 0.2])
    np.testing.assert_allclose(found.size, [5, 1, 0.2])


def test_numbers_of_one_name_are_summed_in_each_event():
    a = np.array([[[1.0, 2], [-1, 3]], [[4, -2], [0, 0]]])
    found = ranking(a, ["jet", "other", "jet", "jet"], rng=rng())
    assert found.names == ("jet", "other")
    np.testing.assert_allclose(found.mean, [(3 + 4) / 2, 0])
    np.testing.assert_allclose(found.size, [(3 + 4) / 2, 2])


def test_weights_are_copies_of_events():
    a = rng().normal(size=(3, 2))
    weighted = ranking(a, "ab", rng=rng(), weights=[1, 0, 3])
    copied = ranking(a[[0, 2, 2, 2]], "ab", rng=rng())
    assert weighted.names == copied.names
    np.testing.assert_allclose(weighted.mean, copied.mean)
    np.testing.assert_allclose(weighted.size, copied.size)
    unweighted = ranking(a, "ab", rng=rng())
    assert np.abs(weighted.mean - unweighted.mean).max() > 0.01


def test_intervals_cover_the_known_mean():
    """Gaussian of mean 0.5 and width 1: its mean, and that of its absolute value, 0.8956."""
    size, n, trials = 0.895607, 50, 400
    covered = np.zeros(2)
    for seed in range(trials):
        found = ranking(0.5 + rng(seed).normal(size=(n, 1)), "a", rng=rng(seed), replicas=200)
        covered += [
            found.mean_low[0] <= 0.5 <= found.mean_high[0],
            found.size_low[0] <= size <= found.size_high[0],
        ]
    # The error of a fraction of 400 is 0.023; intervals of the bootstrap are 2 % narrow at n = 50.
    np.testing.assert_allclose(covered / trials, 0.6827, atol=0.07)


def test_intervals_have_the_width_of_the_error_of_a_weighted_mean():
    w = rng(1).uniform(0, 2, 2000)
    a = rng(2).normal(size=(2000, 1))
    found = ranking(a, "a", rng=rng(), weights=w, replicas=2000)
    error = np.sqrt(np.sum(w**2 * (a[:, 0] - found.mean) ** 2)) / w.sum()
    assert (found.mean_high - found.mean_low)[0] / 2 == pytest.approx(error, rel=0.06)


def test_events_without_weight_do_not_matter():
    a = np.array([[1.0], [1.0], [9.0], [9.0]])
    found = ranking(a, "a", rng=rng(), weights=[1, 0, 0, 0], replicas=50)
    numbers = (found.mean, found.mean_low, found.mean_high, found.size, found.size_low)
    np.testing.assert_array_equal(np.concatenate(numbers), 1)


def test_map_of_images_is_the_weighted_mean():
    a = rng().normal(size=(3, 2, 4, 4))
    found = map_of_images(a, half_width=0.7, weights=[1, 0, 3])
    np.testing.assert_allclose(found.values, (a[0] + 3 * a[2]) / 4)
    assert found.half_width == 0.7


def test_map_of_clouds_has_constituents_where_they_lie():
    clouds, a = np.zeros((2, 2, 3, 3)), np.zeros((2, 2, 3, 3))
    clouds[0, 0, 0], a[0, 0, 0] = (9, 0.1, -0.9), (1, 2, 3)  # eta pixel 2, phi pixel 0
    clouds[0, 0, 1], a[0, 0, 1] = (9, 1.5, 0), (50, 0, 0)  # outside
    clouds[1, 1, 0], a[1, 1, 0] = (9, -0.6, 0.4), (-4, 0, 0)  # eta pixel 0, phi pixel 2
    found = map_of_clouds(a, clouds, pixels=4)
    expected = np.zeros((2, 4, 4))
    expected[0, 2, 0], expected[1, 0, 2] = 6 / 2, -4 / 2
    np.testing.assert_array_equal(found.values, expected)
    weighted = map_of_clouds(a, clouds, pixels=4, weights=[3, 1])
    np.testing.assert_allclose(weighted.values, expected * np.array([1.5, 0.5])[:, None, None])


def test_map_of_clouds_is_on_the_grid_of_images():
    pt = rng(1).uniform(0, 1, (20, 2, 6, 1)) * (rng(2).random((20, 2, 6, 1)) < 0.7)
    clouds = np.concatenate([pt, rng(3).uniform(-1.2, 1.2, (20, 2, 6, 2))], -1).astype(np.float32)
    a = np.zeros(clouds.shape)
    a[..., 0] = clouds[..., 0]
    images = pixelate(from_clouds(clouds), 25).reshape(20, 2, 25, 25)
    np.testing.assert_allclose(map_of_clouds(a, clouds).values, images.mean(axis=0), atol=1e-6)
    assert images.any()


FIELDS = {"images": {"pixels": 8}, "mixed": {"pixels": 8}, "clouds": {"particles": 5}}


@pytest.mark.parametrize("kind", REPRESENTATIONS)
def test_every_number_of_a_representation_has_a_name(kind):
    representation = REPRESENTATIONS[kind](**FIELDS.get(kind, {}))
    assert len(representation.columns) == np.prod(representation.shape)
    assert all(isinstance(name, str) and name for name in representation.columns)


def test_names_are_in_the_order_of_the_shape():
    features = REPRESENTATIONS["features"](observables=["mass", "lha"])
    assert features.columns == (
        *("mass, leading jet", "lha, leading jet"),
        *("mass, subleading jet", "lha, subleading jet"),
    )
    clouds = np.reshape(REPRESENTATIONS["clouds"](particles=4).columns, (2, 4, 3))
    assert (clouds[0, :, 0] == "pT of constituents, leading jet").all()
    assert (clouds[1, :, 2] == "y of constituents, subleading jet").all()
    images = np.reshape(REPRESENTATIONS["images"](pixels=8).columns, (2, 8, 8))
    assert (images[1] == "image, subleading jet").all()


A = np.ones((3, 2))
BAD_RANKINGS = {  # attributions, options, message
    "no events": (A[:0], {}, r"expected finite attributions of events; got shape \(0, 2\)"),
    "NaN": (A * np.nan, {}, "expected finite attributions"),
    "weights": (A, {"weights": [1, 2]}, r"expected 3 finite weights .* got shape \(2,\)"),
    "negative": (A, {"weights": [1, 2, -1]}, "weights >= 0"),
    "no weight": (A, {"weights": [0, 0, 0]}, "not all 0"),
    "names": (np.ones((3, 4)), {}, "expected 4 names and at least 2 replicas; got 2, 500"),
    "replicas": (A, {"replicas": 1}, "at least 2 replicas; got 2, 1"),
}


@pytest.mark.parametrize(
    ("a", "options", "message"), BAD_RANKINGS.values(), ids=BAD_RANKINGS.keys()
)
def test_bad_ranking(a, options, message):
    with pytest.raises(ValueError, match=message):
        ranking(a, ["a", "b"], rng=rng(), **options)


@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 1, 4, 4), (3, 2, 4, 5)])
def test_bad_images(shape):
    with pytest.raises(ValueError, match=r"expected attributions of shape \(N, 2, P, P\)"):
        map_of_images(np.ones(shape))


@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 1, 4, 3), (3, 2, 4, 2), (2, 2, 4, 3)])
def test_bad_clouds(shape):
    with pytest.raises(ValueError, match=r"expected attributions and clouds of shape"):
        map_of_clouds(np.ones((3, 2, 4, 3)) if shape[0] == 2 else np.ones(shape), np.ones(shape))
