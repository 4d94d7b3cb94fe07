"""The reach against published ones, straight lines, and cuts that it is solved for exactly."""

import math

import numpy as np
import pytest

from fivesigma.reach import reach, reach_of_cuts
from fivesigma.statistics import significance_after


@pytest.fixture
def rng():
    return np.random.default_rng(3)


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


def test_reach_below_the_first_strength(rng):
    """Smearing and rotation, five copies, at 0.1 %: a published mean of 16.0 at S/sqrt(B) = 3.

    The published reach, from 1 and 2 as well, is 1.70; a straight line from 0 would give 0.94.
    """
    z, at_zero = [[16.0], [30.0]], [0.03]
    assert reach([3, 5], z, rng=rng).limit == "upper"
    below = reach([3, 5], z, at_zero=at_zero, rng=rng)
    assert below.limit == "none"
    assert below.value == pytest.approx(1.68, abs=0.01)
    assert below.grid == (0, 5)


@pytest.mark.parametrize("g_0", [0.0, 0.5, 2.0])
def test_the_improvement_is_linear_below_the_first_strength(g_0, rng):
    """s (g_0 + (g_1 - g_0) s / s_1) = 5 in closed form; above, all is as without."""
    s_1, z_1 = 2.0, 8.0
    slope = (z_1 / s_1 - g_0) / s_1
    exact = (-g_0 + math.sqrt(g_0**2 + 20 * slope)) / (2 * slope)
    found = reach([s_1, 3.0], [[z_1] * 3, [9.0] * 3], at_zero=[g_0] * 3, rng=rng)
    assert found.value == pytest.approx(exact, abs=1e-3)
    assert found.low == found.high == found.value
    weak = [[1.0] * 3, [9.0] * 3]
    with_zero = reach([s_1, 3.0], weak, at_zero=[g_0] * 3, rng=rng)
    assert with_zero.value == reach([s_1, 3.0], weak, rng=rng).value
