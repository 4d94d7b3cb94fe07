"""Every event carries a number, so that it can be followed."""

from dataclasses import replace

import numpy as np
import pytest

from fivesigma.datasets import Dataset
from fivesigma.mixtures import Mixture, Pool, mix, pure
from fivesigma.rows import Rows

SHAPE = (2, 3)


def tagged(start, n):
    tags = np.arange(start, start + n, dtype=np.float32)
    return np.broadcast_to(tags[:, None, None], (n, *SHAPE)).copy()


def tags(x):
    return np.asarray(x[:])[:, 0, 0].astype(int)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def signal():
    return Pool(tagged(0, 1000), tagged(10_000, 260))


@pytest.fixture
def background():
    return Pool(tagged(20_000, 2000), tagged(30_000, 2100))


def test_mixture_definitions():
    assert Mixture.from_significance(1.0, 18_922).n_signal == pytest.approx(137.56, abs=0.01)
    assert Mixture.from_ratio(0.01, 25_000) == Mixture(250.0, 25_000)
    mixture = Mixture.from_luminosity(
        139.0, signal_cross_section=1.0, background_cross_section=136.1
    )
    assert mixture.n_signal == pytest.approx(139.0)
    # The authors' note behind arXiv 2412.00198, where 136.1 fb is rounded to four digits.
    assert mixture.n_background == pytest.approx(18_922, rel=4e-4)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_mixture_is_finite_and_not_negative(bad):
    for make in (
        lambda: Mixture(bad, 1.0),
        lambda: Mixture(1.0, bad),
        lambda: Mixture.from_significance(bad, 100.0),
        lambda: Mixture.from_significance(1.0, bad),
        lambda: Mixture.from_ratio(bad, 100.0),
        lambda: Mixture.from_luminosity(
            bad, signal_cross_section=-1.0, background_cross_section=-1.0
        ),
    ):
        with pytest.raises(ValueError, match=r"expected .* to be finite and not negative; got"):
            make()


def test_mix_counts_and_labels(signal, background, rng):
    data = mix(signal, background, Mixture(100.4, 1000.0), rng=rng)
    S, B, S_outside, B_outside = 100, 1000, round(100.4 * 0.26), round(1000 * 1.05)
    inside, true = data.y == 1, data.truth == 1
    counts = [inside & true, inside & ~true, ~inside & true, ~inside & ~true]
    assert [np.count_nonzero(c) for c in counts] == [S, B, S_outside, B_outside]
    first = tags(data.x) // 10_000
    assert [set(first[c]) for c in counts] == [{0}, {2}, {1}, {3}]
    assert np.all(data.weight == 1)
    assert (data.x.dtype, data.y.dtype, data.truth.dtype) == (np.float32, np.float32, np.int8)


def test_mix_counts_that_vary_as_those_of_data(signal, background, rng):
    """Mean and variance of a Poisson count, in each region."""
    drawn = [
        mix(signal, background, Mixture(40, 400), rng=rng, counts="poisson") for _ in range(400)
    ]
    for inside, expected in ((1, 440), (0, 40 * 0.26 + 400 * 1.05)):
        n = np.array([(data.y == inside).sum() for data in drawn])
        assert n.mean() == pytest.approx(expected, abs=4 * (expected / 400) ** 0.5)
        assert n.var() == pytest.approx(expected, rel=0.3)


def test_mix_fractions_are_those_of_the_two_samples(signal, background, rng):
    data = mix(signal, background, Mixture.from_ratio(0.25, 2000), rng=rng)
    f1, f2 = data.truth[data.y == 1].mean(), data.truth[data.y == 0].mean()
    assert f1 == pytest.approx(0.2)
    assert f2 == pytest.approx(130 / 2230)


def test_mix_takes_no_event_twice(signal, background, rng):
    data = mix(signal, background, Mixture(1000, 2000), rng=rng)
    assert len(np.unique(tags(data.x))) == len(data) == 1000 + 2000 + 260 + 2100


def test_mix_resamples(signal, background, rng):
    first, second = (mix(signal, background, Mixture(100, 500), rng=rng) for _ in range(2))
    again = mix(signal, background, Mixture(100, 500), rng=np.random.default_rng(7))
    assert not np.array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.x, again.x)


def test_mix_draws_uniformly(signal, background, rng):
    draws = [tags(mix(signal, background, Mixture(100, 0), rng=rng).x)[:100] for _ in range(200)]
    mean = np.mean(np.concatenate(draws))
    assert mean == pytest.approx(499.5, abs=4 * 1000 / np.sqrt(12 * 20_000))


def test_mix_without_signal_needs_no_signal(background, rng):
    empty = Pool(tagged(0, 0), tagged(0, 0))
    data = mix(empty, background, Mixture(0, 500), rng=rng)
    assert not data.truth.any()
    assert len(data) == 500 + 525


def test_mix_names_what_is_missing(signal, background, rng):
    for mixture, message in (
        (Mixture(1001, 10), "at least 1001 events of signal in the signal region; got 1000"),
        (Mixture(10, 2001), "at least 2001 events of background in the signal region; got 2000"),
    ):
        with pytest.raises(ValueError, match=message):
            mix(signal, background, mixture, rng=rng)
    _, train = background.split(1500, rng=rng)
    short = Pool(background.signal_region, tagged(0, 20), measured=(10, 10))
    assert len(train.signal_region) == 500
    with pytest.raises(ValueError, match="at least 21 events of background in the sideband"):
        mix(signal, short, Mixture(0, 21), rng=rng)


