import math

import numpy as np
import pytest

from fivesigma.statistics import asimov, components, reach, reach_of_cuts, significance_after


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_published_significances():
    """The authors' note behind arXiv 2412.00198: B = 18 922; printed to two decimals."""
    B = 18_922
    s = np.array([1, 2, 3, 4, 5, 7, 10])
    published = [1.00, 2.00, 2.99, 3.98, 4.97, 6.94, 9.88]
    np.testing.assert_allclose(asimov(s * math.sqrt(B), B), published, atol=0.0051)


def test_matches_the_equation():
    S, B = np.meshgrid(np.geomspace(1, 1e4, 9), np.geomspace(1, 1e3, 7))
    direct = np.sqrt(2 * ((S + B) * np.log(1 + S / B) - S))
    np.testing.assert_allclose(asimov(S, B), direct, rtol=1e-9)


def test_matches_the_equation_with_background_uncertainty():
    S, B, v = np.meshgrid([3.0, 30.0, 300.0], [10.0, 100.0], np.array([1.0, 5.0, 50.0]) ** 2)
    first = (S + B) * np.log((S + B) * (B + v) / (B**2 + (S + B) * v))
    second = B**2 / v * np.log(1 + v * S / (B * (B + v)))
    np.testing.assert_allclose(asimov(S, B, np.sqrt(v)), np.sqrt(2 * (first - second)), rtol=1e-9)


@pytest.mark.parametrize("ratio", [1e-8, 1e-6, 1e-4, 5e-3, 9.999e-3, 1.0001e-2])
def test_small_signals_lose_no_digits(ratio):
    B = 1e6
    expansion = ratio * math.sqrt(B) * (1 - ratio / 6 + 5 * ratio**2 / 72)
    assert asimov(ratio * B, B) == pytest.approx(expansion, rel=ratio**3 + 1e-14)
    with_error = ratio * B / math.sqrt(B + 500.0**2)
    assert asimov(ratio * B, B, 500.0) == pytest.approx(with_error, rel=ratio + 1e-13)


def test_series_joins_the_logarithm():
    below, above = asimov(0.01 * 1e6, 1e6), asimov(np.nextafter(0.01, 1) * 1e6, 1e6)
    assert below == pytest.approx(above, rel=1e-13)


def test_background_uncertainty_vanishes_smoothly():
    Z = asimov(50.0, 100.0)
    differences = [Z - asimov(50.0, 100.0, sigma) for sigma in (1e-3, 1e-2, 1e-1, 1.0)]
    assert asimov(50.0, 100.0, 0.0) == Z
    assert np.all(np.diff(differences) > 0)
    assert 0 < differences[0] < 1e-6 * Z
    assert differences[1] / differences[0] == pytest.approx(100, rel=1e-3)


def test_no_signal_is_no_significance():
    assert asimov(0.0, 10.0) == 0
    assert asimov(0.0, 10.0, 3.0) == 0


def test_scalars_give_floats_and_arrays_broadcast():
    assert isinstance(asimov(3, 10), float)
    assert asimov(np.ones((4, 1)), np.ones(3)).shape == (4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 10.0), "expected finite n_s >= 0; got -1.0"),
        ((1.0, 0.0), "expected finite n_b > 0; got 0.0"),
        ((1.0, 10.0, -2.0), "expected finite sigma_b >= 0; got -2.0"),
        ((np.array([1.0, np.nan]), 10.0), "expected finite n_s >= 0; got nan"),
        ((1.0, math.inf), "expected finite n_b > 0; got inf"),
    ],
)
def test_asimov_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        asimov(*arguments)


def test_significance_after_a_cut():
    assert significance_after(138, 18_922, eps_s=1.0, eps_b=1.0) == asimov(138, 18_922)
    assert significance_after(138, 18_922, eps_s=0.5, eps_b=0.01) == asimov(69.0, 189.22)
    eps = np.array([0.1, 0.01, 0.001])
    after = significance_after(1.0, 1e6, eps_s=eps, eps_b=eps)
    np.testing.assert_allclose(after, np.sqrt(eps) * 1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="n_b > 0"):
        significance_after(138, 18_922, eps_s=0.5, eps_b=0.0)


def test_published_reach(rng):
    """Plain CWoLa, 25 x 25 pixels, means of ten trainings at eps_b = 10, 1 and 0.1 %.

    Aggregated from the authors' results file behind arXiv 2412.00198, printed to three digits.
    """
    s = [1, 2, 3, 4, 5, 7, 10]
    z = {
        2.81: [1.23, 3.21, 5.40, 8.18, 11.1, 17.5, 25.6],
        3.55: [0.18, 1.14, 2.87, 6.63, 11.2, 26.0, 41.5],
        3.93: [0.03, 0.52, 1.63, 5.18, 10.6, 25.7, 40.2],
    }
    for published, means in z.items():
        result = reach(s, [[m] for m in means], rng=rng)
        assert result.value == pytest.approx(published, abs=0.03)
        assert (result.limit, result.low, result.high) == ("none", 0.0, math.inf)


@pytest.mark.parametrize("slope", [0.6, 1.0, 2.5])
def test_reach_on_a_straight_line(slope, rng):
    s = np.array([1.0, 3.0, 4.0, 10.0])
    result = reach(s, slope * s[:, None] * np.ones(5), rng=rng)
    assert result.value == pytest.approx(5 / slope)
    assert result.low == result.high == result.value
    assert reach(s, slope * s[:, None], z_target=3, rng=rng).value == pytest.approx(3 / slope)


def test_reach_is_of_the_median_and_the_first_crossing(rng):
    outlier = [[0, 0, 100], [4, 4, 0], [6, 6, 0], [4, 4, 4], [9, 9, 9]]
    assert reach([1, 2, 3, 4, 5], outlier, rng=rng).value == pytest.approx(2.5)


@pytest.mark.parametrize("target", [3.0, 5.0])
@pytest.mark.parametrize("eps", [(0.5, 0.1), (0.9, 0.001), (1.0, 1.0), (1e-4, 0.01)])
def test_reach_of_cuts_solves_the_significance(eps, target, rng):
    n_b, (eps_s, eps_b) = 18_922, eps
    result = reach_of_cuts(n_b, [eps_s] * 3, [eps_b] * 3, rng=rng, z_target=target)
    s = result.value * math.sqrt(n_b)
    assert significance_after(s, n_b, eps_s=eps_s, eps_b=eps_b) == pytest.approx(target, rel=1e-9)
    assert (result.low, result.high, result.limit) == (result.value, result.value, "none")


def test_reach_of_cuts_is_the_limit_of_a_fine_grid(rng):
    n_b, eps_s, eps_b = 2000, np.array([0.2, 0.5, 0.3]), np.array([0.01, 0.012, 0.009])
    grid = np.linspace(0, 5, 2001)
    after = [significance_after(x * n_b**0.5, n_b, eps_s=eps_s, eps_b=eps_b) for x in grid]
    exact, fine = reach_of_cuts(n_b, eps_s, eps_b, rng=rng), reach(grid, after, rng=rng)
    assert exact.value == pytest.approx(fine.value, abs=1e-3)
    assert exact.low < exact.value < exact.high


def test_reach_of_cuts_that_no_signal_passes(rng):
    result = reach_of_cuts(100, [0.0, 0.0, 0.5], [0.1, 0.1, 0.1], rng=rng)
    assert (result.value, result.limit) == (math.inf, "lower")
    one = reach_of_cuts(100, [0.5], [0.1], rng=rng)
    assert (one.low, one.high) == (0.0, math.inf)
    with pytest.raises(ValueError, match="expected a repeat; got none"):
        reach_of_cuts(100, [], [], rng=rng)


def test_reach_not_reached(rng):
    s, z = np.array([1.0, 2.0]), np.array([[1.0, 1.1, 0.9], [3.0, 3.1, 2.9]])
    above = reach(s, z, rng=rng)
    assert (above.value, above.low, above.high) == (math.inf,) * 3
    assert (above.limit, above.grid, str(above)) == ("lower", (1.0, 2.0), "> 2")
    below = reach(s, z + 9, rng=rng)
    assert (below.value, below.low, below.high) == (1.0,) * 3
    assert (below.limit, str(below)) == ("upper", "< 1")
    assert reach([2.0], [[1.0]], rng=rng).limit == "lower"
    assert reach([2.0], [[7.0]], rng=rng).limit == "upper"
    exactly = reach(s, [[1.0], [5.0]], rng=rng)
    assert (exactly.value, exactly.limit) == (2.0, "none")


def test_reach_interval_is_open_where_repeats_fail(rng):
    s = [1, 2, 3]
    z = [[1.0] * 9, [3.0] * 9, [4.0] * 4 + [6.0] * 5]
    result = reach(s, z, rng=rng)
    assert result.limit == "none"
    assert result.low < 3
    assert result.high == math.inf


def test_reach_interval_covers(rng):
    s = np.arange(1.0, 9.0)
    covered = []
    for _ in range(300):
        z = rng.normal(1.25 * s[:, None], 0.8, size=(8, 11))
        result = reach(s, z, n_bootstrap=200, rng=rng)
        covered.append(result.low <= 4.0 <= result.high)
    assert 0.58 < np.mean(covered) < 0.83


def test_reach_repeats_with_the_generator():
    z = np.random.default_rng(0).normal([[2.0], [6.0]], 1, (2, 10))
    first, second = (reach([1, 2], z, rng=np.random.default_rng(5)) for _ in range(2))
    assert first == second
    assert first.low < first.value < first.high


@pytest.mark.parametrize(
    ("grid", "z", "message"),
    [
        ([2, 1], [[1.0], [2.0]], "expected an increasing grid"),
        ([], [], "expected an increasing grid"),
        ([1, 2], [[1.0]], "expected z_after of 2 grid points; got 1"),
        ([1, 2], [[1.0], []], "expected repeats without NaN at"),
        ([1, 2], [[1.0], [math.nan]], "expected repeats without NaN at"),
    ],
)
def test_reach_rejects(grid, z, message, rng):
    with pytest.raises(ValueError, match=message):
        reach(grid, z, rng=rng)


def test_components_of_drawn_data_sets(rng):
    """2000 data sets of spread 3, five measurements of spread 2 on each."""
    x = rng.normal(1, 3, (2000, 1)) + rng.normal(0, 2, (2000, 5))
    found = components(x)
    assert found.mean == pytest.approx(1, abs=4 * 3.2 / 2000**0.5)
    assert found.between == pytest.approx(3, rel=0.07)
    assert found.within == pytest.approx(2, rel=0.05)


def test_components_by_hand():
    found = components([[1.0, 3.0], [5.0, 7.0, 6.0]])
    assert found.mean == 4
    assert found.within == pytest.approx(1.5**0.5)
    assert found.between == pytest.approx((8 - 1.5 * (1 / 2 + 1 / 3) / 2) ** 0.5)
    assert components([[0.0, 2.0], [1.0, 1.0]]).between == 0


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [[1.0, 2.0], [3.0]]])
def test_components_need_repetition(values):
    with pytest.raises(ValueError, match="expected two data sets with two measurements"):
        components(values)