def test_mix_rejects_different_shapes(signal, rng):
    other = Pool(np.zeros((10, 4), np.float32), np.zeros((10, 4), np.float32))
    with pytest.raises(ValueError, match="of one shape"):
        mix(signal, other, Mixture(1, 1), rng=rng)
    with pytest.raises(ValueError, match="of one shape in both regions"):
        Pool(np.zeros((10, 4), np.float32), np.zeros((10, 3), np.float32))


def test_pure_labels_are_the_truth(signal, background, rng):
    data = pure(signal, background, 300, rng=rng)
    np.testing.assert_array_equal(data.y, data.truth)
    assert data.truth.sum() == 300
    assert len(data) == len(np.unique(tags(data.x))) == 600
    assert set(tags(data.x[data.truth == 1]) // 10_000) == {0}
    assert set(tags(data.x[data.truth == 0]) // 10_000) == {2}
    with pytest.raises(ValueError, match="got 1000"):
        pure(signal, background, 1001, rng=rng)
    with pytest.raises(ValueError, match="got -1"):
        pure(signal, background, -1, rng=rng)


def test_pool_split_is_exact_and_disjoint(signal, background, rng):
    (test_S, train_S), (test_B, train_B) = (p.split(400, rng=rng) for p in (signal, background))
    assert len(test_S.signal_region) == len(test_B.signal_region) == 400
    assert len(test_S.sideband) == len(test_B.sideband) == 0
    assert len(train_S.sideband) == 260
    test = pure(test_S, test_B, 400, rng=rng)
    train = mix(train_S, train_B, Mixture(600, 1600), rng=rng)
    assert not set(tags(test.x)) & set(tags(train.x))
    everything = np.concatenate([tags(test_S.signal_region), tags(train_S.signal_region)])
    np.testing.assert_array_equal(np.sort(everything), np.arange(1000))


def test_pool_split_keeps_the_sideband_ratio(background, rng):
    test, train = background.split(1500, rng=rng)
    assert test.sideband_ratio == train.sideband_ratio == background.sideband_ratio == 1.05
    _, fewer = train.split(100, rng=rng)
    assert len(fewer.signal_region) == 400
    assert fewer.sideband_ratio == 1.05


@pytest.mark.parametrize("n", [-1, 1001])
def test_pool_split_has_bounds(signal, n, rng):
    with pytest.raises(ValueError, match=f"expected 0 to 1000 events to hold out; got {n}"):
        signal.split(n, rng=rng)


def test_sideband_ratio_error_covers(rng):
    r, n = 0.26, 4000
    m, k = rng.poisson(n, 2000), rng.poisson(r * n, 2000)
    empty = np.zeros((0, 1), np.float32)
    pools = [Pool(empty, empty, measured=(int(a), int(b))) for a, b in zip(m, k, strict=True)]
    within = [abs(p.sideband_ratio - r) < p.sideband_ratio_error for p in pools]
    assert np.mean(within) == pytest.approx(0.683, abs=0.04)


def test_sideband_ratio_of_nothing():
    empty = np.zeros((0, 1), np.float32)
    assert Pool(np.zeros((9, 1), np.float32), empty).sideband_ratio_error == 0
    with pytest.raises(ValueError, match="expected events in the signal region"):
        _ = Pool(empty, empty).sideband_ratio


def test_memory_maps_are_read_only_where_drawn(tmp_path, signal, background, rng):
    np.save(tmp_path / "x.npy", background.signal_region)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    pool = Pool(mapped, background.sideband)
    test, train = pool.split(100, rng=rng)
    for part in (test, train):
        assert isinstance(part.signal_region, Rows)
        assert np.shares_memory(part.signal_region.array, mapped)
    assert test.signal_region.shape == (100, *SHAPE)
    data = mix(signal, pool, Mixture(10, 500), rng=np.random.default_rng(1))
    same = mix(signal, background, Mixture(10, 500), rng=np.random.default_rng(1))
    assert type(data.x) is np.ndarray
    np.testing.assert_array_equal(data.x, same.x)


def test_dataset_split_is_by_event(signal, background, rng):
    data = pure(signal, background, 501, rng=rng)
    train, validation = data.split(0.8, rng=rng)
    assert (len(train), len(validation)) == (802, 200)
    assert sorted([*tags(train.x), *tags(validation.x)]) == sorted(tags(data.x))
    for part in (train, validation):
        np.testing.assert_array_equal(part.truth, tags(part.x) < 10_000)
        assert 0.4 < part.truth.mean() < 0.6
    with pytest.raises(ValueError, match=r"expected a fraction within \[0, 1\]; got 1.5"):
        data.split(1.5, rng=rng)


def test_dataset_split_keeps_showers_of_a_hard_event_together(signal, background, rng):
    data = pure(signal, background, 500, rng=rng)
    origin = rng.integers(0, 200, len(data))
    train, validation = replace(data, origin=origin).split(0.8, rng=rng)
    assert len(set(train.origin)) == round(0.8 * len(set(origin)))
    assert not set(train.origin) & set(validation.origin)
    assert sorted([*tags(train.x), *tags(validation.x)]) == sorted(tags(data.x))


def test_dataset_checks_lengths_and_types(signal, background, rng):
    data = Dataset(np.zeros((3, 2)), [0, 1, 1], [True, False, True], np.ones(3))
    assert (data.x.dtype, data.truth.dtype) == (np.float32, np.int8)
    assert len(data.subset(data.y == 1)) == len(data.subset(slice(1, None))) == 2
    with pytest.raises(ValueError, match=r"of shape \(3,\), as x has 3 events; got \(2,\)"):
        Dataset(np.zeros((3, 2)), np.zeros(2), np.zeros(3), np.zeros(3))
